"""Trial: a short fine-tuning on few images, against the probe, on images that neither has seen."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.adaptation import choose_device
from headstart.backbones.backbone import Backbone
from headstart.catalog import Catalog
from headstart.data.dataset import Splits
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

IMAGES = 180
"""A third of them is held out."""
STEPS, BATCH = 20, 16
RATES = (1e-4, 1e-3)
"""Learning rates of the backbone: what suits photos, and what suits drawings, in docs/benchmarks.md."""
STEP = "trial"


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
    """Whether no epoch was better on validation than the start, or training diverged."""


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
                 remaining: Callable[[], float], rates: Sequence[float] = RATES) -> Trial | None:
    """Return the trial; None where the images are too few to hold any class out, or the time is up."""
    labels = pool.images.labels()
    rows = np.sort(nested(labels, min(IMAGES, len(labels)), seed=pool.job.seed))
    part = pool.images.subset(rows)
    rest, left = next(iter(divide(labels[rows], 3, seed=pool.job.seed, groups=part.groups())))
    learnt = part.subset(rest)
    few, choosing = next(iter(divide(learnt.labels(), 5, seed=pool.job.seed, groups=learnt.groups())))
    # A fifth of the rest chooses penalty and epoch: what is left over has chosen nothing.
    splits = Splits(learnt.subset(few), learnt.subset(choosing), part.subset(left))
    if len(np.unique(splits.train.labels(), axis=0)) < 2 or len(left) < 8:
        return None
    task = Catalog("tasks", Task).get(part.task)()  # type: ignore[type-abstract]
    fresh = Model.fresh(backbone, task, part.classes, preprocessing=backbone.spec.preprocessing)
    epochs = max(1, round(STEPS * BATCH / len(few)))
    began_all = time.monotonic()
    listen(Started(STEP, len(rates), "short fine-tunings"))
    arms, spent = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        # What the short trainings tell of themselves is no news of the run that may follow.
        context = Context(listen=silent, seed=pool.job.seed, features=pool.store, workspace=Path(folder),
                          device=choose_device(pool.job.device), workers=pool.job.workers, remaining=remaining)
        probe = Probe().fit(fresh, splits, context)
        before = _judged(probe, splits)
        for number, rate in enumerate(rates, start=1):
            if remaining() <= 0:
                break
            began = time.monotonic()
            method = Finetune.parse({"epochs": epochs, "batch_size": BATCH, "lr_backbone": rate,
                                     "lr_head": head_rate(rate), "augment": augment})
            own = replace(context, workspace=Path(folder) / str(number))
            tuned, worse = _tuned(method, probe, splits, own)
            spent += time.monotonic() - began
            arms.append(_arm(rate, before, None if tuned is None else _judged(tuned, splits), worse=worse))
            listen(Progress(STEP, number, f"rate {rate:g}: {arms[-1].gain:+.3f} over the probe"))
    listen(Finished(STEP, time.monotonic() - began_all))
    if not arms:
        return None
    return Trial(len(rows), len(left), float(before[0].mean()), tuple(arms),
                 spent / (len(arms) * epochs * (len(few) + len(choosing) / 3)))


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


def _arm(rate: float, before: Judged, after: Judged | None, *, worse: bool) -> Arm:
    """Return what a fine-tuning gained; one that diverged (None) is right in nothing."""
    right, loss = after or (np.zeros_like(before[0]), np.full_like(before[1], np.inf))
    change = right - before[0]
    # One image more or less is always possible, however alike the two look.
    error = np.sqrt((change.var() + 1 / len(change)) / len(change))
    return Arm(rate, float(change.mean()), float(error), float((loss - before[1]).mean()), worse)


def _judged(model: Model, splits: Splits) -> Judged:
    """Return what the model makes of the held-out images."""
    import torch

    labels = splits.test.labels()
    logits = model.logits([sample.source for sample in splits.test.samples])
    losses = model.answers.loss(torch.from_numpy(logits), torch.from_numpy(labels)).double().numpy()
    if labels.ndim == 1:
        return (logits.argmax(axis=1) == labels).astype(np.float64), losses
    return ((logits > 0) == (labels > 0.5)).mean(axis=1), losses
