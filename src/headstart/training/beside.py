"""Beside: train an adapter beside the frozen backbone, and merge it; what every adapter method does."""

from __future__ import annotations

import dataclasses

from headstart.adapter import Recipe, attach, detach, said
from headstart.data.dataset import Splits
from headstart.events import Note
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.plan import Plan
from headstart.training.train import train


def train_beside(model: Model, splits: Splits, plan: Plan, context: Context, *, recipe: Recipe) -> Model:
    """Return `model` with the adapter of the best epoch merged in, and apart in `adapter`. Raises as `train`."""
    adapted = attach(model.backbone, recipe, seed=context.seed)
    context.listen(Note(f"{plan.part_name}: {said(adapted)}"))
    trained = train(dataclasses.replace(model, backbone=adapted), splits, plan, context)
    backbone, adapter = detach(trained.backbone, recipe)
    return dataclasses.replace(trained, backbone=backbone, adapter=adapter)
