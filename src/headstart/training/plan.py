"""Plan: what a method asks of the learner; the schedule of learning rates that follows from it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from headstart.data.augment import Preset

BatchNorm = Literal["frozen", "train"]
Precision = Literal["auto", "float32", "bf16"]
ClassWeights = Literal["none", "balanced"]


@dataclass(frozen=True)
class Plan:
    """Every setting of one training. Two trainings with equal plan, data, model and seed end in equal weights."""

    method: str
    """Name of the method that trains; it stands in the events."""
    epochs: int
    batch_size: int
    lr_head: float
    lr_backbone: float
    weight_decay: float = 0.05
    """Decoupled (AdamW); not on biases and norms."""
    warmup: float = 0.1
    """Share of all steps in which the learning rates rise from zero."""
    clip_norm: float = 1.0
    """The gradient's global L2 norm is cut to this."""
    label_smoothing: float = 0.0
    batch_norm: BatchNorm = "frozen"
    stages: int | Literal["all"] = "all"
    """How many of the backbone's deepest stages are trained; 0 trains the head alone."""
    augment: Preset = "light"
    class_weights: ClassWeights = "none"
    monitor: str | None = None
    """Validation metric that selects the best weights; None takes the task's own."""
    patience: int | None = None
    """Stop after so many epochs without improvement; None never does."""
    min_delta: float = 0.0
    """An epoch must be better by more than this to count for `patience`."""
    precision: Precision = "auto"
    checkpoint_seconds: float = 60.0
    """Longest time between two checkpoints inside an epoch."""

    def rate(self, step: int, total: int) -> float:
        """Return the factor on the learning rates at `step` of `total`: linear warm-up, then cosine to zero.

        A pure function of the step, so that a resumed run has nothing to restore.
        Source: Loshchilov & Hutter, "SGDR", ICLR 2017, without restarts.
        """
        warm = round(self.warmup * total)
        if step < warm:
            return (step + 1) / (warm + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))

    def record(self) -> dict[str, Any]:
        """Return the settings as JSON values, to compare with those of a checkpoint."""
        return asdict(self)


def uses_bf16(precision: Precision, device: str) -> bool:
    """Return whether the network computes in bfloat16 (weights, loss and optimizer stay float32).

    `auto` does so where the hardware multiplies it natively: emulated on an older CPU it is slower than float32.
    """
    if precision != "auto":
        return precision == "bf16"
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    native = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in native)
