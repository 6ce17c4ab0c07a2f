"""What the page says, from a record alone."""

from pathlib import Path

from headstart.data.dataset import Dataset
from headstart.selection.label_errors import Confusion, LabelError, LabelErrors
from headstart.selection.labels_page import SHOWN, write_labels_page
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
