"""The page's section on cross-validation: the numbers of folds.json, and nothing where there is none."""

import shutil

import pytest

from headstart.errors import IntegrityError
from headstart.files import write_json
from headstart.report.page import write_report
from tests.report.conftest import read
from tests.report.test_page import Page


def folds_record(metrics: dict) -> dict:
    rows = [{"fold": number, "train": 800, "val": 400 + number, "best_epoch": epoch, "metrics": metrics}
            for number, epoch in ((1, 3), (2, 0))]
    spread = {"accuracy": {"mean": 0.9123, "deviation": 0.0345, "low": 0.8012, "high": 0.9876,
                           "corrected_low": 0.7654, "corrected_high": 0.9912},
              "auroc": {"mean": 0.99, "deviation": 0.0, "low": None, "high": None, "corrected_low": None,
                        "corrected_high": None}}
    found = {"folds": rows, "spread": spread, "out_of_fold": metrics}
    return {"schema": 1, "folds": 2, "images": 803, "methods": {"finetune": found}}


@pytest.fixture
def folded(runs, tmp_path):
    folder = tmp_path / "ten"
    shutil.copytree(runs("ten"), folder)
    write_json(folder / "folds.json", folds_record(read(folder / "metrics.json")["val"]))
    return folder


def test_the_section_shows_every_fold_and_both_intervals(folded):
    page = Page(write_report(folded))
    assert page.open == []
    assert page.has("folds")
    assert "0.9123" in page.values
    for text in ("The 803 images that are not held out were divided into 2 folds", "401 800 to train on",
                 "weights of epoch 3", "weights of epoch 0", "80.1 to 98.8", "76.5 to 99.1", "out of fold",
                 "Learning curves of the folds", "calibrated each on its own fold"):
        assert text in page.text
    assert "Before temperature scaling" not in page.text


def test_the_summary_says_what_the_folds_say(folded):
    page = Page(write_report(folded))
    assert "where each of 803 other images was answered by a model that did not see it, the accuracy is" in page.text


def test_a_run_without_folds_has_no_such_section(runs):
    page = Page(runs("ten") / "report.html")
    assert not page.has("folds")
    assert "out of fold" not in page.text


def test_folds_of_another_method_contradict_the_run(folded):
    record = read(folded / "folds.json")
    write_json(folded / "folds.json", {**record, "methods": {"probe": record["methods"]["finetune"]}})
    with pytest.raises(IntegrityError, match=r"folds\.json.*it says nothing of finetune"):
        write_report(folded)
