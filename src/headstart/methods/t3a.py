"""T3a: let the target's surest images become templates of their classes, beside the classifier's own."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from headstart.data.dataset import Splits
from headstart.domains.target_method import TargetMethod
from headstart.heads import LinearHead
from headstart.methods.method import Context
from headstart.model import Model
from headstart.neighbours import unit
from headstart.probabilities import entropies

# M target images, D features, C classes


class T3a(TargetMethod):
    """Test-time template adjuster: the class weights become the mean of the classifier's own and the target's surest.

    All are of unit length. Each target image counts for the class that the model gives it, of each class those of the
    lowest entropy. Nothing is trained, and the source is not needed. The logits are brought to the length of those of
    before, which changes no answer.
    Source: Iwasawa & Matsuo, "Test-Time Classifier Adjustment Module for Model-Agnostic Domain Generalization",
    NeurIPS 2021, equations 3-5; here over a target that is there as a whole.
    """

    trains_backbone: ClassVar[bool] = False
    from_answers: ClassVar[bool] = True

    templates: int = Field(100, ge=1, le=1_000_000)
    """Target images of each class that are kept, the surest ones."""
    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model with the adjusted classifier. Raises DataError where a feature is not finite."""
        assert splits.target is not None, "opening refuses a job without"
        features = context.vectors(model, splits.target).astype(np.float64)
        logits = model.logits_of(features)
        weights = adjusted(_weights(model), features, model.answers.probabilities(logits), count=self.templates)
        length = np.abs(logits - logits.mean(axis=1, keepdims=True)).mean()
        mine = features @ weights.T
        weights *= length / (np.abs(mine - mine.mean(axis=1, keepdims=True)).mean() or 1.0)
        head = LinearHead(weights.shape[1], weights.shape[0])
        with torch.no_grad():
            head.linear.weight.copy_(torch.from_numpy(weights))
            head.linear.bias.zero_()
        return dataclasses.replace(model, head=head.eval(), temperature=1.0)


def _weights(model: Model) -> np.ndarray:
    head = model.head
    assert isinstance(head, LinearHead), type(head)
    return np.asarray(head.linear.weight.detach().double().numpy())


def adjusted(weights: np.ndarray, features: np.ndarray, probabilities: np.ndarray, *, count: int) -> np.ndarray:
    """Return float64 [C, D], the means of the templates of each class, of unit length.

    weights: float64 [C, D], the classifier's. features: float64 [M, D]. probabilities: float64 [M, C].
    """
    answers, images, own = probabilities.argmax(axis=1), unit(features), unit(weights)
    order = np.argsort(entropies(probabilities), kind="stable")
    found = np.empty_like(own)
    for label, mine in enumerate(own):
        # The classifier's own template is one among them, as sure as its own class makes it: the surest of all.
        surest = order[answers[order] == label][:count]
        found[label] = mine + images[surest].sum(axis=0)
    return unit(found)
