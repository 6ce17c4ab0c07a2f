"""Detectors learn by the same loop as classifiers: it descends, resumes to the bit, and refuses what has no effect."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.backbones.timm import Timm
from headstart.data.dataset import Dataset, Splits
from headstart.data.transforms import Preprocessing
from headstart.detectors.detector import DETECTORS
from headstart.errors import ConfigError
from headstart.events import EpochEnded, Progress, silent
from headstart.methods.finetune import Finetune
from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.training import whole_lesson
from headstart.training.box_lesson import BoxLesson
from headstart.training.box_pictures import BoxPictures, TrainBoxes
from headstart.training.frozen_maps import FrozenMaps
from headstart.training.network import Network
from headstart.training.train import train
from headstart.types import Instance, Sample
from tests.detectors import ON_ANY_BACKBONE
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, rows

CLASSES = ("red", "blue")
COLOURS = ((220, 30, 30), (30, 30, 220))
SETTINGS = Preprocessing(size=64, interpolation="bilinear", fit="pad")


def boxed(folder: Path, count: int) -> list[Sample]:
    """Write grey pictures of 80 x 60 pixels, each with an outlined coloured rectangle or two; every sixth has none."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number in range(count):
        rng = np.random.default_rng(number)
        pixels = np.full((60, 80, 3), 128, np.uint8)
        objects = []
        for label in range(2) if number % 6 else ():
            left, top = int(rng.integers(0, 14)) + 40 * label, int(rng.integers(0, 30))
            right, bottom = left + int(rng.integers(18, 26)), top + int(rng.integers(18, 30))
            pixels[top:bottom, left:right] = COLOURS[label]
            objects.append(Instance(label, (left, top, right, bottom), polygons=(
                (left, top, right, top, right, bottom, left, bottom),)))
        path = folder / f"{number:03d}.png"
        Image.fromarray(pixels).save(path)
        samples.append(Sample(path.name, path, tuple(sorted({o.label for o in objects})), objects=tuple(objects)))
    return samples


def splits(folder: Path, *, train: int = 12, val: int = 4) -> Splits:
    dataset = Dataset(tuple(boxed(folder, train + val)), CLASSES, "detection", "coco", root=folder)
    return Splits(dataset.subset(range(train)), dataset.subset(range(train, train + val)), dataset.subset([]))


def model(detector: str = "fcos") -> Model:
    torch.manual_seed(0)
    backbone = Timm().build("timm/test_resnet", pretrained=False).eval()
    return Model.fresh(backbone, Detection(detector=DETECTORS.get(detector)()), CLASSES, preprocessing=SETTINGS)


