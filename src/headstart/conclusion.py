"""Conclusion: the files of a proof, whatever was predicted, and what is said of it aloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from headstart.adaptation import Adapted
from headstart.data.dataset import Dataset, Splits
from headstart.events import Listen, Note
from headstart.files import write_json
from headstart.record import write_table
from headstart.runs import Metrics, read_history
from headstart.training.watch import watch

TARGET = "target"
"""What the labelled images of the domain that was adapted to are called among the splits."""


class Measured(Protocol):
    """A model with its metrics."""

    @property
    def adapted(self) -> Adapted:
        """The model, and the method that made it."""

    @property
    def metrics(self) -> Metrics:
        """{split: {metric: {"value", "low", "high"}}}."""


def parts_of(splits: Splits, target: Dataset | None = None) -> dict[str, Dataset]:
    """Return the parts of the data by name, the labelled images of a target last."""
    return dict(splits.items()) | ({} if target is None else {TARGET: target})


def judging_part(splits: Splits, target: Dataset | None) -> str | None:
    """Return the part on which a result is held against the others; None for none.

    What was adapted to a target without labels is no worse for being worse on the source, and that is all one sees.
    """
    return TARGET if target is not None else None if splits.target else "test"


def write_conclusion(final: Measured, others: Sequence[Measured], *, details: dict[str, Any],
                     differences: Sequence[dict[str, Any]], verdicts: dict[str, Any],
                     predictions: list[dict[str, Any]], directory: Path, listen: Listen) -> None:
    """Write what was found of the result and of the models that it is held against into `directory`.

    verdicts: what the watch says of each method's fit. differences: of the result from each of the others.
    """
    write_json(directory / "metrics.json", final.metrics)
    write_json(directory / "baselines.json", {other.adapted.name: other.metrics for other in others})
    write_json(directory / "details.json", details)
    write_json(directory / "comparison.json", differences)
    write_json(directory / "watch.json", verdicts)
    _say_fit(final.adapted.name, verdicts.get(final.adapted.name), listen)
    write_table(directory / "predictions.parquet", predictions)
    _say_negative_transfer(differences, listen)


def fit_verdicts(measured: Sequence[Measured], directory: Path, *, monitor: str) -> dict[str, Any]:
    """Return what the watch says of the epochs of each model, by method; nothing of one that has none."""
    history = read_history(directory)
    verdicts: dict[str, Any] = {}
    for name in (item.adapted.name for item in measured):
        epochs = [row for row in history if row["method"] == name]
        verdicts |= {name: watch(epochs, monitor=monitor).to_json()} if epochs else {}
    return verdicts


def _say_fit(name: str, verdict: dict[str, Any] | None, listen: Listen) -> None:
    """Tell the verdict of the watch on a method's fit, if there is one."""
    if verdict is not None:
        good = verdict["verdict"] in ("healthy", "plateau", "too_short")
        advice = "" if good or not verdict["advice"] else f" {verdict['advice'][0]}"
        listen(Note(f"{name}: {verdict['text']}{advice}", "info" if good else "warning"))


def _say_negative_transfer(differences: Sequence[dict[str, Any]], listen: Listen) -> None:
    """Warn of each model that beat the result."""
    for found in differences:
        value, low, high = (found["difference"][key] for key in ("value", "low", "high"))
        if found["verdict"] == "worse":
            listen(Note(f"{found['a']} is worse than {found['b']}: {found['metric']} {value:+.3f}, 95% interval "
                        f"{low:+.3f} to {high:+.3f}. Use {found['b']}.", "warning"))
