"""The weight of an image multiplies its loss in the training of a detector, or is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from headstart.data.dataset import Splits
from headstart.errors import ConfigError, DataError
from headstart.events import silent
from headstart.training.box_lesson import BoxBatch, BoxLesson
from headstart.training.network import Network
from headstart.training.train import train
from tests.training.small import Events, context, digest
from tests.training.test_box_lesson import model, plan, splits

CAN = ["faster_rcnn", "fcos", "retinanet"]


def weighted(folder: Path, weights: list[float]) -> Splits:
    parts = splits(folder)
    samples = tuple(replace(sample, weight=weights[number % len(weights)])
                    for number, sample in enumerate(parts.train.samples))
    return replace(parts, train=replace(parts.train, samples=samples))


def lesson_and_batch(folder: Path, detector: str, weights: list[float]) -> tuple[BoxLesson, Network, BoxBatch]:
    start, chosen = model(detector), plan(augment="none")
    lesson = BoxLesson(start, weighted(folder / "data", weights), chosen, context(folder, silent))
    examples, network = lesson.examples(0), Network(start.backbone, start.head, chosen).train()
    batch = lesson.batch([examples[(0, index)] for index in (1, 2, 3, 4)])
    assert isinstance(batch, BoxBatch)
    return lesson, network, batch


def gradient(lesson: BoxLesson, network: Network, batch: BoxBatch) -> tuple[torch.Tensor, object]:
    network.zero_grad()
    torch.manual_seed(3)
    share = lesson.backward(network, batch, batch, torch.arange(4))
    return torch.cat([p.grad.ravel() for p in network.parameters() if p.grad is not None]), share


@pytest.mark.parametrize("detector", CAN)
def test_the_gradient_is_the_weighted_mean_of_those_of_the_images(tmp_path: Path, detector: str) -> None:
    lesson, network, batch = lesson_and_batch(tmp_path, detector, [1.0, 3.0, 0.0, 2.0])
    found, share = gradient(lesson, network, batch)
    assert len(set(batch.weights.tolist())) == 4
    alone, loss = [], 0.0
    torch.manual_seed(3)
    for weight, row in sorted((float(weight), row) for row, weight in enumerate(batch.weights)):
        network.zero_grad()
        one = BoxBatch(batch.images[row:row + 1], batch.targets[row:row + 1], torch.ones(1), batch.indices[row:row + 1])
        loss += weight * lesson.backward(network, one, one, torch.arange(1)).loss / 4
        alone.append(weight * torch.cat([p.grad.ravel() for p in network.parameters() if p.grad is not None]) / 4)
    torch.testing.assert_close(found, torch.stack(alone).sum(0), rtol=1e-3, atol=1e-5)
    assert share.loss == pytest.approx(loss, rel=1e-4)  # type: ignore[attr-defined]
    assert share.weight == pytest.approx(float(batch.weights.sum()))  # type: ignore[attr-defined]


@pytest.mark.parametrize("detector", CAN)
def test_images_of_one_weight_are_one_batch(tmp_path: Path, detector: str) -> None:
    """A weight that all have is the weight 1, to the bit."""
    plain, equal = (train(model(detector), weighted(tmp_path / "data", [weight]), plan(epochs=1, augment="none"),
                          context(tmp_path / str(weight), silent)) for weight in (1.0, 4.0))
    assert digest(plain) == digest(equal)


def test_an_image_of_weight_0_teaches_nothing(tmp_path: Path) -> None:
    lesson, network, batch = lesson_and_batch(tmp_path, "fcos", [1.0, 0.0, 1.0, 1.0])
    found, _ = gradient(lesson, network, batch)
    at = batch.weights.tolist().index(0.0)
    other = replace(batch, targets=[{"boxes": torch.tensor([[0.0, 0.0, 60.0, 40.0]]), "labels": torch.tensor([1])}
                                    if row == at else target for row, target in enumerate(batch.targets)])
    torch.testing.assert_close(gradient(lesson, network, other)[0], found)


def test_a_detector_that_takes_a_batch_as_a_whole_refuses_different_weights(tmp_path: Path) -> None:
    events = Events()
    with pytest.raises(ConfigError, match=r"finetune: the images have different weights.*another detector \(fcos"):
        train(model("ssdlite"), weighted(tmp_path / "data", [1.0, 2.0]), plan(), context(tmp_path, events))
    assert not events
    train(model("ssdlite"), weighted(tmp_path / "data", [2.0]), plan(epochs=1), context(tmp_path, silent))


def test_images_that_all_weigh_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every image of the train split has weight 0"):
        train(model(), weighted(tmp_path / "data", [0.0]), plan(epochs=1), context(tmp_path, silent))
