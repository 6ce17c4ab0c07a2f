"""Outcome: what became of one trial, and the table of all of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headstart.files import write_text
from headstart.tuning.space import METHOD

State = Literal["finished", "pruned", "stopped", "failed", "running", "waiting"]
"""`pruned` ended early because others were better at that epoch, `stopped` because time was up."""


@dataclass(frozen=True)
class Outcome:
    """One trial."""

    number: int
    state: State
    settings: dict[str, Any] = field(default_factory=dict)
    """`method`, and what was drawn for it."""
    value: float | None = None
    """The metric on validation; of a trial that ended early, the best until then."""
    loss: float | None = None
    """The log loss on validation, by which equal values are told apart."""
    epochs: int = 0
    seconds: float | None = None
    reason: str = ""
    """Why it failed, or where its value comes from."""

    def __str__(self) -> str:
        return " ".join([str(self.settings.get(METHOD, "")),
                         *(f"{name}={short(value)}" for name, value in self.settings.items() if name != METHOD)])


def best_of(outcomes: Sequence[Outcome], *, maximise: bool) -> Outcome | None:
    """Return the finished trial with the best value; equal ones are decided by loss, then by which came first.

    Losses that differ by less than a thousandth are the same: between those, what is tried first is the plainer.
    """
    finished = [o for o in outcomes if o.state == "finished" and o.value is not None]
    return min(finished, key=lambda o: rank(o, maximise=maximise), default=None)


def rank(outcome: Outcome, *, maximise: bool) -> tuple[float, float, int]:
    """Return what sorts outcomes that have a value, best first."""
    return (outcome.value or 0.0) * (-1.0 if maximise else 1.0), round(outcome.loss or 0.0, 3), outcome.number


def short(value: Any) -> str:
    """Return a setting as people write it: numbers with three digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)


def said(outcome: Outcome, metric: str, best: Outcome | None) -> str:
    """Return a line on a trial that has ended."""
    what = "no value" if outcome.value is None else f"{metric} {outcome.value:.4f}"
    if outcome.state == "failed":
        what = "failed"
    elif outcome.state != "finished":
        what = f"{outcome.state} after {outcome.epochs} epochs at {what}"
    elif best is not None:
        what += " (best so far)" if best.number == outcome.number else f" (best so far {best.value:.4f})"
    return f"trial {outcome.number}: {what}  {outcome}" + (f"  [{outcome.reason}]" if outcome.reason else "")


def write_trials(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write a row per trial; a setting that a trial did not draw is empty."""
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.settings))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["number", "state", "value", "log_loss", *names, "epochs", "seconds", "reason"])
    for o in outcomes:
        # repr: a value that is read back is the same float.
        drawn = [_cell(o.settings[name]) if name in o.settings else "" for name in names]
        seconds = "" if o.seconds is None else f"{o.seconds:.2f}"
        writer.writerow([o.number, o.state, _cell(o.value), _cell(o.loss), *drawn, o.epochs, seconds, o.reason])
    write_text(path, text.getvalue())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value) if isinstance(value, float) else json.dumps(value)
