"""Slices of pictures with masks: each is its part of both, validation counts each pixel once, training sees all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.data.slices import Slices
from headstart.data.transforms import Preprocessing
from headstart.errors import DataError
from headstart.events import silent
from headstart.metrics.masks import confusion_of
from headstart.training.mask_pictures import TrainMasks
from headstart.training.sliced_masks import SlicedMasks
from headstart.training.train import train
from headstart.types import IGNORED
from tests.training.small import Events, context, rows
from tests.training.test_mask_lesson import marked, model, plan, splits

CUT = Slices(size=32, overlap=0.25)
SETTINGS = Preprocessing(size=32, fit="pad")


def sliced(dataset: Dataset, folder: Path, *, once: bool = False, budget: float = 1e9) -> SlicedMasks:
    found = SlicedMasks(dataset, SETTINGS, CUT, budget=budget, scratch=folder / "scratch", once=once)
    found.load(step="decoding", listen=silent, check=lambda: None)
    return found


@pytest.mark.parametrize("budget", [1e9, 0])
def test_a_slice_is_the_part_of_the_picture_and_of_its_mask(tmp_path: Path, budget: float) -> None:
    found = sliced(marked(tmp_path, 3), tmp_path, budget=budget)
    assert len(found.places) == 3 * 6
    examples = TrainMasks(found, np.ones(len(found.places), np.float32), preset="none", level=0, seed=0)
    for row, place in enumerate(found.places):
        left, top, right, bottom = place.window
        picture, mask = (np.asarray(Image.open(tmp_path / part / f"{place.picture:02}.png"))
                         for part in ("images", "masks"))
        item = examples[(0, row)]
        np.testing.assert_array_equal(item.image.numpy().transpose(1, 2, 0), picture[top:bottom, left:right])
        np.testing.assert_array_equal(item.classes.numpy(), mask[top:bottom, left:right])


def test_validation_counts_every_pixel_once(tmp_path: Path) -> None:
    data = marked(tmp_path, 3)
    found = sliced(data, tmp_path, once=True)
    truths = [found.labelled(row).classes for row in range(len(found.places))]
    assert any((truth == IGNORED).any() for truth in truths)
    whole = [np.asarray(Image.open(tmp_path / f"masks/{number:02}.png")) for number in range(3)]
    parts = found.gathered([confusion_of(truth, np.zeros_like(truth), 2) for truth in truths])
    assert [part.tolist() for part in parts] == [confusion_of(one, np.zeros_like(one), 2).tolist() for one in whole]


def test_training_on_slices_validates_on_the_pictures(tmp_path: Path) -> None:
    made = model()
    cut = replace(made, task=made.task.model_copy(update={"slices": CUT}),
                  preprocessing=made.preprocessing.model_copy(update={"size": 32}))
    events = Events()
    tuned = train(cut, splits(tmp_path / "data"), plan(epochs=2, augment="none"), context(tmp_path, events))
    assert rows(events)[0]["step"] == 16 * 6 / 4
    assert rows(events)[-1]["val_miou"] > 0.8
    assert tuned.task == cut.task


def test_a_mask_of_another_size_is_named(tmp_path: Path) -> None:
    data = marked(tmp_path, 2)
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(tmp_path / "masks/01.png")
    with pytest.raises(DataError, match=r"  images/01\.png: 40x64 pixels, its mask 10x10"):
        sliced(data, tmp_path)
