"""A batch of a detector is as high and as wide as its largest picture, so that like ones go together."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.canvas import on_canvas
from headstart.data.dataset import Dataset, Splits
from headstart.data.transforms import Preprocessing
from headstart.events import silent
from headstart.training.box_lesson import BoxLesson
from headstart.training.box_pictures import BoxPictures
from headstart.training.order import Order
from headstart.training.train import train
from headstart.types import Sample
from tests.shared_data import shared
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, rows
from tests.training.test_box_lesson import CLASSES, boxed, model, plan, splits


def shapes(folder: Path, *, count: int = 16) -> Splits:
    """Pictures that lie (even ones) and pictures that stand, and four of validation."""
    samples = []
    for number, sample in enumerate(boxed(folder, count + 4)):
        assert isinstance(sample.source, Path)
        if number % 2:
            with Image.open(sample.source) as picture:
                picture.transpose(Image.Transpose.TRANSPOSE).save(sample.source)
            turned = tuple(replace(one, box=(one.box[1], one.box[0], one.box[3], one.box[2]))
                           for one in sample.objects or ())
            sample = replace(sample, objects=turned)
        samples.append(sample)
    dataset = Dataset(tuple(samples), CLASSES, "detection", "coco", root=folder)
    return Splits(dataset.subset(range(count)), dataset.subset(range(count, count + 4)), dataset.subset([]))


def test_a_batch_of_training_is_of_one_shape_and_resumes_to_the_same_bits(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, chosen, events = shapes(tmp_path / "data"), plan(augment="strong", checkpoint_seconds=0.02), Events()
    seen: list[list[int]] = []
    real = BoxLesson.batch
    monkeypatch.setattr(BoxLesson, "batch", lambda self, items: (
        seen.append([item.index for item in items]), real(self, items))[1])
    whole = train(model(), parts, chosen, context(tmp_path / "whole", events))
    learned = [batch for batch in seen if len(batch) == 4 and batch != [0, 1, 2, 3]]  # which is validation
    assert len(learned) == 8
    assert all(len({index % 2 for index in batch}) == 1 for batch in learned)
    assert sorted(index for batch in learned[:4] for index in batch) == list(range(16))
    assert in_child(lambda: train(model(), parts, chosen, context(tmp_path / "broken", kill_at_step(5)))) == \
        -signal.SIGKILL
    again = Events()
    assert digest(train(model(), parts, chosen, context(tmp_path / "broken", again))) == digest(whole)
    assert rows(again) == rows(events)


def test_pictures_of_one_shape_are_in_the_order_of_any_training(tmp_path: Path) -> None:
    one, several = (BoxLesson(model(), made(tmp_path / made.__name__), plan(), context(tmp_path, silent))
                    for made in (splits, shapes))
    for lesson in (one, several):
        lesson.pictures.load(step="decode", listen=silent, check=lambda: None)
    assert one.alike() is None
    assert several.alike().tolist() == [3, -2] * 8  # type: ignore[union-attr]


def padding(order: Order, sizes: np.ndarray, settings: Preprocessing) -> float:
    """Return the share of the pixels of all batches that belong to no picture. sizes: int64 [N, 2]."""
    used = filled = 0
    for batch in order:
        images = [torch.zeros(3, *sizes[index], dtype=torch.uint8) for _, index in batch]
        used += sum(image[0].numel() for image in images)
        filled += on_canvas(images, settings)[:, 0].numel()
    return 1 - used / filled


def test_little_of_the_batches_of_the_pedestrians_is_filled_up() -> None:
    """Measured: 19% of the pixels without groups, 7% with them; batches of one picture would have 5.5%."""
    files = sorted((shared("pennfudan") / "PNGImages").glob("*.png"))
    settings = Preprocessing(size=320, fit="pad")
    pictures = BoxPictures(Dataset(tuple(Sample(file.name, file, None) for file in files), (), "detection", "x"),
                           settings, budget=0.0)
    sizes = []
    for position, file in enumerate(files):
        with Image.open(file) as picture:
            pictures.original[position] = (picture.height, picture.width)
        scale = 320 / max(pictures.original[position])
        sizes.append([round(side * scale) for side in pictures.original[position]])
    order = Order(len(files), 8, 3, seed=0)
    before, after = (padding(made, np.array(sizes), settings) for made in (order, order.grouped(pictures.aspects())))
    print(f"padding: {before:.3f} without groups, {after:.3f} with")
    assert before > 0.17
    assert after < 0.08
