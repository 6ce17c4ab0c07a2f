from __future__ import annotations

import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from headstart.errors import IntegrityError
from headstart.files import write_json
from headstart.report.page import write_report
from headstart.report.reading import Record
from headstart.report.reading import read as read_run
from tests.report.conftest import HOSTILE, KINDS, read, write_run

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Tags, ids, values and text of a page; complains of tags that do not close."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.ids: list[str] = []
        self.values: set[str] = set()
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.values |= {found["value"]} if tag == "data" else set()
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> at {self.getpos()} closes nothing"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()} closes another"

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["title"]):
            self.words.append(data)

    def has(self, section: str) -> bool:
        return section in self.ids


@pytest.fixture
def copied(runs, tmp_path):
    """Return a call from a kind to a run directory of one's own, without its report."""
    def copy(kind: str) -> Path:
        folder = tmp_path / kind
        shutil.copytree(runs(kind), folder)
        (folder / "report.html").unlink()
        return folder
    return copy


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_page_is_sound_html(runs, kind):
    page = Page(runs(kind) / "report.html")

    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    named = [reference for _, attrs in page.tags for reference in attrs.get("aria-labelledby", "").split()]
    assert set(named) <= set(page.ids)
    assert {"summary", "metrics", "limits", "data", "model", "reproduce"} <= set(page.ids)


@pytest.mark.parametrize("kind", list(KINDS))
def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(runs, kind):
    path = runs(kind) / "report.html"
    page = Page(path)

    loading = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "srcset", "data", "action")
               if name in attrs]
    assert all(address.startswith("data:image/") for address in loading)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    text = path.read_text(encoding="utf-8")
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize("kind", ["ten", "two", "sixty", "several", "probe"])
def test_every_value_is_the_one_in_the_files(runs, kind):
    run = runs(kind)
    page = Page(run / "report.html")

    metrics = [m["value"] for split in read(run / "metrics.json").values() for m in split.values()]
    assert {str(value) for value in metrics} <= page.values
    assert {str(found["difference"]["value"]) for found in read(run / "comparison.json")} <= page.values
    scores = read(run / "details.json")["test"]["per_class"].values()
    wanted = {str(found[name]) for found in scores for name in ("f1", "precision", "recall", "auroc")}
    assert wanted - {"None"} <= page.values


def test_the_confusion_matrix_is_the_one_in_the_files(runs):
    run = runs("ten")
    page = Page(run / "report.html")

    matrix = read(run / "details.json")["test"]["confusion"]
    names = read(run / "data.json")["classes"]
    cells = [attrs["title"] for tag, attrs in page.tags if tag == "td" and "--share" in attrs.get("style", "")]
    assert cells == [f"true {names[row]}, said {names[column]}: {n} of {sum(counts)}"
                     for row, counts in enumerate(matrix) for column, n in enumerate(counts)]


def test_the_summary_says_what_the_files_say(runs):
    run = runs("two")
    page = Page(run / "report.html")

    found = read(run / "metrics.json")["test"]["accuracy"]
    low, high = round(100 * found["low"], 1), round(100 * found["high"], 1)
    assert (f"On 400 held-out images the model is right {round(100 * found['value'], 1)} % of the time (95 % interval "
            f"{low} to {high} %).") in page.text
    assert "always the most frequent class" in page.text
    assert "finetune is better than scratch by" in page.text


def test_hostile_class_names_stay_text(runs):
    page = Page(runs("hostile") / "report.html")
    text = (runs("hostile") / "report.html").read_text(encoding="utf-8")

    assert all(name in page.text for name in HOSTILE)
    assert text.count("<script") == 0
    assert text.count("</style>") == 1
    assert "{{ 7 * 7 }}" in page.text


def test_more_than_twenty_classes_become_pairs_and_an_overview(runs):
    page = Page(runs("sixty") / "report.html")

    assert not [1 for tag, attrs in page.tags if tag == "table" and attrs.get("class") == "matrix"]
    assert page.has("confusion-overview-title")
    assert "taken for" in page.text
    assert "The 15 worst of 60 classes" in page.text


