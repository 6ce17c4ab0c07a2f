import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import headstart as hs
from headstart.errors import ConfigError, DataError
from headstart.events import Note
from headstart.selection.compared_sets import titles
from headstart.selection.mismatch import Mismatch
from headstart.selection.mismatch_words import sentences
from tests.data.planted import truncate
from tests.readers.boxes import coco, marked, pictures
from tests.selection.scenes import blurred, write_scenes

SETTINGS: dict[str, Any] = {"image_size": 32, "fit": "squash", "device": "cpu"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair of halves does for what is tested here."""
    monkeypatch.setattr("headstart.selection.apart.HALVINGS", 1)


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "clean", (24, 24), seed=1)


def compared(first: object, second: object = None, **settings: Any) -> Mismatch:
    return hs.mismatch(first, second, **{**SETTINGS, **settings})


def page_of(found: Any) -> str:
    return (found.directory / "mismatch.html").read_text()


def test_a_set_against_itself_has_no_mismatch(clean, alive, tmp_path):
    notes = []
    found = compared(clean, shutil.copytree(clean, tmp_path / "copy"), backbone=alive, listen=notes.append)
    assert found.verdict == "none"
    assert sentences(found)[0].startswith("No mismatch of clean and copy: neither")
    assert "the pictures do not differ by more than chance" in " ".join(sentences(found))
    assert [note.text for note in notes if isinstance(note, Note) and note.level == "warning"] == list(found.notes)
    assert found.notes[0].startswith("48 of the 48 images of ")
    assert found.next == f"headstart adapt {clean}"


def test_spoiled_pictures_are_told_with_what_differs_and_what_to_do(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "spoiled", (25, 25), seed=2, spoil=blurred(4))
    found = compared(clean, there, backbone=alive)
    [one] = found.comparisons
    assert found.verdict in ("clear", "severe")
    assert {"sharpness", "noise"} <= {item.name for item in one.striking if item.effect < -0.9}
    said = " ".join(sentences(found))
    assert "To the eye, spoiled beside clean: " in said
    assert "Expect a linear probe to be right in" in said
    assert "By the labels that are there" in said
    assert f"--target {there} --backbone {found.settings.backbone} --method " in str(found.next)
    assert one.apart.gaps["proxy_a"].within is not None
    written = json.loads((found.directory / "mismatch.json").read_text())
    assert written == found.to_json()
    assert written["comparisons"][0]["differs_most"] == [item.name for item in one.striking]
    assert 0 <= written["comparisons"][0]["prospects"]["expected"]["accuracy"] <= 1


def test_no_label_of_the_second_set_changes_what_is_expected(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "there", (20, 20), seed=2)
    alone = tmp_path / "new"
    alone.mkdir()
    for file in there.rglob("*.png"):
        shutil.copy(file, alone / file.name)
    known, unknown = (compared(clean, place, backbone=alive).comparisons[0] for place in (there, alone))
    assert known.prospects.expected == unknown.prospects.expected
    assert known.prospects.shift.estimates == unknown.prospects.shift.estimates
    assert known.prospects.real is not None
    assert unknown.prospects.real is None
    assert unknown.apart.gaps["mmd"].within is None
    assert known.apart.gaps["mmd"].whole == unknown.apart.gaps["mmd"].whole


def test_data_alone_are_compared_by_split_and_with_the_pretraining(clean, alive):
    found = compared(clean, backbone=alive)
    assert [(one.first, one.second) for one in found.comparisons] == [("train", "val"), ("train", "test")]
    assert found.verdict == "none"
    assert found.source.distance > 0
    assert found.source.images == 48
    assert (found.second, found.next) == (None, None)
    assert "the images of its pretraining" in sentences(found)[-1] or "those of its pretraining" in sentences(found)[-1]
    assert "Distance by layer" in page_of(found)
    assert "layers" in json.loads((found.directory / "mismatch.json").read_text())["source_domain"]


def test_images_without_labels_alone_are_compared_with_the_pretraining(alive, tmp_path):
    found = compared(write_scenes(tmp_path / "new", (10, 10), flat=True), backbone=alive)
    assert (found.comparisons, found.source.images, found.verdict) == ((), 20, "none")


def test_data_with_boxes_in_one_folder_are_told_as_what_they_are(alive, tmp_path):
    heard = []
    for name in ("here", "there"):
        records = [marked(number, image=number) for number in range(1, 13)]
        images = [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in range(1, 13)]
        coco(tmp_path / name, records, images=images)
        pictures(tmp_path / name, *(f"{number}.png" for number in range(1, 13)))
    compared(tmp_path / "here", tmp_path / "there", backbone=alive, listen=heard.append)
    notes = [event.text for event in heard if isinstance(event, Note)]
    assert sum("12 images, 1 classes (cat), format coco, task detection" in note for note in notes) == 2
    assert not any("without labels" in note for note in notes)


def test_new_images_are_compared_with_the_train_images_of_a_run(clean, alive, tmp_path):
    run = hs.adapt(clean, out=tmp_path / "runs" / "one", backbone=alive, method="probe", tracking="off", **SETTINGS)
    there = write_scenes(tmp_path / "there", (20, 20), seed=2)
    found = hs.mismatch(run.directory, there)
    [one] = found.comparisons
    assert (found.mode, one.first, one.second) == ("run", "train images of one", "there")
    assert one.apart.counts == (len(run.samples[run.samples["split"] == "train"]), 40)
    right = hs.evaluate(run, there)["all"]["accuracy"].value
    assert one.prospects.real == pytest.approx(right)
    assert one.prospects.by == "the run's model"
    held = run.predictions
    assert one.prospects.expected.source_accuracy == pytest.approx((held["label"] == held["predicted"]).mean())
    assert hs.mismatch(run, there, out=tmp_path / "again").to_json() == found.to_json()


def test_a_run_that_adapts_to_a_target_has_it_in_its_report(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "there", (16, 16), seed=2, spoil=blurred(4))
    run = hs.adapt(clean, target=there, out=tmp_path / "run", backbone=alive, method=["probe", "prototypes"],
                   tracking="off", **SETTINGS)
    found = json.loads((run.directory / "mismatch.json").read_text())
    assert found["verdict"] in ("clear", "severe")
    assert found["comparisons"][0]["images"][1] == 32
    assert found["comparisons"][0]["prospects"]["real"] is None
    page = (run.directory / "report.html").read_text()
    assert "How far the target lies" in page
    assert "mismatch of the train images and the target images" in page
    # A model that taught itself its answers there is sure of them, right or wrong.
    again = hs.mismatch(run, there)
    assert again.comparisons[0].prospects is None
    assert "was adapted to" in again.notes[-1]
    plain = hs.adapt(clean, out=tmp_path / "plain", backbone=alive, method="probe", tracking="off", **SETTINGS)
    assert "How far the target lies" not in (plain.directory / "report.html").read_text()


def test_a_run_needs_images_and_keeps_its_backbone(clean, alive, tmp_path):
    run = hs.adapt(clean, out=tmp_path / "run", backbone=alive, method="probe", tracking="off", **SETTINGS)
    with pytest.raises(ConfigError, match="is a run: name the images to compare"):
        hs.mismatch(run)
    with pytest.raises(ConfigError, match="looks with its own backbone"):
        hs.mismatch(run, clean, backbone=alive)


def test_classes_are_matched_by_name_and_strange_ones_told(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "there", (20, 20), seed=2)
    (there / "square").rename(there / "triangle")
    found = compared(clean, there, backbone=alive)
    assert "20 of 40 images are of classes that the first set does not have" in " ".join(found.notes)
    assert set(found.comparisons[0].apart.gaps["mmd"].classes) == {"disc"}
    (there / "disc").rename(there / "circle")
    other = compared(clean, there, backbone=alive)
    assert "none of its classes has the name of one of the first set" in " ".join(other.notes)
    assert other.comparisons[0].prospects is None
    assert other.next is None


def test_datasets_that_are_read_already_are_taken(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "there", (20, 20), seed=2)
    found = compared(hs.load_data(str(clean)), hs.load_data(str(there)), backbone=alive)
    assert found.to_json() == compared(clean, there, backbone=alive).to_json()
    assert found.directory == Path("mismatches/clean-1")


def test_only_so_many_images_are_looked_at(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "there", (20, 20), seed=2)
    assert compared(clean, there, backbone=alive, images=24).comparisons[0].apart.counts == (24, 24)
    with pytest.raises(ConfigError, match="--images 5: too few to compare; write 12"):
        compared(clean, there, backbone=alive, images=5)


def test_broken_pictures_are_named_or_left_out(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "there", (20, 20), seed=2)
    truncate(there / "disc" / "0003.png")
    with pytest.raises(DataError, match=r"(?s)0003.png.*one of the images of there.*--skip-bad"):
        compared(clean, there, backbone=alive)
    notes = []
    found = compared(clean, there, backbone=alive, skip_bad=True, listen=notes.append)
    assert found.comparisons[0].apart.counts == (48, 39)
    told = [note.text for note in notes if isinstance(note, Note) and "left out" in note.text]
    assert [text.partition(" can't be read")[0] for text in told] == [f"1 of 40 images of {there}"]
    assert "0003.png" in told[0]


def test_few_images_are_told_and_too_few_refused(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "there", (6, 6), seed=2)
    assert "only large differences show" in " ".join(sentences(compared(clean, there, backbone=alive)))
    with pytest.raises(DataError, match="four: 4 images, too few to compare"):
        compared(clean, write_scenes(tmp_path / "four", (2, 2), seed=3), backbone=alive)


def test_a_place_that_is_not_there_or_taken_is_told(clean, alive, tmp_path):
    with pytest.raises(ConfigError, match="nowhere: no such file or folder"):
        compared(clean, tmp_path / "nowhere", backbone=alive)
    with pytest.raises(ConfigError, match="this folder is not empty"):
        compared(clean, clean, backbone=alive, out=clean)


def test_the_page_has_both_maps_and_asks_for_nothing(clean, alive, tmp_path):
    there = write_scenes(tmp_path / "<there>", (20, 20), seed=2)
    page = page_of(compared(clean, there, backbone=alive))
    for heading in ("Map of the images", "The same by class", "Distances", "To the eye", "Within each class",
                    "Accuracy to expect on", "Proportions of the classes in"):
        assert heading in page
    assert page.count("<circle") >= 2 * 48
    assert page.count("<rect") >= 2 * 40
    assert "<there>" not in page
    assert "&lt;there&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(("first", "second", "names"), [
    ("/a/amazon", "/a/webcam", ("amazon", "webcam")), ("/a/images", "/b/images", ("a/images", "b/images")),
    ("/a/x", "/a/x", ("x (first)", "x (second)"))])
def test_sets_are_called_by_as_much_of_their_place_as_tells_them_apart(first, second, names):
    assert titles(first, second) == names
