"""Page: a search as one HTML file, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.evaluation.intervals import Interval
from headstart.files import write_text
from headstart.report import words
from headstart.report.page import fill
from headstart.tuning.figures import history
from headstart.tuning.outcome import Outcome, rank, short
from headstart.tuning.space import METHOD

TEMPLATE = Path(__file__).parent / "template.html"
STATES = {"finished": "finished", "pruned": "ended early", "stopped": "stopped, time was up", "failed": "failed",
          "running": "running", "waiting": "waiting"}


@dataclass(frozen=True)
class Findings:
    """What the page shows."""

    name: str
    data: str
    metric: str
    maximise: bool
    outcomes: Sequence[Outcome]
    winner: Outcome
    methods: Sequence[str]
    """The methods that were tried; their defaults were the first trials."""
    importance: Mapping[str, float] | None
    why_not: str | None
    """Why there is no importance."""
    metrics: Mapping[str, Mapping[str, Interval]]
    """Split -> metrics of the final run; empty while there is none."""
    job: str | None
    """The text of best.yaml."""


def write_page(path: Path, found: Findings) -> None:
    """Write the page, at once and whole."""
    names = list(dict.fromkeys(name for o in found.outcomes for name in o.settings if name != METHOD))
    write_text(path, fill(
        TEMPLATE, found=found, names=names, rows=[_row(found, o, names) for o in _ranked(found)],
        sentences=sentences(found), history=history(found.outcomes, found.metric, maximise=found.maximise),
        label=words.term(found.metric).label, percent=words.percent))


def sentences(found: Findings) -> list[str]:
    """Return what the search found, in words."""
    def of(value: float | None) -> str:
        return words.of_metric(found.metric, value)

    label, winner = words.term(found.metric).label, found.winner
    ended = [o for o in found.outcomes if o.state not in ("running", "waiting")]
    said = [f"The best of {len(ended)} trials is trial {winner.number}, {winner.settings[METHOD]}: {label.lower()} "
            f"{of(winner.value)} on validation."]
    starts = [f"{o.settings[METHOD]} {of(o.value)}" for o in ended[:len(found.methods)] if o.state == "finished"]
    if starts:
        said.append(f"Without a search: {', '.join(starts)}.")
    counts = [f"{sum(o.state == state for o in ended)} {STATES[state]}" for state in STATES
              if any(o.state == state for o in ended)]
    said.append(f"Of the trials, {', '.join(counts)}.")
    proof = found.metrics.get("test", {}).get(found.metric)
    if proof is None:
        said.append("The final run, which reads the test images once, is still to come.")
    else:
        again = found.metrics.get("val", {}).get(found.metric)
        on_val = f"{of(again.value)} on validation and " if again else ""
        said.append(f"Trained once more, it reaches {on_val}{of(proof.value)} on the "
                    f"held-out test images ({words.span(found.metric, proof.low, proof.high)}), which were read once. "
                    "The best validation value of many is too good to be true; the test value is the one to quote.")
    return said


def _ranked(found: Findings) -> list[Outcome]:
    """Return the trials, best first; those without a value last."""
    return sorted(found.outcomes, key=lambda o: (o.state != "finished", o.value is None,
                                                 rank(o, maximise=found.maximise)))


def _row(found: Findings, outcome: Outcome, names: Sequence[str]) -> dict[str, Any]:
    settings = outcome.settings
    return {"number": outcome.number, "best": outcome.number == found.winner.number, "state": STATES[outcome.state],
            "value": words.of_metric(found.metric, outcome.value), "method": settings.get(METHOD, ""),
            "settings": [short(settings[name]) if name in settings else words.DASH for name in names],
            "epochs": outcome.epochs or words.DASH, "seconds": words.duration(outcome.seconds),
            "reason": outcome.reason.splitlines()[0] if outcome.reason else ""}
