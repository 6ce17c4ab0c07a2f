"""Probe: logistic regression on the features of the frozen backbone."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from headstart.data.dataset import Dataset, Splits
from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Note, Progress, Started
from headstart.logistic import PENALTIES, LinearFit, fit_path, likeliest
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.tasks.task import ImageTask
from headstart.training.plan import Plan
from headstart.training.train import train as train_by_steps

# N samples, D features, C classes


class _OnMaps(Plan):
    """The training of a head on the frozen backbone's maps."""

    scope: Literal["head"] = "head"
    augment: Literal["none"] = "none"
    batch_size: int = 8
    clip_norm: float = 5.0


class Probe(Method):
    """Logistic regression on cached features of the frozen backbone: seconds, deterministic, hard to overfit.

    A head of detection or segmentation is trained by steps instead, on the backbone's maps without augmentation.

    The penalty is the one with the lowest log loss on validation. The head stays fitted on train alone,
    because validation is needed once more, for calibration.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "detection", "semantic")
    trains_backbone: ClassVar[bool] = False
    effective: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "l2": ("classification", "multilabel"), "class_weight": ("classification", "multilabel"),
        "epochs": ("detection", "semantic"), "lr_head": ("detection", "semantic")}

    l2: float | None = Field(None, gt=0, le=1e6)
    """Ridge strength against the mean loss on features of unit scale; None picks it on validation."""
    class_weight: Literal["balanced"] | None = None
    """`balanced` makes each class count the same in the loss, however many images it has."""

    epochs: int = Field(10, ge=1, le=10_000)
    """Passes over the maps of the frozen backbone, which are kept; for detection and segmentation, whose heads have no
    closed form."""
    lr_head: float = Field(2e-3, gt=0, le=10)
    """Highest learning rate of a head of detection or segmentation."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model with the fitted linear head.

        Raises DataError where train has one class only or a feature is not finite, and ConfigError where there is no
        validation split to pick the penalty on.
        """
        if not isinstance(model.task, ImageTask):
            return train_by_steps(model, splits, _OnMaps(epochs=self.epochs, lr_head=self.lr_head), context)
        began = time.monotonic()
        if self.l2 is None and not len(splits.val):
            raise ConfigError("probe picks its penalty on the validation split, which is empty. Give the data a "
                              "validation split, or set the penalty yourself, such as --set method.0.l2=0.01.")
        refuse_one_class(splits.train)
        train, val = (context.vectors(model, part) for part in (splits.train, splits.val))
        penalties = PENALTIES if self.l2 is None else (self.l2,)
        context.listen(Started("probe", total=len(penalties), unit="penalties"))
        best = self.choose(model.answers, splits, train, val, penalties, context)
        if not best.converged:
            context.listen(Note(f"probe: the solver stopped before it converged at l2 {best.l2:.2g}; "
                                "a stronger penalty (a larger l2) converges faster.", "warning"))
        context.listen(Finished("probe", time.monotonic() - began, f"l2 {best.l2:.2g}"))
        return dataclasses.replace(model, head=best.head(), temperature=1.0)

    def choose(self, task: ImageTask, splits: Splits, train: np.ndarray, val: np.ndarray, penalties: tuple[float, ...],
               context: Context) -> LinearFit:
        """Return the fit of the penalty with the lowest validation loss; the first where several are equal."""
        path = fit_path(train, splits.train.labels(), classes=len(splits.train.classes),
                        weights=self.weights(splits.train), penalties=penalties)
        done = itertools.count(1)

        def loss(fit: LinearFit) -> float:
            value = self.loss(task, fit, val, splits.val) if len(splits.val) else 0.0
            context.listen(Progress("probe", next(done), f"l2 {fit.l2:.2g}  val loss {value:.4f}"))
            return value

        return likeliest(path, loss, stop=lambda: context.remaining() <= 0)

    def loss(self, task: ImageTask, fit: LinearFit, features: np.ndarray, dataset: Dataset) -> float:
        """Return the weighted mean log loss of the fit on a split, each class weighing as in training."""
        logits = torch.from_numpy(fit.logits(features))
        labels, weights = dataset.labels(), self.weights(dataset)
        if labels.ndim == 1:
            return float(np.average(task.loss(logits, torch.from_numpy(labels)).numpy(), weights=weights))
        # One label at a time: with class weights each label weighs the samples in its own way.
        columns = zip(logits.split(1, dim=1), torch.from_numpy(labels).split(1, dim=1), weights.T, strict=True)
        return float(np.mean([np.average(task.loss(a, b).numpy(), weights=w) for a, b, w in columns]))

    def weights(self, dataset: Dataset) -> np.ndarray:
        """Return float64 [N], or [N, C] for multi-label: the weight of each sample, balanced if so set."""
        labels, weights = dataset.labels(), dataset.weights().astype(np.float64)
        if labels.ndim == 1:
            return weights if self.class_weight is None else weights * inverse_frequency(labels, weights)
        if self.class_weight is None:
            return np.repeat(weights[:, None], labels.shape[1], axis=1)
        return np.stack([weights * inverse_frequency(column, weights) for column in labels.T.astype(np.int64)], axis=1)


def inverse_frequency(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return float64 [N] factors with which every class that occurs has the same total weight."""
    totals = np.bincount(labels, weights=weights)
    return np.asarray(weights.sum() / ((totals > 0).sum() * np.maximum(totals, np.finfo(float).tiny))[labels])


def refuse_one_class(train: Dataset) -> None:
    """Raise DataError unless train has two classes, or (multi-label) a label that some images have and some lack."""
    labels = train.labels()
    varied = len(np.unique(labels)) > 1 if labels.ndim == 1 else bool((labels.min(axis=0) != labels.max(axis=0)).any())
    if len(labels) and varied:
        return
    found = sorted({train.classes[c] for c in (labels if labels.ndim == 1 else np.nonzero(labels)[1])})
    raise DataError(f"the train split needs at least 2 classes to tell apart, found: [{', '.join(found)}] in "
                    f"{len(train)} images. Add images of another class, or split the data anew.")
