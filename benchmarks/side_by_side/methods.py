"""The methods of the side-by-side benchmark, by name, and the course of training that suits a set.

A method is what a job's `method:` takes. What is written here stands above the course; fields as in
`headstart.training.plan`.
"""

from __future__ import annotations

from typing import Any

Settings = dict[str, Any]

METHODS: dict[str, Settings] = {
    "majority": {"method": "majority"},
    "probe": {"method": "probe"},
    "finetune": {"method": "finetune"},
    "norm-only": {"method": "finetune", "scope": "norm-only", "lr_backbone": 1e-2},
    "lora": {"method": "lora", "rank": 4, "lr_backbone": 3e-3},
    "wise-ft": {"method": "finetune", "interpolate": "validation"},
    "head": {"method": "finetune", "scope": "head"},
    "last-2": {"method": "finetune", "scope": "last-2"},
    "bias-only": {"method": "finetune", "scope": "bias-only", "lr_backbone": 1e-2},
    "dora": {"method": "dora", "rank": 4, "lr_backbone": 3e-3},
    "layer decay": {"method": "finetune", "layer_decay": 0.75},
    "unfreezing": {"method": "finetune", "unfreeze": "fixed"},
    "BatchNorm adapts": {"method": "finetune", "batch_norm": "adapt"},
    "BatchNorm trains": {"method": "finetune", "batch_norm": "train"},
    "EMA": {"method": "finetune", "average": "ema"},
    "L2-SP": {"method": "finetune", "regularisers": ["l2_sp"]},
    "strong": {"method": "finetune", "augment": "strong"},
    "scratch": {"method": "scratch"},
}
"""Name in the table -> method. To compare one more, add a line."""

CORE = ("majority", "probe", "finetune", "norm-only", "lora", "wise-ft")
"""Measured on every set, at every number of labels and with every seed; the others on STUDIED, with the first seed."""
STUDIED = ("digits", "mnist", "hymenoptera", "webcam")
ONLY = {"strong": "photos"}
"""Methods for one kind of images: strong augmentation mirrors."""
UNTRAINED = ("majority", "probe")
RANDOM_START = ("scratch",)
"""Methods with learning rates of their own."""

# Chosen on validation and on images of the pool that the draw left over, never on test; see docs/benchmarks.md.
STEPS = {"drawings": {10: 60, 50: 150, None: 300}, "photos": {10: 40, 50: 100, None: 140}}
"""Steps of the optimizer, by images a class; None: all of them."""
BATCH = {"drawings": 16, "photos": 16}
RATES: dict[str, Settings] = {
    "drawings": {"lr_backbone": 1e-3, "lr_head": 1e-3, "augment": "light"},
    "photos": {"lr_backbone": 3e-4, "lr_head": 3e-4, "augment": "standard"}}


def settings(name: str, kind: str, images: int | None, train: int) -> Settings:
    """Return the method with the course for a set of this kind.

    images: how many a class were drawn (None: all); train: how many are left in all after validation was taken out.
    """
    chosen = METHODS[name]
    if name in UNTRAINED:
        return dict(chosen)
    rates = {key: value for key, value in RATES[kind].items() if name not in RANDOM_START or not key.startswith("lr_")}
    batch = BATCH[kind]
    epochs = max(1, round(STEPS[kind][images] * batch / train))
    return {"epochs": epochs, "batch_size": batch, **rates, **chosen}
