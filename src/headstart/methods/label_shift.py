"""Label shift: tell the model in which proportions the target's classes stand."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field

from headstart import label_shift
from headstart.data.dataset import Splits
from headstart.domains.target_method import TargetMethod
from headstart.errors import DataError
from headstart.events import Note
from headstart.heads import LinearHead
from headstart.methods.method import Context
from headstart.model import Model
from headstart.validators.validator import NONE, GuardName

# N source images of validation, M target images, C classes

RAREST = 1e-3
"""Proportion below which a class is not taken to be rarer: nothing is ruled out by an estimate."""


class LabelShift(TargetMethod):
    """Adds log(q / p) to the logits, p the classes' proportions in the source's train part, q those of the target.

    q is estimated from the model's answers alone. It is right where the classes are rarer or more frequent, and look as
    they did; where they look otherwise, take another method. Source: Lipton et al., "Detecting and Correcting for Label
    Shift with Black Box Predictors", ICML 2018.
    """

    trains_backbone: ClassVar[bool] = False
    like_shares: ClassVar[bool] = False

    strength: float = Field(1.0, ge=0, le=1)
    """How much of the correction is made: log(q / p) is multiplied by it. What few images tell of shares is uncertain:
    half of it gains nearly as much, and loses less where it is wrong."""
    guard: GuardName = NONE
    """The validator that must not hold the model for worse than it was before; validators look for gaps between
    groups, of which proportions say nothing."""

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the model with other biases; unchanged, with a Note, where the answers tell no proportions."""
        assert splits.target is not None, "opening refuses a job without"
        told = {name: model.answers.probabilities(model.logits_of(context.vectors(model, part)))
                for name, part in (("val", splits.val), ("target", splits.target))}
        classes = len(model.classes)
        prior = np.bincount(splits.train.labels(), minlength=classes) / len(splits.train)
        try:
            found = label_shift.bbse(told["val"], splits.val.labels(), told["target"], hard=False)
        except DataError as error:
            context.listen(Note(f"{self.part_name}: {error} The model is left as it was.", "warning"))
            return model
        ratios = np.maximum(found, RAREST) / np.maximum(prior, RAREST)
        context.listen(Note(f"{self.part_name}: proportions of the classes on the target, the source's in brackets: "
                            + ", ".join(f"{name} {q:.3f} ({p:.3f})" for name, q, p in zip(
                                model.classes, found, prior, strict=True))))
        return dataclasses.replace(model, head=_with_bias(model, self.strength * np.log(ratios)))


def _with_bias(model: Model, added: np.ndarray) -> LinearHead:
    before = model.head
    assert isinstance(before, LinearHead), type(before)
    head = LinearHead(before.linear.in_features, before.linear.out_features)
    with torch.no_grad():
        head.linear.weight.copy_(before.linear.weight)
        head.linear.bias.copy_(before.linear.bias + torch.from_numpy(added))
    return head.eval()
