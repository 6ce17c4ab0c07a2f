"""Finetune: train head and backbone together, gently, from the probe's head."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from headstart.data.augment import Preset
from headstart.data.dataset import Splits
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.training.plan import Plan
from headstart.training.train import train


class Finetune(Method):
    """Trains backbone and head by gradient descent, the backbone more slowly; starts from the probe's head.

    A fresh head would send large random gradients through good features; one that the probe solved does not
    (Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022).
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    needs: ClassVar[tuple[str, ...]] = ("probe",)

    epochs: int = Field(8, ge=1, le=10_000)
    """Passes over the training images."""
    batch_size: int = Field(32, ge=1, le=65_536)
    """Images in one step of the optimizer."""
    lr_head: float = Field(3e-4, gt=0, le=10)
    """Highest learning rate of the head."""
    lr_backbone: float = Field(1e-4, gt=0, le=10)
    """Highest learning rate of the backbone; keep it well below the head's."""
    weight_decay: float = Field(0.01, ge=0, le=10)
    """AdamW's pull towards zero; biases and norms are spared."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of all steps in which the learning rates rise; then they fall along a cosine."""
    stages: int | Literal["all"] = Field("all")
    """How many of the deepest stages of the backbone are trained; the others stay frozen."""
    batch_norm: Literal["frozen", "train"] = "frozen"
    """`frozen` keeps BatchNorm's pretrained statistics, `train` lets them follow the batches."""
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
        """Return `model` with the weights of the best epoch. Raises as `training.train.train`."""
        return train(model, splits, Plan(method="finetune", **self.model_dump()), context)
