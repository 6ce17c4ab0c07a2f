"""Slices are learned like pictures: each once an epoch, with its boxes, decoded once, resumed to the bit."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Dataset, Splits
from headstart.data.slices import Slices
from headstart.detecting import detect
from headstart.errors import DataError
from headstart.events import Note, silent
from headstart.metrics.boxes import detection_metrics, truths_of
from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.training import box_lesson, sliced_pictures
from headstart.training.box_lesson import BoxLesson
from headstart.training.box_pictures import TrainBoxes
from headstart.training.sliced_boxes import SlicedBoxes
from headstart.training.train import train
from headstart.types import Instance, Sample
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, rows
from tests.training.test_box_lesson import CLASSES, COLOURS, SETTINGS, model, plan

CUT = Slices(size=64, overlap=0.25)


def large(folder: Path, count: int, *, objects: int = 6) -> Dataset:
    """Write grey pictures of 200 x 150 pixels, each with small coloured rectangles; every fourth has none."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number in range(count):
        rng = np.random.default_rng(number)
        pixels, found = np.full((150, 200, 3), 128, np.uint8), []
        for place in range(objects if number % 4 else 0):
            left, top = int(rng.integers(0, 180)), int(rng.integers(0, 130))
            pixels[top:top + 16, left:left + 18] = COLOURS[place % 2]
            found.append(Instance(place % 2, (left, top, left + 18, top + 16)))
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(path.name, path, tuple(sorted({o.label for o in found})), objects=tuple(found)))
    return Dataset(tuple(samples), CLASSES, "detection", "coco", root=folder)


def splits(folder: Path) -> Splits:
    data = large(folder, 8)
    return Splits(data.subset(range(5)), data.subset(range(5, 8)), data.subset([]))


def slicing(cut: Slices = CUT) -> Model:
    made = model()
    return replace(made, task=made.task.model_copy(update={"slices": cut}))


def pictures(dataset: Dataset, folder: Path, **changes: object) -> SlicedBoxes:
    return SlicedBoxes(dataset, SETTINGS, CUT, **{"budget": 1e9, "scratch": folder, "seed": None, **changes})  # type: ignore[arg-type]


def loaded(found: SlicedBoxes) -> SlicedBoxes:
    found.load(step="decoding", listen=silent, check=lambda: None)
    return found


def test_a_slice_is_the_part_of_the_picture_with_its_boxes(tmp_path: Path) -> None:
    data = large(tmp_path, 2)
    found = loaded(pictures(data, tmp_path))
    whole = np.asarray(Image.open(tmp_path / "001.png"))
    examples = TrainBoxes(found, np.ones(len(found.places), np.float32), preset="none", level=0, seed=0)
    seen = 0
    for row, place in enumerate(found.places):
        if place.picture == 1:
            left, top, right, bottom = place.window
            item = examples[(0, row)]
            np.testing.assert_array_equal(item.image.numpy().transpose(1, 2, 0), whole[top:bottom, left:right])
            boxes = np.add(item.boxes.numpy(), (left, top, left, top))
            for box, label in zip(boxes, item.labels.tolist(), strict=True):
                assert any(one.label == label and np.allclose(box, np.clip(
                    one.box, [left, top, left, top], [right, bottom, right, bottom]))
                           for one in data.samples[1].objects or ())
                seen += 1
    assert seen >= 6


