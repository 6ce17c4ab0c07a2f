"""Validation: judge finished models on the validation split, whose pictures are decoded once for all of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from headstart.data.dataset import Dataset
from headstart.errors import DataError
from headstart.events import silent
from headstart.features.eager import Eager
from headstart.memory import keep_pages
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.monitor import Monitor
from headstart.training.pictures import SHARE, Pictures, free_memory
from headstart.training.signals import StopSignals

# N samples, B images in a batch, C classes, D features, S pixels a side

BATCH = 32


class Judged(NamedTuple):
    """What a model is worth on validation."""

    metric: float
    loss: float
    """Mean log loss, each image by its weight."""


class Validation:
    """Judges any number of models of one preprocessing by the metric that training watches, then by the loss.

    PyTorch computes, although an exported graph would be faster on each picture: a model is judged but once, an export
    takes 0.4 s, and with the pictures kept from model to model it pays only above 50 images of 224 pixels, or 1,000
    of 32.
    """

    def __init__(self, like: Model, val: Dataset, context: Context, *, monitor: str | None = None) -> None:
        if not len(val):
            raise DataError("the val split is empty; there is nothing to choose by. Give it images, or let Headstart "
                            "split.")
        self.name = monitor or like.task.monitor
        self.monitor = Monitor(self.name, like.answers, len(like.classes))
        self.device = context.device
        self.labels, self.weights = torch.from_numpy(val.labels()), val.weights().astype(np.float64)
        self.pictures = Pictures(val, like.preprocessing, budget=SHARE * free_memory())
        if self.device == "cpu":
            keep_pages()
        with StopSignals() as stop:
            self.pictures.load(step="validation", listen=silent,
                               check=lambda: stop.raise_if_requested("decoding validation"))

    def judge(self, model: Model) -> Judged:
        """Return metric and loss; (NaN, infinity) for a model whose answers are not finite. The model is left as is."""
        logits = self.logits(model)
        if not bool(torch.isfinite(logits).all()):
            return Judged(math.nan, math.inf)
        losses = model.answers.loss(logits, self.labels).numpy()
        loss = float(np.average(losses, weights=self.weights))
        return Judged(self.monitor.judged(logits, self.labels, torch.from_numpy(self.weights), loss), loss)

    def logits(self, model: Model) -> torch.Tensor:
        """Return float32 [N, C]."""
        engine = Eager(model.backbone, model.preprocessing, device=self.device)
        arrange = model.preprocessing.arrange
        vectors = [engine.pooled(np.stack([arrange(self.pictures[row]) for row in rows]))
                   for rows in torch.arange(len(self.labels)).split(BATCH)]
        return torch.from_numpy(model.logits_of(np.concatenate(vectors)))

    def better(self, new: Judged, old: Judged) -> bool:
        """Return whether `new` has the better metric, or the same one and a lower loss."""
        return self.monitor.better(new, old)

    def worse(self, new: Judged, old: Judged) -> bool:
        """Return whether the metric of `new` is worse, whatever the losses."""
        return self.monitor.better((old.metric, 0.0), (new.metric, 0.0))

    def shown(self, judged: Judged) -> str:
        """Return `accuracy 0.958, loss 0.123`."""
        return f"{self.name} {judged.metric:.3f}, loss {judged.loss:.3f}"