def test_several_labels_have_counts_per_label_instead_of_a_matrix(runs):
    run = runs("several")
    page = Page(run / "report.html")

    table = pd.read_parquet(run / "predictions.parquet").query("split == 'test'")
    both = sum(0 in true and 0 in said for true, said in zip(table["label"], table["predicted"], strict=True))
    missed = sum(0 in true and 0 not in said for true, said in zip(table["label"], table["predicted"], strict=True))
    assert "Right and wrong, label by label" in page.text
    assert f"even {both} {missed}" in page.text
    assert "What is taken for what" not in page.text


def test_a_probe_has_no_learning_curves_but_the_watch(runs):
    page = Page(runs("probe") / "report.html")

    assert not [name for name in page.ids if name.startswith("curve-")]
    assert "probe: healthy." in page.text


def test_the_epoch_that_was_kept_is_marked(runs):
    page = Page(runs("ten") / "report.html")
    assert "the weights of epoch 4 were the best" in page.text
    assert "Kept: epoch 4." in page.text


def test_a_start_that_no_epoch_beat_is_said_to_be_kept(tmp_path):
    page = Page(write_report(write_run(tmp_path / "run", kept=0)))
    assert "none was better on validation than the start, whose weights were kept" in page.text
    assert "were the best" not in page.text
    assert ">kept</text>" not in (tmp_path / "run" / "report.html").read_text()


OPTIONAL = {"baselines.json": "baselines", "details.json": "confusion", "history.csv": None, "watch.json": None,
            "comparison.json": None, "predictions.parquet": "mistakes", "samples.parquet": None,
            "backbone.json": None, "environment.json": None, "job.yaml": None}


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_absent_optional_file_leaves_its_section_out(copied, name):
    run = copied("two")
    (run / name).unlink()

    page = Page(write_report(run))
    assert page.open == []
    assert OPTIONAL[name] is None or not page.has(OPTIONAL[name])


def test_training_is_left_out_with_neither_history_nor_watch(copied):
    run = copied("two")
    (run / "history.csv").write_text("", encoding="utf-8")
    (run / "watch.json").unlink()

    assert not Page(write_report(run)).has("training")


@pytest.mark.parametrize("name", ["run.json", "data.json", "metrics.json"])
def test_a_missing_record_is_named(copied, name):
    run = copied("two")
    (run / name).unlink()

    with pytest.raises(IntegrityError, match=rf"{name}: missing.*no such file.*headstart reproduce"):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("name", ["run.json", "data.json", "metrics.json", "details.json", "watch.json", "history.csv",
                                  "predictions.parquet", "samples.parquet", "backbone.json", "environment.json",
                                  "baselines.json", "comparison.json", "job.yaml"])
def test_a_damaged_file_is_named(copied, name):
    run = copied("two")
    (run / name).write_bytes(b'{"\xff": [1, "torn')

    with pytest.raises(IntegrityError, match=name):
        write_report(run)


def test_a_file_of_another_layout_is_refused(copied):
    run = copied("two")
    write_json(run / "data.json", read(run / "data.json") | {"schema": 99})

    with pytest.raises(IntegrityError, match=r"data\.json.*layout 99, this version reads 1"):
        write_report(run)


def test_files_that_contradict_each_other_are_refused(copied):
    run = copied("two")
    found = read(run / "details.json")
    found["test"]["confusion"] = [[1, 2, 3]]
    write_json(run / "details.json", found)
    with pytest.raises(IntegrityError, match=r"details\.json.*not 2 x 2"):
        write_report(run)

    found["test"].update(confusion=None, per_class={"nobody": {}})
    write_json(run / "details.json", found)
    with pytest.raises(IntegrityError, match=r"details\.json.*data\.json does not name"):
        write_report(run)

    write_json(run / "metrics.json", {})
    (run / "details.json").unlink()
    with pytest.raises(IntegrityError, match=r"metrics\.json.*holds no metric"):
        write_report(run)


def test_undefined_metrics_are_dashes_and_are_named(copied):
    run = copied("two")
    found = read(run / "metrics.json")
    found["test"]["auroc"] = {"value": None, "low": None, "high": None}
    write_json(run / "metrics.json", found)

    page = Page(write_report(run))
    assert "Undefined on these images, and shown as –: AUROC." in page.text


def test_the_same_run_gives_the_same_bytes(copied):
    run = copied("several")

    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_reading_gives_the_final_method_and_the_headline_metric(runs):
    record = read_run(runs("several"))

    assert isinstance(record, Record)
    assert (record.method, record.monitor, record.split) == ("finetune", "average_precision", "test")
