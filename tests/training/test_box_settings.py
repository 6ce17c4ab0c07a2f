"""The settings of every training do to a detector what they say: clipping, warm-up, EMA, BatchNorm, patience."""

from collections.abc import Callable
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

every_detector = pytest.mark.parametrize("detector", ON_ANY_BACKBONE)


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


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Course]:
    def run(detector: str, **settings: object) -> Course:
        events, start, real = Events(), model(detector), Learner.training_step
        seen = Course(start, start, events)

        def step(self: Learner, items: object, batch_idx: int) -> None:
            real(self, items, batch_idx)  # type: ignore[arg-type]
            seen.rates.append(next(g["lr"] for g in self.optimizer.param_groups if g["name"] == "head"))
            seen.norms.append(float(torch.linalg.vector_norm(torch.stack(
                [p.grad.norm() for p in self.learning if p.grad is not None]))))
            seen.weights.append({name: t.clone() for name, t in self.network.head.state_dict().items()})

        monkeypatch.setattr(Learner, "training_step", step)
        seen.trained = train(start, splits(tmp_path / "data"), plan(augment="none", **settings),
                             context(tmp_path / "run", events))
        return seen

    return run


def tell(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let one validation after the other find these average precisions."""
    told = iter(values)
    monkeypatch.setattr(box_lesson, "detection_metrics", lambda *_, names, masks: {names[0]: next(told)})


@every_detector
def test_the_gradient_is_clipped(course: Callable[..., Course], detector: str) -> None:
    found = course(detector, clip_norm=0.01, epochs=1)
    assert found.norms == pytest.approx([0.01] * 3, rel=1e-3)


@every_detector
def test_rates_rise_in_the_warm_up_and_fall_along_a_cosine(course: Callable[..., Course], detector: str) -> None:
    found = course(detector, warmup=0.5, epochs=2)
    assert found.rates == pytest.approx([2e-3 * share for share in (0.25, 0.5, 0.75, 1.0, 0.75, 0.25)])


@every_detector
def test_the_mean_of_the_weights_is_what_is_kept(course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch,
                                                 detector: str) -> None:
    tell(monkeypatch, [0.1, 0.2])
    found = course(detector, average="ema", epochs=1)
    assert [event.epoch for event in found.events.of(Kept)] == [1]
    mean = found.weights[0]
    for taken, weights in enumerate(found.weights[1:], 1):
        share = min(0.99, (1 + taken) / (10 + taken))
        mean = {name: share * tensor + (1 - share) * weights[name] for name, tensor in mean.items()}
    for name, tensor in found.trained.head.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, mean[name], rtol=1e-4, atol=1e-6)


@every_detector
@pytest.mark.parametrize("kind", ["frozen", "train"])
def test_statistics_of_the_backbone_move_only_where_batch_norm_trains(course: Callable[..., Course], detector: str,
                                                                     kind: str) -> None:
    found = course(detector, batch_norm=kind, epochs=1)
    before, after = (one.backbone.state_dict() for one in (found.start, found.trained))
    names = [name for name in before if "running_mean" in name]
    assert names
    assert all(torch.equal(before[name], after[name]) is (kind == "frozen") for name in names)


@pytest.mark.parametrize(("values", "best"), [([0.1, 0.3, 0.2, 0.2, 0.25], 1), ([0.4, 0.1, 0.2, 0.3], 0)])
def test_patience_counts_epochs_without_a_better_ap(course: Callable[..., Course], monkeypatch: pytest.MonkeyPatch,
                                                   values: list[float], best: int) -> None:
    """The first value is that of the start. Three epochs without a better one end it, whatever the loss does."""
    tell(monkeypatch, values)
    found = course("fcos", patience=3, epochs=9)
    assert len(found.rates) == 3 * (best + 3)
    assert [event.epoch for event in found.events.of(Kept)] == [best]
