"""Plan: what a method asks of the learner; the schedule of learning rates that follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field

from headstart.averages.average import ChosenAverage
from headstart.data.augment import Policy, Preset
from headstart.losses.cross_entropy import CrossEntropy
from headstart.losses.loss import ChosenLoss
from headstart.mask_losses import cross_entropy as mask_cross_entropy
from headstart.mask_losses import dice
from headstart.mask_losses.mask_loss import ChosenMaskLosses
from headstart.mixes.mix import ChosenMix
from headstart.part import Part
from headstart.regularisers.regulariser import ChosenRegulariser
from headstart.training.scope import Scope

Precision = Literal["auto", "float32", "bf16"]

WHOLE: Mapping[str, Mapping[str, Any]] = {
    "detection": {"epochs": 12, "batch_size": 8, "lr_head": 1e-3, "lr_backbone": 5e-4, "clip_norm": 5.0,
                  "augment": "standard"},
    "semantic": {"epochs": 12, "batch_size": 2, "lr_head": 1e-3, "lr_backbone": 5e-4, "augment": "standard"}}
"""What differs where whole pictures are fine-tuned on, by task."""


class Plan(Part):
    """Every setting of one training. Methods that train by steps are plans: `class Finetune(Plan, Method)`.

    Two trainings with equal plan, data, model and seed end in equal weights.
    """

    trains_head: ClassVar[bool] = True
    """Whether the head learns, too."""

    # Course
    epochs: int = Field(8, ge=1, le=10_000)
    """Passes over the training images."""
    batch_size: int = Field(32, ge=1, le=65_536)
    """Images in one step of the optimizer: the effective batch."""
    micro_batch: Annotated[int, Field(ge=1)] | Literal["auto"] | None = None
    """Images that go through the network at once, gradients added up to `batch_size`; `auto` finds what fits."""
    lr_head: float = Field(3e-4, gt=0, le=10)
    """Highest learning rate of the head."""
    lr_backbone: float = Field(1e-4, gt=0, le=10)
    """Highest learning rate of the backbone's deepest stage; keep it well below the head's."""
    find_lr: bool = False
    """Try a range of learning rates first, and scale both by what was found."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Each stage learns at this share of the next deeper one's rate; 1 lets all learn alike."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of all steps in which the learning rates rise; then they fall along a cosine."""
    clip_norm: float = Field(1.0, gt=0)
    """The gradient is cut to this length."""
    precision: Precision = "auto"
    """`auto` takes bfloat16 where the hardware has it."""
    gradient_checkpointing: bool = False
    """Compute activations anew in the backward pass: less memory for about a third more time."""

    # What trains
    scope: Scope = "all"
    """`all`, `head`, `last-N` (the N deepest stages), `norm-only`, `bias-only`; the head always trains."""
    unfreeze: Literal["none", "fixed", "plateau"] = "none"
    """From the head down, a stage at a time: after `unfreeze_every` epochs, or so many without improvement."""
    unfreeze_every: int = Field(1, ge=1)
    """Epochs, as `unfreeze` counts them."""
    batch_norm: Literal["frozen", "train", "adapt"] = "frozen"
    """`frozen` keeps BatchNorm's pretrained statistics, `train` lets them follow the batches, `adapt` takes those of
    the training images once, before the first step, and solves the head anew."""

    # Regularisation
    weight_decay: float = Field(0.01, ge=0, le=10)
    """AdamW's pull towards zero; biases and norms are spared."""
    regularisers: tuple[ChosenRegulariser, ...] = ()
    """Terms that are added to the loss, such as l2_sp; with settings as {regulariser: l2_sp, strength: 0.1}."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes."""
    augment: Preset = "light"
    """`none`, `light` (no mirror: safe for digits and medical images), `standard` (photos) or `strong`."""
    policy: Policy = "preset"
    """`randaugment` or `trivialaugment` on top of `augment`; by default its own, which is none but for `strong`."""
    erasing: float | None = Field(None, ge=0, le=1)
    """Chance that a box of an image is blotted out; by default that of `augment`, which is 0 but for `strong`: 0.25."""
    mix: ChosenMix | None = None
    """`mixup` or `cutmix`: two images made into one."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Chance that the deepest residual branch is left out in a step; it falls linearly to 0 at the stem."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Chance that a feature is left out before the head."""
    average: ChosenAverage | None = None
    """`ema` or `swa`: what is validated and kept is a mean of the weights of many steps."""

    # Imbalance and labels
    loss: ChosenLoss = Field(default_factory=CrossEntropy)
    """What a wrong answer costs, such as focal; with settings as {loss: focal, gamma: 2}."""
    mask_losses: ChosenMaskLosses = Field(default_factory=lambda: (mask_cross_entropy.CrossEntropy(), dice.Dice()))
    """For semantic segmentation: what wrong pixels cost, a sum of one or more, such as cross_entropy,dice; with
    settings as {mask_loss: dice, weight: 2}."""
    class_weights: Literal["none", "balanced", "effective"] = "none"
    """`balanced` makes every class count the same, however many images it has; `effective` does so only as far as
    more images of a class add little that is new; classification, and `balanced` for semantic segmentation, too."""
    sampling: Literal["natural", "balanced"] = "natural"
    """`balanced` draws each class equally often, rare images again and again; classification only."""

    # When to stop
    monitor: str | None = None
    """Validation metric that chooses the best epoch; by default that of the task."""
    patience: int | None = Field(None, ge=1)
    """Stop after so many epochs without improvement; by default all epochs run, and the best one is kept."""
    min_delta: float = Field(0.0, ge=0)
    """An improvement on the last one that counted must be larger than this to count again, for `patience` and
    `unfreeze: plateau`."""
    on_overfit: Literal["report", "stop", "regularise"] = "report"
    """What the overfitting watch does: say so, stop, or go back to the best weights and regularise more."""
    checkpoint_seconds: float = Field(60.0, gt=0)
    """Longest time between two checkpoints inside an epoch."""

    def rate(self, step: int, total: int) -> float:
        """Return the factor on the learning rates at `step` of `total`: linear warm-up, then cosine to zero.

        A pure function of the step, so that a resumed run has nothing to restore.
        Source: Loshchilov & Hutter, "SGDR", ICLR 2017, without restarts.
        """
        warm = round(self.warmup * total)
        if step < warm:
            factor = (step + 1) / (warm + 1)
        else:
            factor = 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
        return factor if self.average is None else self.average.rate(step / total, factor)

    def record(self) -> dict[str, Any]:
        """Return the settings as JSON values, to compare with those of a checkpoint."""
        return self.model_dump(mode="json")


def uses_bf16(precision: Precision, device: str) -> bool:
    """Return whether the network computes in bfloat16 (weights, loss and optimizer stay float32).

    `auto` does so on a GPU or a CPU with matrix units (AMX). AVX-512's own bf16 is slower than float32: forward and
    backward of EfficientNet-Lite0, batch 32, took 3.08 against 1.90 CPU seconds at 224 px, 0.46 against 0.21 at 64 px.
    """
    if precision != "auto":
        return precision == "bf16"
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
