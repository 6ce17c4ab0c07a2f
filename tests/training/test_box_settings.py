"""The settings of every training do to a detector what they say: clipping, warm-up, EMA, BatchNorm, patience."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from headstart.events import Kept
from headstart.model import Model
from headstart.training import box_lesson
from headstart.training.learner import Learner
from headstart.training.train import train
from tests.detectors import ON_ANY_BACKBONE
from tests.training.small import Events, context
from tests.training.test_box_lesson import model, plan, splits


@dataclass
class Course:
    """What was seen after each step of a training."""

    start: Model
    trained: Model
    events: Events
    rates: list[float] = field(default_factory=list)
    """Of the head."""
    norms: list[float] = field(default_factory=list)
    """Of the gradient that the optimizer saw."""
    weights: list[dict[str, torch.Tensor]] = field(default_factory=list)
    """Of the head."""


def watched(folder: Path, detector: str, **settings: object) -> Course:
    """Train, and look on after each step."""
    events, start, real = Events(), model(detector), Learner.training_step
    seen = Course(start, start, events)

    def step(self: Learner, items: object, batch_idx: int) -> None:
        real(self, items, batch_idx)  # type: ignore[arg-type]
        seen.rates.append(next(g["lr"] for g in self.optimizer.param_groups if g["name"] == "head"))
        seen.norms.append(float(torch.linalg.vector_norm(torch.stack(
            [p.grad.norm() for p in self.learning if p.grad is not None]))))
        seen.weights.append({name: t.clone() for name, t in self.network.head.state_dict().items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "training_step", step)
        seen.trained = train(start, splits(folder / "data"), plan(augment="none", **settings),
                             context(folder / "run", events))
    return seen


def tell(patch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let one validation after the other find these average precisions."""
    told = iter(values)
    patch.setattr(box_lesson, "detection_metrics", lambda *_, names, masks: {names[0]: next(told)})


# Two trainings of each detector: no setting of either has a say in what another one of it does.

@pytest.fixture(scope="module", params=ON_ANY_BACKBONE)
def detector(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def clipped(detector: str, tmp_path_factory: pytest.TempPathFactory) -> Course:
    with pytest.MonkeyPatch.context() as patch:
        tell(patch, [0.1, 0.2, 0.3])
        return watched(tmp_path_factory.mktemp(detector), detector, clip_norm=0.01, warmup=0.5, batch_norm="frozen",
                       epochs=2)


@pytest.fixture(scope="module")
def averaged(detector: str, tmp_path_factory: pytest.TempPathFactory) -> Course:
    with pytest.MonkeyPatch.context() as patch:
        tell(patch, [0.1, 0.2])
        return watched(tmp_path_factory.mktemp(detector), detector, average="ema", batch_norm="train", epochs=1)


def test_the_gradient_is_clipped(clipped: Course) -> None:
    assert clipped.norms == pytest.approx([0.01] * 6, rel=1e-3)


def test_rates_rise_in_the_warm_up_and_fall_along_a_cosine(clipped: Course) -> None:
    assert clipped.rates == pytest.approx([2e-3 * share for share in (0.25, 0.5, 0.75, 1.0, 0.75, 0.25)])


def test_the_mean_of_the_weights_is_what_is_kept(averaged: Course) -> None:
    assert [event.epoch for event in averaged.events.of(Kept)] == [1]
    mean = averaged.weights[0]
    for taken, weights in enumerate(averaged.weights[1:], 1):
        share = min(0.99, (1 + taken) / (10 + taken))
        mean = {name: share * tensor + (1 - share) * weights[name] for name, tensor in mean.items()}
    for name, tensor in averaged.trained.head.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, mean[name], rtol=1e-4, atol=1e-6)


def test_statistics_of_the_backbone_move_only_where_batch_norm_trains(clipped: Course, averaged: Course) -> None:
    assert [event.epoch for event in clipped.events.of(Kept)] == [2], "what was trained is what is looked at"
    for course, moved in ((clipped, False), (averaged, True)):
        before, after = (one.backbone.state_dict() for one in (course.start, course.trained))
        names = [name for name in before if "running_mean" in name]
        assert names
        assert all(torch.equal(before[name], after[name]) is not moved for name in names)


@pytest.mark.parametrize(("values", "best"), [([0.1, 0.3, 0.2, 0.2, 0.25], 1), ([0.4, 0.1, 0.2, 0.3], 0)])
def test_patience_counts_epochs_without_a_better_ap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                   values: list[float], best: int) -> None:
    """The first value is that of the start. Three epochs without a better one end it, whatever the loss does."""
    tell(monkeypatch, values)
    found = watched(tmp_path, "fcos", patience=3, epochs=9)
    assert len(found.rates) == 3 * (best + 3)
    assert [event.epoch for event in found.events.of(Kept)] == [best]
