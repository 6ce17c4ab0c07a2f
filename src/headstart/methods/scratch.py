"""Scratch: the baseline that learns from these images alone, without anything pretrained."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import torch
from pydantic import Field

from headstart import seeds
from headstart.backbones.backbone import Source
from headstart.catalog import Catalog
from headstart.data.augment import Preset
from headstart.data.dataset import Splits
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.plan import Plan
from headstart.training.train import train


class Scratch(Method):
    """Trains the same architecture from random weights: what the pretrained weights are worth is the difference."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    epochs: int = Field(8, ge=1, le=10_000)
    """Passes over the training images."""
    batch_size: int = Field(32, ge=1, le=65_536)
    """Images in one step of the optimizer."""
    lr: float = Field(2e-3, gt=0, le=10)
    """Highest learning rate, of head and backbone alike."""
    weight_decay: float = Field(0.05, ge=0, le=10)
    """AdamW's pull towards zero; biases and norms are spared."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of all steps in which the learning rate rises; then it falls along a cosine."""
    augment: Preset = "light"
    """`none`, `light` (no mirror: safe for digits and medical images), `standard` (photos) or `strong`."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced` makes every class count the same, however many images it has; classification only."""
    clip_norm: float = Field(1.0, gt=0)
    """The gradient is cut to this length."""
    monitor: str | None = None
    """Validation metric that chooses the best epoch; by default that of the task."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many epochs without improvement; by default all epochs run, and the best one is kept."""
    min_delta: float = Field(0.0, ge=0)
    """An improvement must be larger than this to count for `patience`."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """`auto` takes bfloat16 where the hardware has it."""

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the architecture of `model` trained from seeded random weights. Raises as `training.train.train`."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seeds.derive(context.seed, "scratch"))
            spec = model.backbone.spec
            source = Catalog("backbones", Source).get(spec.source)()  # type: ignore[type-abstract]
            # The source's own initialisation: `reset_parameters` would leave position embeddings and the like.
            backbone = source.build(spec.architecture, channels=model.preprocessing.channels, pretrained=False)
            head = model.task.head(backbone.width, len(model.classes))
            start = dataclasses.replace(model, backbone=backbone, head=head)
        settings = self.model_dump(exclude={"lr"})
        # Without pretrained statistics there is nothing to freeze.
        plan = Plan(method="scratch", lr_head=self.lr, lr_backbone=self.lr, batch_norm="train", **settings)
        return train(start, splits, plan, context)
