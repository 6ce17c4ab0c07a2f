"""Finetune: train head and backbone together, gently, from the probe's head."""

from __future__ import annotations

from typing import ClassVar

from headstart.data.dataset import Splits
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.plan import Plan
from headstart.training.train import train


class Finetune(Plan, Method):
    """Trains backbone and head by gradient descent, the backbone more slowly; starts from the probe's head.

    A fresh head would send large random gradients through good features; one that the probe solved does not
    (Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022).
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    needs: ClassVar[tuple[str, ...]] = ("probe",)

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return `model` with the weights of the best epoch. Raises as `training.train.train`."""
        return train(model, splits, self, context)
