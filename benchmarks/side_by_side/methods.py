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
    "norm-only": {"method": "finetune", "scope": "norm-only"},
    "lora": {"method": "lora", "rank": 4},
    "wise-ft": {"method": "finetune", "interpolate": "validation"},
    "head": {"method": "finetune", "scope": "head"},
    "last-2": {"method": "finetune", "scope": "last-2"},
    "bias-only": {"method": "finetune", "scope": "bias-only"},
    "dora": {"method": "dora", "rank": 4},
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
STEPS = {"drawings": {10: 60, 50: 150, None: 300}, "photos": {10: 30, 50: 50, None: 80}}
"""Steps of the optimizer, by images a class; None: all of them."""
BATCH = 16
RATES: dict[str, Settings] = {
    "drawings": {"lr_backbone": 1e-3, "lr_head": 1e-3, "augment": "light"},
    "photos": {"lr_backbone": 1e-4, "lr_head": 3e-4, "augment": "standard"}}
LIGHT: dict[str, dict[str, Settings]] = {
    "norms": {"drawings": {"lr_backbone": 1e-2, "lr_head": 3e-3}, "photos": {"lr_backbone": 1e-3, "lr_head": 9e-4}},
    "adapters": {"drawings": {"lr_backbone": 5e-3, "lr_head": 5e-3}, "photos": {"lr_backbone": 5e-3, "lr_head": 2e-3}}}
"""The rates where few parameters train: they have farther to go."""
GROUPS = {"norm-only": "norms", "bias-only": "norms", "lora": "adapters", "dora": "adapters"}
FEW = {"lr_backbone": 1e-2, "lr_head": 3e-3}
"""Rates of the adapters on drawings with 10 images a class."""
LONGER = 2.5
"""An adapter starts from zero: it takes so many times the steps."""
PRECISION = "float32"
"""The same arithmetic on every machine; bfloat16 is slower on CPUs without matrix units."""


def settings(name: str, kind: str, images: int | None, train: int) -> Settings:
    """Return the method with the course for a set of this kind.

    images: how many a class were drawn (None: all); train: how many are left in all after validation was taken out.
    """
    chosen = METHODS[name]
    if name in UNTRAINED:
        return dict(chosen)
    group = GROUPS.get(name)
    steps = STEPS[kind][images] * (LONGER if group == "adapters" else 1)
    course: Settings = {"batch_size": BATCH, "epochs": max(1, round(steps * BATCH / train)), "precision": PRECISION,
                        **RATES[kind], **(LIGHT[group][kind] if group else {})}
    if group == "adapters" and kind == "drawings" and images == 10:
        course |= FEW
    if name in RANDOM_START:
        course = {key: value for key, value in course.items() if not key.startswith("lr_")}
    return course | chosen
