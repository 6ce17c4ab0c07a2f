"""Idle settings: what was set and has no effect beside the others. A search leaves it out, a run says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.training.plan import Plan
from headstart.training.watch import SHORTEST

Cases = Sequence[Mapping[str, tuple[Any, ...]]]

IDLE: Mapping[str, Cases] = {
    "lr_backbone": [{"scope": ("head",)}],
    # The deepest stage learns at the whole rate, and there is no other.
    "layer_decay": [{"scope": ("head", "last-1")}],
    "drop_path": [{"scope": ("head",)}],
    "gradient_checkpointing": [{"scope": ("head",)}],
    "unfreeze": [{"scope": ("head",)}],
    "unfreeze_every": [{"unfreeze": ("none",)}, {"scope": ("head",)}],
    # Besides patience it is the unfreezing on a plateau that asks whether an epoch was an improvement.
    "min_delta": [{"patience": (None,), "unfreeze": ("none", "fixed")}, {"patience": (None,), "scope": ("head",)}],
    "teacher_temperature": [{"teacher_weight": (0,)}],
    "label_smoothing": [{"teacher_weight": (1,)}],
    "loss": [{"teacher_weight": (1,)}],
}
"""Setting -> each case in which it has no effect, as settings and their values."""


def reason(name: str, settings: Mapping[str, Any]) -> str | None:
    """Return beside which settings that of this name has no effect, such as `scope=head`; None where it has one."""
    for case in IDLE.get(name, ()):
        if all(other in settings and settings[other] in values for other, values in case.items()):
            return " and ".join(f"{other}={settings[other]}" for other in case)
    return None


def idle(plan: Plan) -> dict[str, str]:
    """Return a sentence on each setting that is not at its default and does not do what its name promises."""
    settings = plan.model_dump(mode="json")
    found = {name: f"{name} has no effect beside {why}" for name in plan.changed() if (why := reason(name, settings))}
    short = f"in {plan.epochs} epoch{'' if plan.epochs == 1 else 's'}"
    if plan.unfreeze != "none" and plan.unfreeze_every >= plan.epochs:
        found.setdefault("unfreeze", f"unfreeze={plan.unfreeze} with unfreeze_every={plan.unfreeze_every} frees no "
                         f"stage {short}: the head alone trains")
    if plan.average is not None and not plan.average.follows:
        taken = sum(plan.average.due(epoch, steps=1, total=plan.epochs) for epoch in range(1, plan.epochs + 1))
        if taken < 2:
            found["average"] = f"average has no effect {short}: it takes in the end of {taken} of them"
    if plan.on_overfit != "report" and plan.epochs <= SHORTEST:
        found["on_overfit"] = (f"on_overfit has no effect {short}: the watch needs {SHORTEST} to judge, and more to "
                               "act in")
    if isinstance(plan.micro_batch, int) and plan.micro_batch > plan.batch_size:
        found["micro_batch"] = f"micro_batch has no effect above batch_size={plan.batch_size}, the images of a step"
    if plan.batch_norm == "train" and plan.scope == "head":
        found["batch_norm"] = "batch_norm has no effect beside scope=head: no BatchNorm trains"
    if plan.patience is not None and plan.patience >= plan.epochs:
        found["patience"] = f"patience={plan.patience} has no effect {short}"
    return found
