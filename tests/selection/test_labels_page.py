"""What the page says, from a record alone."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from headstart.data.dataset import Dataset
from headstart.selection.label_errors import Confusion, LabelError, LabelErrors
from headstart.selection.labels import most_frequent
from headstart.selection.labels_page import SHOWN, sentences, write_labels_page
from headstart.types import Sample
from tests.pictures import picture


def record(errors: int, image: str = "a.png") -> LabelErrors:
    found = tuple(LabelError(i + 1, image, None, "train", ("<cat>",), ("dog",), 0.02, 0.97, 0.03)
                  for i in range(errors))
    pairs = (Confusion("<cat>", "dog", errors, 400),) if errors else ()
    return LabelErrors("pets", {}, "classification", "net", 32, 500, ("<cat>", "dog"), 0.9, found, pairs, 1.0)


def page(found: LabelErrors, source: Path, folder: Path) -> str:
    write_labels_page(found, Dataset((Sample("a.png", source, 0),), found.classes, "classification", "table"), folder)
    return (folder / "labels.html").read_text()


def test_the_page_says_how_many_and_which_class_is_taken_for_which(tmp_path):
    text = page(record(5), picture(tmp_path / "a.png"), tmp_path)
    assert "5 of 500 images (1.0\u00a0%) likely have a wrong label." in text
    assert "5 of the 400 images labelled &lt;cat&gt; look like dog." in text
    assert text.count('<img src="data:image/png;base64,') == 5
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_picture_that_is_gone_is_told_in_its_place(tmp_path):
    assert "picture<br>can't be opened" in page(record(1), tmp_path / "gone.png", tmp_path)


def test_the_page_shows_no_more_pictures_than_it_can_carry(tmp_path):
    text = page(record(SHOWN + 1), picture(tmp_path / "a.png"), tmp_path)
    assert text.count("<img") == SHOWN
    assert f"the first {SHOWN} of {SHOWN + 1}" in text


def test_a_page_without_errors_says_so(tmp_path):
    assert "No label of the 500 images is likely wrong" in page(record(0), tmp_path / "a.png", tmp_path)


@pytest.mark.parametrize(("changes", "why"), [
    ({"accuracy": 0.6, "baseline": 0.55}, "the most frequent answer alone agrees with 55.0"),
    ({"images": 12}, "12 images of 2 classes are few"),
    ({"images": 40, "classes": tuple("abcdef")}, "40 images of 6 classes are few")])
def test_where_there_is_little_to_go_by_that_comes_first_and_nothing_is_called_wrong(changes, why):
    said = sentences(dataclasses.replace(record(5), **changes))
    assert said[0].startswith("Little to go by: ")
    assert why in said[0]
    assert "likely have a wrong label" not in " ".join(said)


def test_where_the_probe_knows_the_images_the_answer_comes_first():
    assert sentences(dataclasses.replace(record(5), baseline=0.5))[0].endswith("likely have a wrong label.")


def test_the_most_frequent_answer_is_that_of_each_label():
    assert most_frequent(np.array([0, 0, 0, 1])) == 0.75
    assert most_frequent(np.array([[0, 1], [0, 1], [0, 0], [1, 1]])) == 0.75


def test_where_there_is_little_to_go_by_and_nothing_doubted_errors_may_go_unseen():
    said = sentences(dataclasses.replace(record(0), images=12))
    assert said[0].endswith("Wrong labels may go unseen.")
