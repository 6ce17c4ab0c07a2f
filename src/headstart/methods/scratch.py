"""Scratch: the baseline that learns from these images alone, without anything pretrained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field

from headstart import seeds
from headstart.backbones.backbone import Source
from headstart.catalog import Catalog
from headstart.data.dataset import Splits
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.plan import Plan
from headstart.training.train import train


class Scratch(Plan, Method):
    """Trains the same architecture from random weights: what the pretrained weights are worth is the difference."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "detection", "semantic")
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "detection": {"epochs": 12, "batch_size": 8, "clip_norm": 5.0, "augment": "standard"},
        "semantic": {"epochs": 12, "batch_size": 2, "augment": "standard"}}

    lr_head: float = Field(2e-3, gt=0, le=10)
    """Highest learning rate of the head."""
    lr_backbone: float = Field(2e-3, gt=0, le=10)
    """Highest learning rate of the backbone: nothing in it is worth protecting."""
    weight_decay: float = Field(0.05, ge=0, le=10)
    """AdamW's pull towards zero; biases and norms are spared."""
    batch_norm: Literal["train"] = "train"
    """Without pretrained statistics there is nothing to freeze or to adapt."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the architecture of `model` trained from seeded random weights. Raises as `training.train.train`."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seeds.derive(context.seed, "scratch"))
            spec = model.backbone.spec
            source = Catalog("backbones", Source).get(spec.source)()  # type: ignore[type-abstract]
            # The source's own initialisation: `reset_parameters` would leave position embeddings and the like.
            backbone = source.assemble(spec, channels=model.preprocessing.channels)
            head = model.task.head(backbone, len(model.classes))
        return train(dataclasses.replace(model, backbone=backbone, head=head), splits, self, context)