def plan(**changes: object) -> Finetune:
    return Finetune(**{"epochs": 2, "batch_size": 4, "lr_head": 2e-3, "lr_backbone": 1e-3, "clip_norm": 5.0, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("detector", ON_ANY_BACKBONE)
def test_training_lowers_the_loss(tmp_path: Path, detector: str) -> None:
    events = Events()
    train(model(detector), splits(tmp_path / "data"), plan(epochs=4, augment="none"), context(tmp_path, events))
    found = rows(events)
    assert found[-1]["train_loss"] < 0.9 * found[0]["train_loss"]
    assert all(np.isfinite(value) for row in found for value in row.values())
    assert all(0 <= row["val_ap"] <= 1 for row in found)


@pytest.mark.parametrize("detector", ["fcos", "faster_rcnn"])
def test_an_interruption_changes_no_bit(tmp_path: Path, detector: str) -> None:
    events, again = Events(), Events()
    chosen = plan(augment="strong", average="ema", checkpoint_seconds=0.02)
    whole = train(model(detector), splits(tmp_path / "data"), chosen, context(tmp_path / "whole", events))
    parts = splits(tmp_path / "data")
    for step in (2, 4):
        assert in_child(lambda at=step: train(model(detector), parts, chosen, context(  # type: ignore[misc]
            tmp_path / "broken", kill_at_step(at)))) == -signal.SIGKILL
    torch.manual_seed(99)
    resumed = train(model(detector), parts, chosen, context(tmp_path / "broken", again))
    assert digest(resumed) == digest(whole)
    assert rows(again) == rows(events)


def test_neither_workers_nor_the_global_generator_change_a_bit(tmp_path: Path) -> None:
    outcomes = []
    for workers, seed in ((0, 1), (2, 2)):
        events, start = Events(), model("faster_rcnn")
        torch.manual_seed(seed)
        trained = train(start, splits(tmp_path / "data"), plan(augment="strong", epochs=1),
                        context(tmp_path / str(workers), events, workers=workers))
        outcomes.append((digest(trained), rows(events)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("detector", ON_ANY_BACKBONE)
def test_validation_says_the_same_whatever_was_drawn_before(tmp_path: Path, detector: str) -> None:
    """Epoch 0 is validated before any step has seeded the generator, and its loss decides between equal epochs."""
    start, chosen = model(detector), plan()
    lesson = BoxLesson(start, splits(tmp_path / "data"), chosen, context(tmp_path, silent))
    network, batch = Network(start.backbone, start.head, chosen).eval(), lesson.batch(next(iter(lesson.val())))
    told = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            told.append(lesson.answers(network, batch, 4)[1])
    assert told[0] == told[1]


def frozen(folder: Path, data: Path, **changes: object) -> tuple[str, list[dict[str, float]]]:
    events = Events()
    trained = train(model(), splits(data), plan(scope="head", augment="none", epochs=2, **changes),
                    context(folder, events))
    return digest(trained), rows(events)


def test_maps_that_are_kept_train_as_maps_that_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = frozen(tmp_path / "kept", tmp_path / "data")
    monkeypatch.setattr(whole_lesson, "SHARE", 0.0)
    assert frozen(tmp_path / "anew", tmp_path / "data") == kept


def test_the_size_finder_leaves_no_blank_map_behind(tmp_path: Path) -> None:
    """Its black pictures are none of the data, and must not stand for one."""
    parts = splits(tmp_path / "data")
    lesson = BoxLesson(model(), parts, plan(scope="head", augment="none"), context(tmp_path, silent))
    assert not set(lesson.blank(2).indices.tolist()) & set(range(len(parts.train)))


def test_maps_are_not_kept_where_a_level_lets_images_vary(tmp_path: Path) -> None:
    lesson = BoxLesson(model(), splits(tmp_path / "data"), plan(scope="head", augment="none", on_overfit="regularise"),
                       context(tmp_path, silent))
    lesson.examples(0)
    assert lesson._maps is not None
    lesson.examples(1)
    assert lesson._maps is None


def test_maps_are_kept_within_their_budget_and_each_once() -> None:
    backbone, images = model().backbone, torch.rand(2, 3, 64, 64)
    calls: list[int] = []
    real = backbone.maps
    backbone.maps = lambda image: (calls.append(1), real(image))[1]  # type: ignore[method-assign, func-returns-value]
    one = sum(found.nbytes for stride, found in real(images[:1]).items() if stride >= 8)
    keeper = FrozenMaps(1.5 * one, 8)
    for _ in range(3):
        keeper.of(backbone, images, [("train", 0), ("train", 1)])
    assert len(calls) == 1 + 3
    again, first = (keeper.of(backbone, images[:1], [(part, 0)]) for part in ("val", "train"))
    assert all(torch.equal(again[stride], found) for stride, found in first.items())


@pytest.mark.parametrize(("settings", "message"), [
    ({"mix": "mixup"}, "mix would have no effect on detection"),
    ({"label_smoothing": 0.1}, "label_smoothing would have no effect on detection"),
    ({"erasing": 0.5, "dropout": 0.2}, "erasing, dropout would have no effect on detection"),
    ({"loss": "focal"}, "loss would have no effect on detection"),
    ({"batch_norm": "adapt"}, "batch_norm=adapt solves a linear head anew"),
    ({"monitor": "app50"}, 'monitor "app50" is not a metric of detection that training can watch. Did you mean "ap50"'),
    ({"monitor": "accuracy"}, 'monitor "accuracy" is not a metric of detection'),
])
def test_settings_without_effect_are_refused(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    events = Events()
    with pytest.raises(ConfigError, match=message):
        train(model(), splits(tmp_path / "data"), plan(**settings), context(tmp_path, events))
    assert not events


@pytest.mark.parametrize("monitor", ["loss", "ap50"])
def test_other_metrics_can_be_watched(tmp_path: Path, monitor: str) -> None:
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(monitor=monitor, epochs=1, augment="none"),
          context(tmp_path, events))
    assert f"val_{monitor}" in rows(events)[0]


def test_crowds_are_not_learned_and_difficult_objects_are(tmp_path: Path) -> None:
    path = boxed(tmp_path, 1)[0].source
    objects = (Instance(0, (0, 0, 40, 30)), Instance(1, (10, 10, 60, 50), crowd=True),
               Instance(1, (40, 30, 80, 60), difficult=True))
    dataset = Dataset((Sample("a", path, (0, 1), objects=objects),), CLASSES, "detection", "coco")
    pictures = BoxPictures(dataset, SETTINGS, budget=0.0)
    item = TrainBoxes(pictures, np.ones(1, np.float32), preset="none", level=0, seed=0)[(0, 0)]
    assert item.image.shape == (3, 48, 64)
    assert item.labels.tolist() == [0, 1]
    np.testing.assert_allclose(item.boxes.numpy(), [[0, 0, 32, 24], [32, 24, 64, 48]], atol=1e-4)


def test_time_limit_ends_with_the_best_so_far(tmp_path: Path) -> None:
    events, left = Events(), iter([9.0] * 4)
    trained = train(model(), splits(tmp_path / "data"), plan(epochs=3, augment="none"),
                    context(tmp_path, events, remaining=lambda: next(left, 0.0)))
    assert [event.step for event in events.of(EpochEnded)] == [3, 5]
    assert "the time limit ends training after 5 of 9 steps" in events.notes()
    again = Events()
    assert digest(train(model(), splits(tmp_path / "data"), plan(epochs=3, augment="none"),
                        context(tmp_path, again))) == digest(trained)
    assert not again.of(Progress) or all("decoding" in event.step for event in again.of(Progress))


def test_frozen_batch_norm_keeps_its_statistics(tmp_path: Path) -> None:
    start = model()
    trained = train(start, splits(tmp_path / "data"), plan(epochs=1), context(tmp_path, silent))
    before = {key: value for key, value in start.backbone.state_dict().items() if "running" in key}
    assert before
    assert all(torch.equal(trained.backbone.state_dict()[key], value) for key, value in before.items())
    assert trained.backbone.weights_hash() != start.backbone.weights_hash()
