"""The target as it is opened: what is adapted to, what proves it, what is told, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Splits
from headstart.data.fingerprint import content_hashes, fingerprint
from headstart.data.load import load_data
from headstart.data.splits import split
from headstart.errors import ConfigError, DataError
from headstart.job import Job
from headstart.target import Target, open_target
from tests.readers.boxes import coco, marked
from tests.training.small import Events

CLASSES = ("cat", "dog", "owl")


def draw(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (12, 12, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def folders(root: Path, names: tuple[str, ...], *, each: int = 4, start: int = 1000) -> Path:
    """Class folders of pictures that no other call draws, where `start` is another one."""
    for place, name in enumerate(names):
        for number in range(each):
            draw(root / name / f"{number}.png", start + 100 * place + number)
    return root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return folders(tmp_path / "source", CLASSES, each=10, start=0)


def opened(source: Path, target: Path | str, **settings: object) -> tuple[Target, Events]:
    events = Events()
    data = load_data(str(source))
    job = Job.parse({"data": str(source), "target": str(target), "method": "coral", **settings})
    found = open_target(job, data, split(data, seed=0), events)
    assert found is not None
    return found, events


# With and without labels

def test_no_target_is_none(source):
    data = load_data(str(source))
    assert open_target(Job.parse({"data": str(source)}), data, split(data, seed=0), Events()) is None


@pytest.mark.parametrize("below", ["", "photos", "photos/of/today"])
def test_a_folder_of_images_needs_no_labels(below, source, tmp_path):
    folders(tmp_path / "target" / below, ("",))
    found, events = opened(source, tmp_path / "target")
    assert found.proof is None
    assert len(found.images) == 4
    assert found.images.classes == CLASSES
    assert "4 images without labels, in one folder" in events.notes()


def test_a_single_folder_with_the_name_of_a_class_is_told_how_it_would_be_a_label(source, tmp_path):
    folders(tmp_path / "target", ("owl",))
    found, events = opened(source, tmp_path / "target")
    assert found.proof is None
    assert "the folder owl has the name of a class; to take it for the label of its images" in events.notes()
    labelled, _ = opened(source, tmp_path / "target", target_format="class_folders")
    assert labelled.proof is not None
    assert set(labelled.proof.labels()) == {2}


def test_images_in_folders_that_are_no_classes_need_none_either(source, tmp_path):
    folders(tmp_path / "target", ("monday", "tuesday"))
    with pytest.raises(ConfigError, match="say --set target_format=images"):
        opened(source, tmp_path / "target")
    found, events = opened(source, tmp_path / "target", target_format="images")
    assert found.proof is None
    assert len(found.images) == 8
    assert "8 images without labels, in folders" in events.notes()


def test_labels_beside_the_images_in_one_folder_are_not_passed_over(source, tmp_path):
    folders(tmp_path / "target", ("images",))
    names = [f"images/{number}.png" for number in range(4)]
    (tmp_path / "target" / "labels.csv").write_text("image,label\n" + "".join(
        f"{name},{kind}\n" for name, kind in zip(names, ("cat", "dog", "owl", "cat"), strict=True)))
    found, _ = opened(source, tmp_path / "target")
    assert found.proof is not None
    assert sorted(found.proof.labels()) == [0, 0, 1, 2]
    alone, _ = opened(source, tmp_path / "target", target_format="images")
    assert alone.proof is None
    assert len(alone.images) == 4


def test_a_table_is_no_folder_of_images(source, tmp_path):
    folders(tmp_path / "target", ("images",))
    table = tmp_path / "target" / "labels.csv"
    table.write_text("image,label\nimages/0.png,cat\n")
    with pytest.raises(ConfigError, match="takes the images below a folder, and this is a file"):
        opened(source, table, target_format="images")


def test_what_marks_images_is_named_where_it_can_not_be_used(source, tmp_path):
    coco(tmp_path / "target", [marked(1), marked(2, image=2)], name="instances.json")
    with pytest.raises(DataError, match=r"What lies there looks like coco\."):
        opened(source, tmp_path / "target")


def test_boxes_are_no_labels_of_whole_images_and_are_not_passed_over(source, tmp_path):
    coco(tmp_path / "target", [marked(1), marked(2, image=2)])
    with pytest.raises(DataError, match=r"object detection .COCO(.|\n)*say --set target_format=images") as refused:
        opened(source, tmp_path / "target")
    assert str(tmp_path / "target") in str(refused.value)
    assert len(opened(source, tmp_path / "target", target_format="images")[0].images) == 2


def test_class_folders_prove_by_name_and_are_adapted_to_without_labels(source, tmp_path):
    target = folders(tmp_path / "target", ("owl", "cat", "dog"))
    found, events = opened(source, target)
    assert {(sample.label, sample.split, sample.weight) for sample in found.images.samples} == {(None, None, 1.0)}
    assert {(sample.id, CLASSES[sample.label]) for sample in found.proof.samples} == {
        (f"{name}/{number}.png", name) for name in CLASSES for number in range(4)}
    assert found.proof.classes == CLASSES
    assert "target: 3 of 3 classes are shared, by name" in events.notes()


def test_names_that_differ_in_case_and_spelling_alone_mean_the_same(source, tmp_path):
    target = folders(tmp_path / "target", ("Cat", "DOG", "owl"))
    found, events = opened(source, target)
    assert {(sample.id.partition("/")[0], sample.label) for sample in found.proof.samples} == {
        ("Cat", 0), ("DOG", 1), ("owl", 2)}
    assert "target: 3 of 3 classes are shared, by name (Cat as cat, DOG as dog)" in events.notes()


def test_a_target_that_lacks_a_class_is_told_of(source, tmp_path):
    target = folders(tmp_path / "target", ("cat", "owl"))
    found, events = opened(source, target)
    assert "target: 2 of 3 classes are shared, by name" in events.notes()
    assert "target: a partial set of classes: it does not have dog" in events.notes()
    assert {sample.label for sample in found.proof.samples} == {0, 2}
    assert len(found.images) == len(found.proof) == 8


def test_one_class_alone_proves_too(source, tmp_path):
    found, _ = opened(source, folders(tmp_path / "target", ("owl",)), target_format="class_folders")
    assert [CLASSES[sample.label] for sample in found.proof.samples] == ["owl"] * 4


def test_a_class_that_the_source_does_not_know_is_adapted_to_and_not_proven(source, tmp_path):
    target = folders(tmp_path / "target", ("cat", "dog", "newt", "owl"))
    found, events = opened(source, target)
    assert "target: an open set of classes: newt is not known to the source. Their 4 images are adapted to like the " \
        "others" in events.notes()
    assert "newt/0.png" in {sample.id for sample in found.images.samples}
    assert len(found.images) == 16
    assert [sample.id for sample in found.proof.samples if sample.id.startswith("newt")] == []
    assert len(found.proof) == 12


def test_no_shared_class_is_refused_with_both_lists(source, tmp_path):
    target = folders(tmp_path / "target", ("newt", "toad"))
    with pytest.raises(ConfigError) as refused:
        opened(source, target)
    assert "none of its classes (newt, toad) is one of" in str(refused.value)
    assert "(cat, dog, owl)" in str(refused.value)
    assert "for images without labels, say --set target_format=images" in str(refused.value)


@pytest.mark.parametrize("held", ["test", "val"])
def test_a_split_of_its_own_proves_and_is_not_adapted_to(held, source, tmp_path):
    target = folders(tmp_path / "target" / "train", CLASSES)
    folders(tmp_path / "target" / held, CLASSES, each=2, start=5000)
    found, events = opened(source, target.parent)
    assert f"target: its {held} part proves the result, and is not adapted to" in events.notes()
    assert len(found.images) == 12
    assert len(found.proof) == 6
    assert set(content_hashes(found.images)) & set(content_hashes(found.proof)) == set()


# No peeking

def test_the_images_come_in_an_order_that_tells_no_label(source, tmp_path):
    target = folders(tmp_path / "target", CLASSES)
    before = content_hashes(opened(source, target)[0].images)
    moved = tmp_path / "moved"
    for number, path in enumerate(sorted(target.rglob("*.png"))):
        (moved / CLASSES[number % 3]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, moved / CLASSES[number % 3] / f"{100 - number}.png")
    alone = tmp_path / "alone"
    alone.mkdir()
    for number, path in enumerate(sorted(target.rglob("*.png"))):
        shutil.copy(path, alone / f"{50 - number}.png")
    assert content_hashes(opened(source, moved)[0].images) == before
    assert content_hashes(opened(source, alone)[0].images) == before


def test_labels_of_the_target_are_part_of_the_proof_alone(source, tmp_path):
    target = folders(tmp_path / "target", CLASSES)
    before = opened(source, target)[0].record()
    (target / "cat").rename(target / "was cat")
    (target / "dog").rename(target / "cat")
    (target / "was cat").rename(target / "dog")
    after = opened(source, target)[0].record()
    assert after["fingerprint"] == before["fingerprint"]
    assert after["proof_fingerprint"] != before["proof_fingerprint"]


# Mistakes

def test_an_unreadable_file_is_named_and_can_be_left_out(source, tmp_path):
    target = folders(tmp_path / "target", CLASSES)
    (target / "dog" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DataError, match=r"(?s)1 of 12 images of target can't be read:.*dog/2\.png.*--skip-bad"):
        opened(source, target)
    found, events = opened(source, target, skip_bad=True)
    assert "target: 1 unreadable image left out (--skip-bad)" in events.notes()
    assert len(found.images) == len(found.proof) == 11


def test_images_that_the_source_teaches_are_told_of(source, tmp_path):
    target = folders(tmp_path / "target", CLASSES)
    data = load_data(str(source))
    parts = split(data, seed=0)
    shutil.copy(parts.train.samples[0].source, target / "cat" / "copy.png")
    shutil.copy(parts.test.samples[0].source, target / "cat" / "new to it.png")
    _, events = opened(source, target)
    assert "target: 1 of its 14 images are in the source's train part too, byte for byte" in events.notes()


def test_one_image_says_nothing_of_a_domain(source, tmp_path):
    draw(tmp_path / "target" / "one.png", 1)
    with pytest.raises(DataError, match="holds 1 image to adapt to; 2 are the least"):
        opened(source, tmp_path / "target")


def test_a_path_that_is_not_there_and_an_empty_folder_are_refused(source, tmp_path):
    with pytest.raises(ConfigError, match=r"target .*nowhere: no such file or folder"):
        opened(source, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: no image in this folder"):
        opened(source, tmp_path / "empty")


def test_folds_and_other_tasks_are_refused(source, tmp_path):
    target = folders(tmp_path / "target", CLASSES)
    with pytest.raises(ConfigError, match="target: has one model to adapt, and folds make several"):
        opened(source, target, folds=3)
    boxes = load_data(str(source))
    object.__setattr__(boxes, "task", "multilabel")
    job = Job.parse({"data": "boxes", "target": str(target), "method": "coral"})
    with pytest.raises(ConfigError, match=r"for classification, semantic, detection yet, and boxes is data for "
                                          r"multilabel\. "
                                          "Leave target"):
        open_target(job, boxes, Splits(boxes, boxes, boxes), Events())


# Other formats, and what data.json says

def test_a_table_may_be_a_target_and_its_reader_has_settings(source, tmp_path):
    folders(tmp_path / "images", ("",))
    rows = [f"{number}.png,{name}" for number, name in enumerate(("cat", "owl", "dog", "cat"))]
    (tmp_path / "images" / "table.csv").write_text("\n".join(["file,animal", *rows]))
    found, _ = opened(source, tmp_path / "images" / "table.csv", target_format="table",
                      target_reader={"image": "file", "label": "animal"})
    labels = {Path(str(sample.source)).name: CLASSES[sample.label] for sample in found.proof.samples}
    assert labels == {"0.png": "cat", "1.png": "owl", "2.png": "dog", "3.png": "cat"}


def test_the_record_says_what_was_adapted_to(source, tmp_path):
    target = folders(tmp_path / "target", CLASSES)
    found, events = opened(source, target)
    record = found.record()
    assert json.loads(json.dumps(record)) == record
    assert {key: record[key] for key in ("root", "format", "images", "proof")} == {
        "root": str(target), "format": "class_folders", "images": 12, "proof": 12}
    assert record["fingerprint"] == fingerprint(found.images)
    assert record["proof_fingerprint"] == fingerprint(found.proof)
    assert record["notes"] == [event.text for event in events]


def test_the_record_of_images_without_labels_has_no_proof(source, tmp_path):
    found, _ = opened(source, folders(tmp_path / "target", ("",)))
    assert found.record()["proof"] == 0
    assert found.record()["proof_fingerprint"] is None


def test_another_image_is_another_fingerprint(source, tmp_path):
    target = folders(tmp_path / "target", CLASSES)
    before = opened(source, target)[0].record()
    draw(target / "cat" / "0.png", 77)
    assert opened(source, target)[0].record()["fingerprint"] != before["fingerprint"]