def test_every_epoch_sees_every_slice_with_objects_once(tmp_path: Path) -> None:
    parts = splits(tmp_path / "data")
    lesson = BoxLesson(slicing(), parts, plan(), context(tmp_path, silent))
    every = pictures(parts.train, tmp_path)
    showing = {sample.id for sample in every.dataset.samples if sample.objects}
    assert showing <= {sample.id for sample in lesson.pictures.dataset.samples}
    events = Events()
    train(slicing(), parts, plan(epochs=1), context(tmp_path, events))
    assert rows(events)[-1]["step"] == -(-len(lesson.pictures.dataset) // 4)


def test_slices_without_objects_are_as_many_at_most_and_the_same_ones_again(tmp_path: Path) -> None:
    data = large(tmp_path, 4, objects=1)
    found = [pictures(data, tmp_path, seed=seed) for seed in (1, 1, 2)]
    shows = [bool(sample.objects) for sample in found[0].dataset.samples]
    assert 0 < shows.count(False) <= shows.count(True)
    assert len(found[0].places) < len(pictures(data, tmp_path).places)
    assert found[0].places == found[1].places != found[2].places


def test_a_small_picture_without_objects_stays(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "small.png")
    data = Dataset((Sample("small.png", tmp_path / "small.png", (), objects=()),) * 3, CLASSES, "detection", "coco")
    assert [sample.id for sample in pictures(data, tmp_path, seed=0).dataset.samples] == ["small.png"] * 3


def test_slices_that_show_crowds_alone_are_left_out(tmp_path: Path) -> None:
    data = large(tmp_path, 1)
    crowd = replace(data.samples[0], objects=(Instance(0, (0, 0, 200, 150), crowd=True), Instance(1, (5, 5, 30, 30))))
    assert [place.window for place in pictures(replace(data, samples=(crowd,)), tmp_path, seed=0).places] == [
        (0, 0, 64, 64)]


def test_nothing_to_learn_from_is_told(tmp_path: Path) -> None:
    data = large(tmp_path, 1)
    crowd = replace(data.samples[0], objects=(Instance(0, (0, 0, 200, 150), crowd=True),))
    with pytest.raises(DataError, match="no slice of the training pictures shows an object"):
        pictures(replace(data, samples=(crowd,)), tmp_path, seed=0)


def test_the_log_says_how_many_slices_there_are(tmp_path: Path) -> None:
    events = Events()
    pictures(large(tmp_path, 4, objects=1), tmp_path, seed=1).load(step="decoding train", listen=events,
                                                                  check=lambda: None)
    assert "decoding train: 4 pictures give 48 slices of up to 64 pixels;" in events.notes()
    assert "without objects are left out" in events.notes()


@pytest.mark.parametrize("budget", [1e9, 0.0, 200_000.0])
def test_each_picture_is_decoded_once_whatever_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                          budget: float) -> None:
    calls: list[object] = []
    real = sliced_pictures.opened
    monkeypatch.setattr(sliced_pictures, "opened",
                        lambda source, **form: (calls.append(source), real(source, **form))[1])
    data = large(tmp_path, 3)
    found = loaded(pictures(data, tmp_path / "scratch", budget=budget))
    shown = [found[row] for row in range(len(found.places))]
    assert len(calls) == 3
    monkeypatch.undo()
    for row, small in enumerate(shown):
        np.testing.assert_array_equal(small, found._decode(row))
    assert found.used is not None
    assert found.used <= budget
    assert not list((tmp_path / "scratch").glob("*")), "the file has no name, so that nothing stays behind"


def test_a_full_disk_costs_time_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sliced_pictures.os, "pwrite", full)
    events = Events()
    found = pictures(large(tmp_path, 2), tmp_path, budget=0.0)
    found.load(step="decoding", listen=events, check=lambda: None)
    assert "slices fit neither into memory nor into" in events.of(Note)[-1].text
    assert found[3].shape == (64, 64, 3)


def test_all_broken_pictures_are_named_at_once(tmp_path: Path) -> None:
    data = large(tmp_path, 4)
    (tmp_path / "001.png").write_bytes(b"no picture")
    whole = (tmp_path / "002.png").read_bytes()
    (tmp_path / "002.png").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(DataError, match=r"2 of 4 images can't be read:\n(.|\n)*001.png(.|\n)*002.png"):
        loaded(pictures(data, tmp_path))


def test_an_interruption_changes_no_bit(tmp_path: Path) -> None:
    events, again = Events(), Events()
    chosen = plan(augment="strong", average="ema", checkpoint_seconds=0.02)
    parts = splits(tmp_path / "data")
    whole = train(slicing(), parts, chosen, context(tmp_path / "whole", events))
    for step in (2, 9):
        assert in_child(lambda at=step: train(slicing(), parts, chosen, context(  # type: ignore[misc]
            tmp_path / "broken", kill_at_step(at)))) == -signal.SIGKILL
    resumed = train(slicing(), parts, chosen, context(tmp_path / "broken", again))
    assert digest(resumed) == digest(whole)
    assert rows(again) == rows(events)


def test_neither_workers_nor_where_slices_are_kept_change_a_bit(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []
    for workers, share in ((0, 0.25), (2, 0.0)):
        monkeypatch.setattr(box_lesson, "SHARE", share)
        events = Events()
        trained = train(slicing(), splits(tmp_path / "data"), plan(augment="strong", epochs=1),
                        context(tmp_path / str(workers), events, workers=workers))
        outcomes.append((digest(trained), rows(events)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("cut", [CUT, Slices(size=64, overlap=0.25, whole=True, merge="wbf")])
def test_validation_says_what_the_finished_model_says(tmp_path: Path, cut: Slices) -> None:
    """In slices that are merged, as prediction does it."""
    parts, events = splits(tmp_path / "data"), Events()
    trained = train(slicing(cut), parts, plan(epochs=3, augment="none", lr_head=5e-3), context(tmp_path, events))
    assert isinstance(trained.task, Detection)
    assert trained.task.slices == cut
    found, sizes = detect(trained, [sample.source for sample in parts.val.samples])
    ap = detection_metrics(found, truths_of(parts.val.samples), 2, names=["ap"])["ap"]
    assert sizes == [(150, 200)] * 3
    assert max(row["val_ap"] for row in rows(events)) == pytest.approx(ap, abs=1e-6)
