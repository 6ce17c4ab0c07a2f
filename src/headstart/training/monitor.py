"""Monitor: the metric that is watched while training. The only door to torchmetrics.

Validation is judged by the very metric that metrics.json will show; torchmetrics keeps the running one of training,
which must fit into a checkpoint, and does without the weights of samples.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch

from headstart.errors import ConfigError, nearest
from headstart.metrics.compute import compute
from headstart.tasks.task import ImageTask

MODES = {"loss": "min", "accuracy": "max", "balanced_accuracy": "max", "f1_macro": "max", "auroc": "max",
         "average_precision": "max", "subset_accuracy": "max"}
"""Every metric that can be monitored, and whether more is better: the user can't get the direction wrong."""
ONLY = {"classification": {"accuracy", "balanced_accuracy"}, "multilabel": {"subset_accuracy"}}
BINS = 200
"""Thresholds of the curve metrics: their state keeps its size, so that it fits into a checkpoint."""


class Watched:
    """A metric of validation alone, and which of two values is better."""

    shown = True
    """Whether the values say something, so that they belong in the history."""

    def __init__(self, name: str, mode: str) -> None:
        self.name, self.mode = name, mode

    def value(self, loss: float) -> float:
        """Return the metric of the training batches since `reset`: NaN where none is kept; `loss` where that is it."""
        return loss if self.name == "loss" else math.nan

    def better(self, new: tuple[float, float], old: tuple[float, float], *, by: float = 0.0) -> bool:
        """Return whether (metric, loss) `new` beats `old` by more than `by`; equal metrics are decided by loss."""
        sign = 1 if self.mode == "max" else -1
        gain = _number(sign * new[0]) - _number(sign * old[0])
        if gain != gain:  # both undefined
            gain = 0.0
        return gain > by or (by == 0 and gain == 0 and new[1] < old[1])

    def reset(self) -> None:
        """Forget all batches."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the state, for a checkpoint."""
        return {}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up a state that `tensors` returned."""


class Chosen(Watched):
    """What a validator says of a model on a target."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "max")
        self.shown = name != "last_epoch"  # the epoch stands beside it


class Monitor(Watched):
    """One metric: running over the batches of training, or exact over a whole split."""

    def __init__(self, name: str, task: ImageTask, classes: int) -> None:
        others = set().union(*(names for kind, names in ONLY.items() if kind != task.part_name))
        possible = set(MODES) - others
        if name not in possible:
            raise ConfigError(f'monitor "{name}" is not a metric of {task.part_name}.' + nearest(name, possible))
        super().__init__(name, MODES[name])
        self.task = task
        self.classes = classes
        self._metric = None if name == "loss" else _metric(name, task, classes)

    def update(self, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in a batch. logits [B, C]; targets as in `Batch`."""
        if self._metric is None:
            return
        probabilities = torch.from_numpy(self.task.probabilities(logits.detach().float().cpu().numpy()))
        self._metric.update(probabilities, targets.cpu().long())

    def value(self, loss: float) -> float:
        """Return the metric of all batches since `reset`; `loss` where that is what is monitored."""
        if self._metric is None:
            return loss
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(self._metric.compute())

    def judged(self, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, loss: float) -> float:
        """Return the metric of a whole split, as metrics.json will show it; `loss` where that is what is monitored.

        logits [N, C]; targets as in `Batch`; weights [N]. NaN where the metric is undefined.
        """
        if self.name == "loss":
            return loss
        probabilities = self.task.probabilities(logits.float().cpu().numpy())
        found = compute(targets.cpu().numpy().astype(np.int64), probabilities, names=[self.name],
                        weights=weights.cpu().numpy())
        return float(found[self.name][0])

    def reset(self) -> None:
        """Forget all batches."""
        if self._metric is not None:
            self._metric.reset()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the state, for a checkpoint."""
        return {} if self._metric is None else {k: v.clone() for k, v in self._metric.state_dict().items()}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up a state that `tensors` returned."""
        if self._metric is not None:
            self._metric.load_state_dict(tensors)


def _number(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _metric(name: str, task: ImageTask, classes: int):  # type: ignore[no-untyped-def]
    import torchmetrics.classification as tm

    if task.part_name == "multilabel":
        made = {"subset_accuracy": lambda: tm.MultilabelExactMatch(classes),
                "f1_macro": lambda: tm.MultilabelF1Score(classes, average="macro"),
                "auroc": lambda: tm.MultilabelAUROC(classes, thresholds=BINS),
                "average_precision": lambda: tm.MultilabelAveragePrecision(classes, thresholds=BINS)}[name]()
    else:
        made = {"accuracy": lambda: tm.MulticlassAccuracy(classes, average="micro"),
                "balanced_accuracy": lambda: tm.MulticlassAccuracy(classes, average="macro"),
                "f1_macro": lambda: tm.MulticlassF1Score(classes, average="macro"),
                "auroc": lambda: tm.MulticlassAUROC(classes, thresholds=BINS),
                "average_precision": lambda: tm.MulticlassAveragePrecision(classes, thresholds=BINS)}[name]()
    made.persistent(True)
    return made
