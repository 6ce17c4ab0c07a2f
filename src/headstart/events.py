"""Typed events: what the core tells its listeners (the terminal, MLflow, later a page).

A listener is any callable that takes an event. It must not raise; `broadcast` shields the run if it does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("headstart")


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins (or goes on, when resumed)."""

    directory: Path
    settings: Mapping[str, object]
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the user: what was inferred, chosen, left out or is worth a warning."""

    text: str
    level: str = "info"
    """`info`, `warning` or `error`."""


@dataclass(frozen=True, slots=True)
class Started:
    """A step of known or unknown length begins: reading, extracting, training ..."""

    step: str
    total: int | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The step has done `done` of its units."""

    step: str
    done: int
    detail: str = ""
    """A short live line, such as `loss 0.41  val 0.52`."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The step ended well."""

    step: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """One row of history.csv."""

    method: str
    epoch: int
    step: int
    values: Mapping[str, float]
    """`train_loss`, `val_loss`, `train_accuracy`, `val_accuracy`, `lr_head`, `seconds`, ..."""


@dataclass(frozen=True, slots=True)
class Trained:
    """How much of the network a method trained."""

    method: str
    parameters: int
    """Parameters that learned, the head's included."""
    total: int


@dataclass(frozen=True, slots=True)
class Kept:
    """Which epoch's weights a method kept."""

    method: str
    epoch: int
    """0 is the start, before any step: no epoch was better on validation."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the validators say of a model on a target domain, without a label of it."""

    method: str
    epoch: int | None
    """0 is the start of the method; None is its result."""
    scores: Mapping[str, float]
    """By validator; higher is better, and NaN says nothing."""


@dataclass(frozen=True, slots=True)
class RatesTried:
    """What the learning-rate finder saw."""

    method: str
    factors: Sequence[float]
    """Factors on the learning rates of the plan."""
    losses: Sequence[float]
    """Smoothed training loss at each."""
    chosen: float


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run ended, well or not."""

    directory: Path
    status: str
    """`finished`, `interrupted` or `failed`."""
    metrics: Mapping[str, Mapping[str, Mapping[str, float | None]]] = field(default_factory=dict)


Event = (RunStarted | Note | Started | Progress | Finished | EpochEnded | Trained | Kept | Judged | RatesTried
         | RunFinished)
Listen = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore the event."""


def broadcast(listeners: Sequence[Listen]) -> Listen:
    """Return one listener that passes each event to all; one that raises is dropped, and the run goes on."""
    active = list(listeners)

    def listen(event: Event) -> None:
        for listener in list(active):
            try:
                listener(event)
            except Exception:
                active.remove(listener)
                log.warning("listener %r failed and is switched off; the run goes on", listener, exc_info=True)

    return listen
