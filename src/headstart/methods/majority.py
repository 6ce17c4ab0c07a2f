"""Majority: the baseline that looks at no image, only at how frequent each class is."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch

from headstart.data.dataset import Dataset, Splits
from headstart.errors import DataError
from headstart.heads import LinearHead
from headstart.methods.method import Context, Method
from headstart.model import Model

# N samples, C classes


class Majority(Method):
    """Answers with the class frequencies of the training split, whatever the image shows."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    trains_backbone: ClassVar[bool] = False

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model with a head of zero weights and the log prior as bias. Raises DataError without labels."""
        if not len(splits.train):
            raise DataError("the train split is empty, so there is no class to be frequent. Give it images.")
        head = LinearHead(model.backbone.width, len(model.classes))
        with torch.no_grad():
            head.linear.weight.zero_()
            head.linear.bias.copy_(torch.from_numpy(log_prior(splits.train)))
        return dataclasses.replace(model, head=head.eval(), temperature=1.0)


def log_prior(dataset: Dataset) -> np.ndarray:
    """Return float64 [C] logits whose probabilities are the weighted class frequencies.

    A class without samples counts half a sample, so that its log loss is large and not infinite;
    so does, for multi-label, the absence of a label that every sample has.
    """
    labels, weights = dataset.labels(), dataset.weights().astype(np.float64)
    half = 0.5 * weights.mean()
    if labels.ndim == 2:
        positive = np.clip(weights @ labels, half, weights.sum() - half)
        return np.asarray(np.log(positive) - np.log(weights.sum() - positive))
    counts = np.bincount(labels, weights=weights, minlength=len(dataset.classes))
    return np.log(np.maximum(counts, half) / weights.sum())
