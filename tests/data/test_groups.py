import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart.data.check import check
from headstart.data.dataset import Dataset
from headstart.data.groups import group_by, is_column, load_grouped
from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from headstart.events import silent
from tests.data.planted import folder, picture


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    root = folder(tmp_path / "data", {"a": 0, "b": 0})
    for seed, name in enumerate(["a/p1_1.png", "a/p1_2.png", "a/p2_1.png", "b/p3_1.png", "b/p3_2.png", "b/p2_2.png"]):
        picture(seed).save(root / name)
    return load_data(root)


def groups(dataset: Dataset) -> dict[str, str | None]:
    return {sample.id: sample.group for sample in dataset.samples}


def test_a_regular_expression_captures_the_group(data: Dataset) -> None:
    grouped = group_by(data, r"(p\d+)_")
    assert groups(grouped) == {"a/p1_1.png": "p1", "a/p1_2.png": "p1", "a/p2_1.png": "p2", "b/p2_2.png": "p2",
                               "b/p3_1.png": "p3", "b/p3_2.png": "p3"}
    assert grouped.notes[-1] == r"grouped by (p\d+)_: 3 groups in 6 images, the largest of 2"


def test_several_brackets_make_one_group(data: Dataset) -> None:
    assert set(groups(group_by(data, r"^(\w)/(p\d+)_")).values()) == {"a/p1", "a/p2", "b/p2", "b/p3"}


def test_images_that_do_not_match_are_listed(data: Dataset) -> None:
    with pytest.raises(DataError, match=r"(?s)2 of 6 images don't match:\n  a/p1_1\.png\n  a/p1_2\.png\n.*Widen"):
        group_by(data, r"(p[23])_")


@pytest.mark.parametrize(("rule", "message"), [
    (r"(p\d+_", "not a regular expression"),
    (r"(?:p\d+)_", "captures nothing"),
    ("patient", r'was read without the column "patient".*--set reader.group=patient'),
])
def test_a_rule_that_makes_no_group_is_refused(data: Dataset, rule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        group_by(data, rule)


def test_duplicates_unite_exact_and_near_copies_and_their_groups(data: Dataset) -> None:
    root = data.root
    assert root is not None
    shutil.copy(root / "a/p1_1.png", root / "b/p4_1.png")
    picture(3).save(root / "b/p5_1.jpg", quality=70)
    dataset = group_by(load_data(root), r"(p\d+)_")
    grouped = groups(group_by(dataset, "duplicates"))
    assert grouped["b/p4_1.png"] == grouped["a/p1_1.png"] == grouped["a/p1_2.png"] == "p1"
    assert grouped["b/p5_1.jpg"] == grouped["b/p3_1.png"] == grouped["b/p3_2.png"] == "p3"
    assert grouped["a/p2_1.png"] == "p2"


def test_a_report_at_hand_is_used(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    report = check(data, listen=silent, quick=True)
    monkeypatch.setattr("headstart.data.groups.check", None)
    assert group_by(data, "duplicates", report=report).samples == data.samples


def test_a_column_is_read_by_the_reader(data: Dataset) -> None:
    asked: list[Mapping[str, Any]] = []

    def load(settings: Mapping[str, Any]) -> Dataset:
        asked.append(settings)
        return replace(data, format="table")

    load_grouped(load, {"label": "species"}, "patient")
    assert asked == [{"label": "species"}, {"label": "species", "group": "patient"}]
    asked.clear()
    load_grouped(load, {}, r"(p\d+)_")
    load_grouped(load, {}, "duplicates")
    load_grouped(load, {}, None)
    assert asked == [{}, {}, {}]


def test_a_column_is_read_from_a_real_table(data: Dataset) -> None:
    root = data.root
    assert root is not None
    rows = [f"{sample.id},{sample.id[0]},{Path(sample.id).stem[:2]}" for sample in data.samples]
    table = root / "table.csv"
    table.write_text("\n".join(["path,label,patient", *rows]))
    dataset = load_grouped(lambda settings: load_data(table, settings=settings), {}, "patient")
    assert {sample.group for sample in dataset.samples} == {"p1", "p2", "p3"}
    assert group_by(dataset, "patient").samples == dataset.samples


def test_a_column_of_folders_is_refused(data: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"class_folders has no columns.*`duplicates`, or a regular expression"):
        load_grouped(lambda settings: data, {}, "patient")


def test_a_word_is_a_column_and_brackets_make_an_expression() -> None:
    assert [is_column(rule) for rule in ("patient", "patient id", "duplicates", r"(p\d+)")] \
        == [True, True, False, False]
