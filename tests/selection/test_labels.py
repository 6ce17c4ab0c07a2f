"""Planted errors are found; what is written can be corrected and read again; the user's files stay as they are."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import application
from headstart.data.dataset import Dataset
from headstart.errors import ConfigError, DataError, IntegrityError
from headstart.files import sha256_file
from headstart.selection.confident import Doubts
from headstart.selection.label_errors import LabelErrors
from headstart.selection.labels import Examined, _error, examine
from headstart.selection.labels_page import likely
from headstart.selection.labels_table import separator, table_settings, write_labels_table
from headstart.types import Sample

SMALL = {"backbone": "efficientnet_lite0", "image_size": 32, "fit": "squash"}
WORDS = ["--backbone", "efficientnet_lite0", "--set", "image_size=32", "--set", "fit=squash"]


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = load_digits(return_X_y=True)
    return pixels[:count], labels[:count].astype(np.int64)


def planted_table(folder: Path, rows: list[tuple[Path, str]], wrong: list[int], **columns: list[str]) -> Path:
    other = {"zero": "one", "one": "zero"}
    frame = pd.DataFrame({"path": [str(path) for path, _ in rows],
                          "label": [other[name] if i in wrong else name for i, (_, name) in enumerate(rows)],
                          **columns})
    frame.to_csv(folder / "given.csv", index=False)
    return folder / "given.csv"


def test_most_of_the_planted_errors_are_among_the_most_suspicious():
    pixels, true = digits(300)
    rng = np.random.default_rng(0)
    wrong = rng.choice(300, 30, replace=False)
    labels = true.copy()
    labels[wrong] = (true[wrong] + rng.integers(1, 10, 30)) % 10
    found = examine(pixels, labels, classes=10)
    assert np.isin(np.argsort(found.quality)[:30], wrong).mean() >= 0.8
    assert (found.suggested[wrong] == true[wrong]).mean() >= 0.8
    assert found.issues[wrong].mean() >= 0.8


def test_planted_errors_of_several_labels_are_found():
    pixels, digit = digits(240)
    true = np.stack([digit % 2 == 0, digit == 0], axis=1).astype(np.float32)
    labels, wrong = true.copy(), np.array([5, 17, 60, 111, 200])
    labels[wrong, 1] = 1 - labels[wrong, 1]
    found = examine(pixels, labels, classes=2)
    assert found.issues[wrong].mean() >= 0.8
    assert (found.suggested[wrong, 1] == true[wrong, 1]).mean() >= 0.8


def test_images_of_one_group_do_not_vouch_for_each_other():
    pixels, true = digits(100)
    twice = np.repeat(pixels, 2, axis=0)
    labels = np.repeat(true, 2)
    labels[:2] = (labels[0] + 1) % 10  # an image and its copy have the same wrong label
    together = examine(twice, labels, classes=10, groups=[str(i // 2) for i in range(200)])
    apart = examine(twice, labels, classes=10)
    assert together.quality[:2].max() < apart.quality[:2].min()


def test_a_class_with_one_image_is_no_obstacle():
    pixels, true = digits(60)
    keep = np.flatnonzero((true != 9) | (np.cumsum(true == 9) == 1))
    found = examine(pixels[keep], true[keep], classes=10)
    assert np.isfinite(found.quality).all()


def test_the_record_names_the_planted_errors_first_in_every_split(pictures, tmp_path):
    rows = pictures(24, 24)
    wrong = [3, 11, 30]
    splits = ["test" if i % 4 == 3 else "val" if i % 4 == 2 else "train" for i in range(48)]
    data = planted_table(tmp_path, rows, wrong, split=splits)
    before = {path: sha256_file(path) for path in [data, *(path for path, _ in rows)]}
    found = hs.find_label_errors(data, out=tmp_path / "found", **SMALL)
    assert sorted(error.path for error in found.errors[:3]) == sorted(str(rows[i][0]) for i in wrong)
    assert {error.path: error.split for error in found.errors}[str(rows[11][0])] == "test"
    assert [error.rank for error in found.errors] == list(range(1, len(found.errors) + 1))
    assert {path: sha256_file(path) for path in before} == before
    assert LabelErrors.load(tmp_path / "found") == found
    assert sum(pair.errors for pair in found.pairs) == len(found.errors)
    page = (tmp_path / "found" / "labels.html").read_text()
    assert page.count("data:image/png;base64,") == len(found.errors)


def test_the_corrected_table_is_read_as_data_again(pictures, tmp_path, monkeypatch):
    rows = pictures(24, 24)
    data = planted_table(tmp_path, rows, [3, 30], group=[f"g{i // 2}" for i in range(48)])
    monkeypatch.chdir(tmp_path)
    found = hs.find_label_errors(data.name, out="found", **SMALL)
    table = found.table
    assert list(table) == ["path", "label", "suggested", "quality", "issue", "split", "group"]
    assert len(table) == 48
    doubted = table["issue"] == "true"
    assert sorted(table["path"][doubted]) == sorted(str(error.path) for error in found.errors)
    table.loc[doubted, "label"] = table.loc[doubted, "suggested"]
    moved = tmp_path / "elsewhere" / "mended.csv"
    moved.parent.mkdir()
    table.to_csv(moved, index=False)
    read = hs.load_data(moved)
    mended = {Path(str(s.source)).name: read.classes[s.label] for s in read.samples}
    assert mended[rows[3][0].name] == "zero"
    assert mended[rows[30][0].name] == "one"
    assert [sample.split for sample in read.samples] == table["split"].tolist()
    assert read.groups() == [f"g{i // 2}" for i in range(48)]
    assert hs.check(read).level != "error"


def several(classes: tuple[str, ...], labels: list[tuple[int, ...]], path: Path) -> Dataset:
    return Dataset(tuple(Sample(f"{i}.png", path, label) for i, label in enumerate(labels)), classes, "multilabel",
                   "table")


@pytest.mark.parametrize(("classes", "mark"), [(("cat", "dog"), ";"), (("cat; small", "dog"), "|")])
def test_the_table_of_several_labels_is_read_with_the_settings_that_are_told(pictures, tmp_path, classes, mark):
    (path, _), = pictures(1, 0)
    data = several(classes, [(0,), (0, 1), ()], path)
    suggested = np.array([[1, 1], [1, 1], [0, 0]])
    write_labels_table(tmp_path, data, suggested, np.array([0.1, 0.9, 0.8]), np.array([True, False, False]),
                       {sample.id: "train" for sample in data.samples})
    settings = dict(setting.split("=", 1) for setting in table_settings(data))
    assert separator(classes) == mark
    assert settings == {"task": "multilabel", "reader.separator": mark, "reader.empty": "none"}
    read = hs.load_data(tmp_path / "labels.csv", task="multilabel",
                        settings={"separator": mark, "empty": "none"})
    assert [sample.label for sample in read.samples] == [(0,), (0, 1), ()]
    text = pd.read_csv(tmp_path / "labels.csv", keep_default_na=False)
    assert text["suggested"].tolist() == [mark.join(classes), mark.join(classes), ""]


def test_a_class_name_with_a_comma_is_told_to_be_one_label(pictures, tmp_path):
    (path, _), = pictures(1, 0)
    data = Dataset((Sample("0", path, 0, weight=2.0), Sample("1", path, 1)), ("a, b", "c"), "classification", "table")
    write_labels_table(tmp_path, data, np.array([0, 1]), np.ones(2), np.zeros(2, bool), {"0": "train", "1": "train"})
    assert table_settings(data) == ("task=classification",)
    read = hs.load_data(tmp_path / "labels.csv", task="classification")
    assert (read.classes, read.weights().tolist()) == (("a, b", "c"), [2.0, 1.0])


def test_an_image_inside_a_table_has_its_id_in_the_place_of_a_path(tmp_path):
    data = Dataset((Sample("row 1", bytes, 0), Sample("row 2", bytes, 1)), ("a", "b"), "classification", "huggingface")
    write_labels_table(tmp_path, data, np.array([0, 1]), np.ones(2), np.zeros(2, bool), {"row 1": "train",
                                                                                        "row 2": "test"})
    assert pd.read_csv(tmp_path / "labels.csv")["path"].tolist() == ["row 1", "row 2"]


def test_the_command_prints_one_json_object_and_what_to_do_next(pictures, tmp_path):
    data = planted_table(tmp_path, pictures(24, 24), [3])
    out = tmp_path / "found"
    printed = CliRunner().invoke(application(), ["labels", str(data), "--out", str(out), "--json", *WORDS])
    assert printed.exit_code == 0, printed.stderr
    found = json.loads(printed.stdout)
    assert found["errors"][0]["image"].endswith("zero-03.png")
    assert json.loads((out / "labels.json").read_text())["errors"] == found["errors"]
    plain = CliRunner().invoke(application(), ["labels", str(data), "--out", str(tmp_path / "again"), *WORDS])
    assert "of the labels that it did not see" in " ".join(plain.stdout.split())
    assert "of the 23 images labelled zero look like one" in plain.stdout or \
        "of the 25 images labelled one look like zero" in plain.stdout
    assert f"headstart adapt {tmp_path / 'again' / 'labels.csv'}" in plain.stdout


def test_the_next_line_sees_the_images_as_the_configuration_did(pictures, tmp_path):
    data = planted_table(tmp_path, pictures(24, 24), [3])
    config = tmp_path / "job.yaml"
    config.write_text(f"data: {data}\nbackbone: efficientnet_lite0\nimage_size: 32\nfit: squash\nallow_licenses: any\n")
    plain = CliRunner().invoke(application(), ["labels", "--config", str(config), "--out", str(tmp_path / "out")])
    told = plain.stdout.splitlines()[-1]
    assert told.endswith("labels.csv --backbone efficientnet_lite0 --allow-licenses any --set image_size=32 "
                         "--set fit=squash")


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="this folder is not empty"):
        hs.find_label_errors(tmp_path, out=tmp_path)


def test_a_run_to_start_from_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises((ConfigError, IntegrityError)):
        hs.find_label_errors(tmp_path, out=tmp_path / "found", init_from=str(tmp_path))


def test_one_class_is_refused(pictures, tmp_path):
    data = planted_table(tmp_path, pictures(12, 0), [])
    with pytest.raises(DataError):
        hs.find_label_errors(data, out=tmp_path / "found", **SMALL)
    assert not (tmp_path / "found").exists()


def test_a_record_that_is_not_there_or_damaged_is_told(tmp_path):
    with pytest.raises(ConfigError, match="Make one with `headstart labels DATA`"):
        LabelErrors.load(tmp_path)
    (tmp_path / "labels.json").write_text('{"errors": [], "pairs": []}')
    with pytest.raises(IntegrityError, match="not a whole record"):
        LabelErrors.load(tmp_path)
    nowhere = LabelErrors("d", {}, "classification", "b", 32, 2, ("a", "b"), 1.0, (), (), 0.0)
    with pytest.raises(ConfigError, match="not written"):
        _ = nowhere.table
    assert dataclasses.replace(nowhere, images=4).share == 0


def test_of_several_labels_the_probability_is_that_of_the_label_that_is_doubted():
    """The first label is the most improbable, but not flagged; the second is."""
    data = several(("rare", "cat"), [(0, 1)], Path("x.png"))
    doubts = Doubts(np.array([[0.01, 0.2]]), np.array([[False, True]]), np.zeros((2, 2, 2)))
    found = Examined(np.array([[0.01, 0.2]]), np.array([0.01]), np.array([True]), np.array([[1, 0]]), doubts)
    error = _error(1, data, np.array([[1, 1]]), 0, found, {"0.png": "train"})
    assert (error.doubted, error.given_probability, error.suggested_probability) == ("cat", 0.2, 0.8)
    assert likely(error, error.given, "0.20") == "0.20 cat"
    assert likely(error, error.suggested, "0.80") == "0.80 no cat"
