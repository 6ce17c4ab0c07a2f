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
from headstart.events import Finished, Listen, Progress, Started, silent
from headstart.held_out import divide
from headstart.methods.finetune import Finetune
from headstart.methods.method import Context
from headstart.methods.probe import Probe
from headstart.model import Model
from headstart.selection.pool import Pool, nested
from headstart.tasks.task import Task

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
    """Accuracy over the probe's, on the held-out images; for multi-label the share of right labels."""
    error: float
    """Standard error of the gain: the images are paired."""
    loss: float
    """Log loss of the fine-tuned model, minus that of the probe."""


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
        """Return the fine-tuning with the higher gain, then the lower loss."""
        return max(self.arms, key=lambda arm: (arm.gain, -arm.loss))


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
            tuned = method.fit(probe, splits, own)
            spent += time.monotonic() - began
            right, loss = _judged(tuned, splits)
            change = right - before[0]
            arms.append(Arm(rate, float(change.mean()), float(np.sqrt((change.var() + 1 / len(left)) / len(left))),
                            float((loss - before[1]).mean())))
            listen(Progress(STEP, number, f"rate {rate:g}: {change.mean():+.3f} over the probe"))
    listen(Finished(STEP, time.monotonic() - began_all))
    if not arms:
        return None
    return Trial(len(rows), len(left), float(before[0].mean()), tuple(arms),
                 spent / (len(arms) * epochs * (len(few) + len(choosing) / 3)))


def _judged(model: Model, splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 [N] right or not, float64 [N] log loss) on the held-out images."""
    import torch

    labels = splits.test.labels()
    logits = model.logits([sample.source for sample in splits.test.samples])
    losses = model.answers.loss(torch.from_numpy(logits), torch.from_numpy(labels)).double().numpy()
    if labels.ndim == 1:
        return (logits.argmax(axis=1) == labels).astype(np.float64), losses
    return ((logits > 0) == (labels > 0.5)).mean(axis=1), losses
