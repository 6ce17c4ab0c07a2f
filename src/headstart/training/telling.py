"""Telling: the events of a training, made of its state."""

from __future__ import annotations

from headstart.events import EpochEnded, Progress
from headstart.training.state import State


def training_step_name(method: str) -> str:
    """Return the name of the step in the events."""
    return f"{method}: training"


def epoch_ended(method: str, row: dict[str, float]) -> EpochEnded:
    """Return the event of one row of the history."""
    values = {key: value for key, value in row.items() if key not in ("epoch", "step")}
    return EpochEnded(method, int(row["epoch"]), int(row["step"]), values)


def progress(method: str, state: State, monitor: str) -> Progress:
    """Return the event of a step: the running loss, and what validation said last."""
    parts = [f"loss {state.loss_sum / state.weight_sum:.3f}"] if state.weight_sum else []
    if state.history:
        last = state.history[-1]
        parts.append(f"val {last['val_loss']:.3f}")
        parts += [f"{monitor} {last[f'val_{monitor}']:.3f}"] if f"val_{monitor}" in last else []
    return Progress(training_step_name(method), state.step, "  ".join(parts))
