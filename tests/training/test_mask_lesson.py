"""Training on masks: what is learnt, what is ignored, and that a break changes nothing."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.backbones import resolve
from headstart.data.dataset import Dataset, Splits
from headstart.data.load import load_data
from headstart.errors import DataError
from headstart.events import silent
from headstart.methods.finetune import Finetune
from headstart.model import Model
from headstart.segmenters.unet import Unet
from headstart.tasks.semantic import Semantic
from headstart.training.mask_lesson import MaskBatch, MaskLesson
from headstart.training.network import Network
from headstart.training.train import train
from headstart.types import IGNORED
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, rows

CLASSES = ("ground", "thing")


def marked(folder: Path, count: int = 20, *, ignored: int | None = None) -> Dataset:
    """Noisy pictures, every second one standing, with a bright rectangle each; `ignored`: one without any class."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng(number)
        size = (64, 40) if number % 2 else (40, 64)
        pixels, classes = rng.integers(60, 120, (*size, 3)).astype(np.uint8), np.zeros(size, np.uint8)
        top, left = int(rng.integers(0, size[0] - 20)), int(rng.integers(0, size[1] - 20))
        pixels[top:top + 20, left:left + 20], classes[top:top + 20, left:left + 20] = 230, 1
        if number == ignored:
            classes[:] = 255
        Image.fromarray(pixels).save(folder / f"images/{number:02}.png")
        Image.fromarray(classes).save(folder / f"masks/{number:02}.png")
    return load_data(folder, settings={"classes": "ground,thing", "ignore": "255"})


def splits(folder: Path, *, ignored: int | None = None) -> Splits:
    dataset = marked(folder, ignored=ignored)
    return Splits(dataset.subset(range(16)), dataset.subset(range(16, 20)), dataset.subset([]))


def model(width: int = 16) -> Model:
    backbone, _ = resolve.load("efficientnet_lite0", size=64)
    torch.manual_seed(0)
    return Model.fresh(backbone, Semantic(segmenter=Unet(width=width)), CLASSES,
                       preprocessing=backbone.spec.preprocessing.model_copy(update={"fit": "pad"}))


def plan(**settings: object) -> Finetune:
    return Finetune.parse({"epochs": 2, "batch_size": 4, "lr_head": 1e-2, "lr_backbone": 1e-3, **settings})


def test_a_training_that_was_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    parts, chosen, events = splits(tmp_path / "data"), plan(augment="strong", checkpoint_seconds=0.001), Events()
    whole = train(model(), parts, chosen, context(tmp_path / "whole", events))
    assert in_child(lambda: train(model(), parts, chosen, context(tmp_path / "broken", kill_at_step(5)))) == \
        -signal.SIGKILL
    again = Events()
    assert digest(train(model(), parts, chosen, context(tmp_path / "broken", again))) == digest(whole)
    assert rows(again) == rows(events)


def test_training_learns_where_the_thing_is(tmp_path: Path) -> None:
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(epochs=6), context(tmp_path / "work", events))
    assert max(row["val_miou"] for row in rows(events)) > 0.85


def lesson(folder: Path, parts: Splits, **settings: object) -> MaskLesson:
    found = MaskLesson(model(), parts, plan(**settings), context(folder, silent))
    for pictures in (found.pictures, found.val_pictures):
        pictures.load(step="decode", listen=silent, check=lambda: None)
    return found


def test_pictures_of_one_size_share_a_batch_and_what_is_around_them_is_of_no_class(tmp_path: Path) -> None:
    found = lesson(tmp_path, splits(tmp_path / "data"), augment="none")
    assert found.alike().tolist() == [1, 0] * 8 or found.alike().tolist() == [0, 1] * 8  # type: ignore[union-attr]
    examples = found.examples(0)
    batch = found.batch([examples[0, 0], examples[0, 1]])
    assert isinstance(batch, MaskBatch)
    assert batch.images.shape == (2, 3, 64, 64)
    assert batch.sizes == ((40, 64), (64, 40))
    assert bool((batch.targets[0, 40:] == IGNORED).all())
    assert bool((batch.targets[0, :40] != IGNORED).all())
    assert set(batch.targets[1, :, :40].unique().tolist()) == {0, 1}


def test_an_image_of_ignored_pixels_alone_adds_no_gradient(tmp_path: Path) -> None:
    found = lesson(tmp_path, splits(tmp_path / "data", ignored=2), augment="none")
    examples = found.examples(0)
    batch = found.batch([examples[0, 2], examples[0, 2]])
    network = Network(found.model.backbone, found.model.head, found.plan)
    share = found.backward(network, batch, batch, torch.arange(2))
    assert share.loss == 0
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in network.parameters())


def test_balanced_class_weights_let_every_class_count_the_same(tmp_path: Path) -> None:
    found = lesson(tmp_path, splits(tmp_path / "data"), class_weights="balanced")
    counts = np.array([16 * (40 * 64 - 400), 16 * 400])
    assert found._class_weights.numpy() == pytest.approx(counts.sum() / (2 * counts))
    assert lesson(tmp_path, splits(tmp_path / "data"))._class_weights.tolist() == [1, 1]


def test_frozen_maps_that_are_kept_change_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts, chosen = splits(tmp_path / "data"), plan(scope="head", augment="none")
    kept, anew = Events(), Events()
    train(model(), parts, chosen, context(tmp_path / "kept", kept))
    monkeypatch.setattr("headstart.training.whole_lesson.FrozenMaps", lambda *_: None)
    train(model(), parts, chosen, context(tmp_path / "anew", anew))
    assert [row["val_miou"] for row in rows(kept)] == pytest.approx([row["val_miou"] for row in rows(anew)], abs=5e-3)


def test_a_mask_that_was_changed_since_the_data_were_read_is_told_with_its_image(tmp_path: Path) -> None:
    parts = splits(tmp_path / "data")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / "data/masks/00.png")
    with pytest.raises(DataError, match=r"images/00\.png: 64x40 pixels, its mask 3x3"):
        lesson(tmp_path, parts)
