"""Trial: a short fine-tuning on few images, against the probe, on images that neither has seen."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from headstart.adaptation import choose_device
from headstart.backbones.backbone import Backbone
from headstart.catalog import Catalog
from headstart.data.dataset import Dataset, Splits
from headstart.errors import DivergedError
from headstart.events import Finished, Kept, Listen, Progress, Started, silent
from headstart.held_out import divide
from headstart.methods.finetune import Finetune
from headstart.methods.method import Context
from headstart.methods.probe import Probe
from headstart.model import Model
from headstart.sealed import under
from headstart.selection.pool import Pool, nested
from headstart.tasks.task import Task
from headstart.training import snapshot
from headstart.training.checkpoints import Checkpoints

# N images held out

Judged = tuple[np.ndarray, np.ndarray]
"""(float64 [N] right or not, float64 [N] log loss) on the held-out images."""

IMAGES, THIRDS = 180, 3
"""A third of them is held out."""
FEW = 100
"""Images below which each third is held out in turn: one alone is too few to tell anything."""
LEAST_HELD_OUT = 24
"""Images held out below which a trial tells nothing, whatever it shows."""
SURE = 2.0
"""Standard errors beyond which a trial tells something."""
STEPS, BATCH = 40, 16
RATES = (3e-4, 1e-4, 1e-3)
"""Learning rates of the backbone: the one that harms least wherever it is wrong, a lower one to try next where it did
no clear good, a higher one where it did. In docs/benchmarks.md photos want the lower two, drawings the higher two."""
STEP = "trial"
Untried = Literal["few", "time", "settled"]
"""Why there is no trial: the images, or their groups, are too few to tell anything; the time was up before it; the
probe makes no mistake that could be mended."""


@dataclass(frozen=True)
class Arm:
    """One short fine-tuning."""

    rate: float
    gain: float
    """Accuracy over the probe's, on the held-out images; for multi-label the share of right labels.

    Of the weights that validation kept; where it kept the start, of the last ones, since the start has no gain by
    itself: a rate that destroys the network would count as one that does no harm."""
    error: float
    """Standard error of the gain: the images are paired."""
    loss: float
    """Log loss of the fine-tuned model, minus that of the probe."""
    worse: bool = False
    """Whether no epoch was better on validation than the start, or training diverged, each time that it was tried."""
    loss_error: float = float("inf")
    """Standard error of the loss, paired as well."""

    @property
    def sure(self) -> bool:
        """Return whether it differs from the probe by more than chance: in accuracy, or, where that is better, in loss.

        The loss tells earlier: it counts how far each answer moved, where accuracy counts those that changed sides.
        """
        return abs(self.gain) >= SURE * self.error or (self.gain > 0 and self.loss < -SURE * self.loss_error)


@dataclass(frozen=True)
class Trial:
    """What the short fine-tunings showed."""

    images: int
    held_out: int
    probe: float
    """Accuracy of the probe that was fitted on as few."""
    arms: tuple[Arm, ...]
    seconds_per_image: float
    """Of one image in one step of training."""

    @property
    def best(self) -> Arm:
        """Return the fine-tuning with the higher gain, then the lower loss, of those that validation liked; of all,
        where it liked none."""
        return max([arm for arm in self.arms if not arm.worse] or self.arms, key=lambda arm: (arm.gain, -arm.loss))

    @property
    def helped(self) -> bool:
        """Return whether validation liked any of the fine-tunings better than the probe that they began with."""
        return not all(arm.worse for arm in self.arms)


def head_rate(rate: float) -> float:
    """Return the learning rate of the head beside that of the backbone: never below it, and not far above."""
    return max(rate, 3e-4)


def short_tuning(pool: Pool, backbone: Backbone, *, augment: str, listen: Listen,
                 remaining: Callable[[], float], rates: Sequence[float] = RATES) -> Trial | Untried:
    """Return the trial, or why there is none: too few images, or groups, to hold some out; or the time is up.

    A third of the images is held out; where there are fewer than FEW, each third in turn. rates: the first is tried,
    then the third where its loss is clearly below the probe's, else the second.
    """
    labels = pool.images.labels()
    rows = np.sort(nested(labels, min(IMAGES, len(labels)), seed=pool.job.seed))
    part = pool.images.subset(rows)
    if len(set(part.groups() or rows)) < THIRDS:
        return "few"
    thirds = list(divide(labels[rows], THIRDS, seed=pool.job.seed, groups=part.groups()))
    parts = [_splits(part, rest, left, pool.job.seed) for rest, left in thirds[:None if len(rows) < FEW else 1]]
    if sum(len(splits.test) for splits in parts) < LEAST_HELD_OUT or any(
            len(np.unique(splits.train.labels(), axis=0)) < 2 for splits in parts):
        return "few"
    task = Catalog("tasks", Task).get(part.task)()  # type: ignore[type-abstract]
    fresh = Model.fresh(backbone, task, part.classes, preprocessing=backbone.spec.preprocessing)
    began = time.monotonic()
    listen(Started(STEP, min(2, len(rates)) * len(parts), "short fine-tunings"))
    # Few images are seen often enough in half the steps, and there are three trainings of each rate.
    course, told = _Course(augment, STEPS if len(parts) == 1 else STEPS // 2), 0
    with tempfile.TemporaryDirectory() as folder:
        # What the short trainings tell of themselves is no news of the run that may follow.
        context = Context(listen=silent, seed=pool.job.seed, features=pool.store, workspace=Path(folder),
                          device=choose_device(pool.job.device), workers=pool.job.workers, remaining=remaining)
        for splits in parts:
            probe = Probe().fit(fresh, splits, context)
            before = _judged(probe, splits)
            for rate in course.wanted(rates):
                if remaining() <= 0:
                    break
                told += 1
                course.run(rate, probe, before, splits, replace(context, workspace=Path(folder) / str(told)))
                listen(Progress(STEP, told, f"rate {rate:g}: {course.arm(rate).gain:+.3f} over the probe"))
    listen(Finished(STEP, time.monotonic() - began))
    return course.trial(len(rows)) or "time"


def _splits(part: Dataset, rest: np.ndarray, left: np.ndarray, seed: int) -> Splits:
    """Return what is learnt from, what chooses penalty and epoch (a fifth), and what has chosen nothing."""
    learnt = part.subset(rest)
    few, choosing = next(iter(divide(learnt.labels(), 5, seed=seed, groups=learnt.groups())))
    return Splits(learnt.subset(few), learnt.subset(choosing), part.subset(left))


class _Course:
    """The short fine-tunings so far, by their rate."""

    def __init__(self, augment: str, steps: int) -> None:
        self._augment, self._length = augment, steps
        self._tried: dict[float, list[tuple[Judged, Judged | None, bool]]] = {}
        self._seconds, self._steps = 0.0, 0.0

    def wanted(self, rates: Sequence[float]) -> Iterator[float]:
        """Yield the rates to try on a third: the first and the one that it points to, but none that clearly lost."""
        yield from [rate for rate in self._tried if not self._lost(rate)] if self._tried else rates[:1]
        if len(self._tried) == 1 and len(rates) > 1:
            first = self.arm(rates[0])
            yield rates[-1] if not first.worse and first.loss < -SURE * first.loss_error else rates[1]

    def _lost(self, rate: float) -> bool:
        arm = self.arm(rate)
        return arm.gain <= -SURE * arm.error

    def run(self, rate: float, probe: Model, before: Judged, splits: Splits, context: Context) -> None:
        """Fine-tune the probe for as many steps, and keep what came of it. before: what the probe makes of the test."""
        images = len(splits.train)
        epochs = max(1, round(self._length * BATCH / images))
        began = time.monotonic()
        method = Finetune.parse({"epochs": epochs, "batch_size": BATCH, "lr_backbone": rate,
                                 "lr_head": head_rate(rate), "augment": self._augment})
        tuned, worse = _tuned(method, probe, splits, context)
        self._seconds += time.monotonic() - began
        self._steps += epochs * (images + len(splits.val) / 3)
        self._tried.setdefault(rate, []).append((before, None if tuned is None else _judged(tuned, splits), worse))

    def arm(self, rate: float) -> Arm:
        """Return what a rate gained on all that was held out from it; one that diverged (None) is right in nothing."""
        tried = self._tried[rate]
        before = _joined([item for item, _, _ in tried])
        right, loss = _joined([after or (np.zeros_like(item[0]), np.full_like(item[1], np.inf))
                               for item, after, _ in tried])
        change = right - before[0]
        # One image more or less is always possible, however alike the two look.
        error = np.sqrt((change.var() + 1 / len(change)) / len(change))
        gained = loss - before[1]
        loss_error = gained.std() / np.sqrt(len(gained)) if np.isfinite(gained).all() else np.inf
        return Arm(rate, float(change.mean()), float(error), float(gained.mean()),
                   all(worse for _, _, worse in tried), float(loss_error))

    def trial(self, images: int) -> Trial | None:
        """Return what was found; None where the time was up before anything was."""
        if not self._tried:
            return None
        # Of the rate that was tried on most: one that was given up early saw fewer images.
        before = _joined([item for item, _, _ in max(self._tried.values(), key=len)])
        return Trial(images, len(before[0]), float(before[0].mean()), tuple(map(self.arm, self._tried)),
                     self._seconds / self._steps)


def _joined(parts: Sequence[Judged]) -> Judged:
    return np.concatenate([right for right, _ in parts]), np.concatenate([loss for _, loss in parts])


def _tuned(method: Finetune, probe: Model, splits: Splits, context: Context) -> tuple[Model | None, bool]:
    """Return the probe fine-tuned, and whether validation liked its start best; the model is None if it diverged."""
    kept: list[int] = []
    try:
        tuned = method.fit(probe, splits, replace(
            context, listen=lambda event: kept.append(event.epoch) if isinstance(event, Kept) else None))
    except DivergedError:
        return None, True
    if kept[-1] > 0:
        return tuned, False
    last = Checkpoints(context.workspace, silent).newest()
    assert last is not None, "a training that ended has a checkpoint"
    weights = snapshot.kept_weights(last)
    tuned.backbone.load_state_dict(under("backbone.", weights))
    tuned.head.load_state_dict(under("head.", weights))
    return tuned, True


def _judged(model: Model, splits: Splits) -> Judged:
    """Return what the model makes of the held-out images."""
    import torch

    labels = splits.test.labels()
    logits = model.logits([sample.source for sample in splits.test.samples])
    losses = model.answers.loss(torch.from_numpy(logits), torch.from_numpy(labels)).double().numpy()
    if labels.ndim == 1:
        return (logits.argmax(axis=1) == labels).astype(np.float64), losses
    return ((logits > 0) == (labels > 0.5)).mean(axis=1), losses
