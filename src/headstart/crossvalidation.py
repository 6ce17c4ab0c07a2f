"""Cross-validation: every method fitted on every fold, each image predicted by the model that did not see it.

The models of the folds become one: their ensemble is what the run proves on test, and saves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.adaptation import WORK, adapt_all
from headstart.conclusion import parts_of
from headstart.data.dataset import Splits
from headstart.ensemble import mean_of
from headstart.evaluation.spread import Spread, spread
from headstart.events import EpochEnded, Event, Finished, Kept, Listen, Note, Progress, RatesTried, Started, Trained
from headstart.files import read_json, write_json
from headstart.job import Job
from headstart.model import Model
from headstart.proof import Proven, conclude, decisive, evaluated, judge, logits_on, measure, prediction_rows
from headstart.record import in_fold, write_table
from headstart.runs import SCHEMA, read_history
from headstart.training.watch import Watch

# N images, C classes


@dataclass(frozen=True)
class Member:
    """What one method made of one fold."""

    proven: Proven
    """Calibrated and measured on the validation part of the fold."""
    verdict: Watch | None
    best_epoch: int | None
    """The epoch whose weights were kept, 0 being the start; None where there are no epochs."""


@dataclass(frozen=True)
class Fold:
    """One fold, with the members in the order of the baselines and the chain."""

    number: int
    splits: Splits
    members: list[Member]


def cross_validate(job: Job, model: Model, splits: Splits, parts: Sequence[Splits], *, directory: Path, listen: Listen,
                   remaining: Callable[[], float]) -> list[Proven]:
    """Return the ensembles of the baselines and of the chain with their proof, the last being the result.

    parts: the folds. splits: `train` holds the images of all folds; `test` is read once, when all is fitted.
    What stands for validation is the out-of-fold predictions: each image by the model whose fold it was.
    Writes what `proof.prove` writes into `directory`, and oof.parquet and folds.json.
    """
    done = []
    for number, part in enumerate(parts, start=1):
        time_left = share_of(remaining, 1 / (len(parts) - number + 1))
        done.append(_fit(job, model, number, part, directory=directory, listen=listen, remaining=time_left))
        _tell_fold(done[-1], len(parts), listen)
    together = replace(splits, val=replace(splits.train, samples=tuple(s for part in parts for s in part.val.samples)))
    columns = list(zip(*(fold.members for fold in done), strict=True))
    proven = [_ensemble(job, [member.proven for member in column], together, listen) for column in columns]
    spreads = [_spreads(done, column) for column in columns]
    write_table(directory / "oof.parquet", oof_rows(proven[-1], together, done))
    write_json(directory / "folds.json", {
        "schema": SCHEMA, "folds": len(parts), "images": len(together.val),
        "methods": {item.adapted.name: _record(item, done, column, found)
                    for item, column, found in zip(proven, columns, spreads, strict=True)}})
    verdicts = {item.adapted.name: merged.to_json() for item, column in zip(proven, columns, strict=True)
                if (merged := merge([member.verdict for member in column]))}
    conclude(job, proven, parts_of(together), verdicts, directory=directory, listen=listen)
    _tell_all(proven[-1], spreads[-1], len(parts), listen)
    return proven


def _fit(job: Job, model: Model, number: int, part: Splits, *, directory: Path, listen: Listen,
         remaining: Callable[[], float]) -> Fold:
    """Return the fold with all its members, each calibrated and measured on the validation part."""
    told = heard_in(number, listen)
    adapted = adapt_all(job, model, part, work=directory / WORK / f"fold-{number}", listen=told, remaining=remaining)
    history = read_history(directory)
    members = []
    for item in adapted:
        proven = measure(job, item, part, told)
        rows = [row for row in history if row["method"] == in_fold(item.name, number)]
        epoch = read_json(directory / "run.json")["kept"].get(in_fold(item.name, number))
        members.append(Member(proven, judge(job, proven, part, rows, told), epoch))
    return Fold(number, part, members)


def heard_in(number: int, listen: Listen) -> Listen:
    """Return a listener that tells `listen` of which fold (from 1) an event is."""
    def told(event: Event) -> None:
        match event:
            case EpochEnded() | Kept() | Trained() | RatesTried():
                listen(replace(event, method=in_fold(event.method, number)))
            case Note():
                listen(replace(event, text=f"fold {number}: {event.text}"))
            case Started() | Progress() | Finished():
                listen(replace(event, step=f"fold {number}: {event.step}"))
            case _:
                listen(event)
    return told


def share_of(remaining: Callable[[], float], share: float) -> Callable[[], float]:
    """Return the seconds left of a share of what is left now: without it the first fold would take all the time."""
    end = time.monotonic() + share * remaining()
    return lambda: end - time.monotonic()


def _ensemble(job: Job, members: Sequence[Proven], together: Splits, listen: Listen) -> Proven:
    """Return the mean of the members, measured on test, with their out-of-fold answers as validation.

    Its temperature is 1: the members are calibrated each on its own fold, and no image is left that none has seen.
    """
    adapted = [member.adapted for member in members]
    whole = replace(adapted[0], model=mean_of([item.model for item in adapted]),
                    seconds=sum(item.seconds for item in adapted))
    calibrated = [member.logits["val"] / member.adapted.model.temperature for member in members]
    logits = {"val": np.concatenate(calibrated).astype(np.float32),
              "test": logits_on(job, whole, together.test, together, listen, step=f"{whole.name} on test")}
    task = decisive(job, whole, together.val, whole.model.probabilities(logits["val"]), listen)
    whole = replace(whole, model=replace(whole.model, task=task))
    return evaluated(job, whole, logits, parts_of(together))


def oof_rows(final: Proven, together: Splits, done: Sequence[Fold]) -> list[dict[str, Any]]:
    """Return a row per image that is not held out: its fold, and what the model says that did not see it."""
    rows = [row for row in prediction_rows(final, parts_of(together)) if row["split"] == "val"]
    numbers = [fold.number for fold in done for _ in fold.splits.val.samples]
    return [{"id": row["id"], "path": row["path"], "fold": number,
             **{key: value for key, value in row.items() if key not in ("id", "path", "split")}}
            for row, number in zip(rows, numbers, strict=True)]


def _spreads(done: Sequence[Fold], column: Sequence[Member]) -> dict[str, Spread]:
    """Return each metric of one method over the folds."""
    found = [member.proven.evaluations["val"].metrics for member in column]
    ratio = sum(len(fold.splits.val) for fold in done) / sum(len(fold.splits.train) for fold in done)
    return {name: spread(name, [metrics[name].value for metrics in found], val_per_train=ratio) for name in found[0]}


def _record(whole: Proven, done: Sequence[Fold], column: Sequence[Member], found: dict[str, Spread]) -> dict[str, Any]:
    """Return what folds.json says of one method."""
    rows = [{"fold": fold.number, "train": len(fold.splits.train), "val": len(fold.splits.val),
             "best_epoch": member.best_epoch, "temperature": member.proven.adapted.model.temperature,
             "seconds": round(member.proven.adapted.seconds, 2),
             "watch": member.verdict.verdict if member.verdict else None,
             "metrics": member.proven.metrics["val"]} for fold, member in zip(done, column, strict=True)]
    return {"folds": rows, "spread": {name: item.to_json() for name, item in found.items()},
            "out_of_fold": whole.metrics["val"]}


def merge(verdicts: Sequence[Watch | None]) -> Watch | None:
    """Return one verdict of those of the folds (in their order): the most frequent one, and which folds say what."""
    told: dict[str, list[int]] = {}
    for number, found in enumerate(verdicts, start=1):
        if found is not None:
            told.setdefault(found.verdict, []).append(number)
    if not told:
        return None
    common = max(told, key=lambda verdict: len(told[verdict]))
    first = next(found for found in verdicts if found is not None and found.verdict == common)
    said = "; ".join(f"{verdict.replace('_', ' ')} in {'fold' if len(where) == 1 else 'folds'} "
                     f"{', '.join(map(str, where))}" for verdict, where in told.items())
    return replace(first, text=f"{said[0].upper()}{said[1:]}. Fold {told[common][0]}: {first.text}",
                   numbers={verdict: len(where) for verdict, where in told.items()})


def _tell_fold(fold: Fold, count: int, listen: Listen) -> None:
    last = fold.members[-1]
    name = last.proven.adapted.model.task.monitor
    metric = last.proven.evaluations["val"].metrics[name]
    epoch = "" if last.best_epoch is None else f", best epoch {last.best_epoch}" if last.best_epoch else \
        ", no epoch better than the start"
    listen(Note(f"fold {fold.number} of {count}: {last.proven.adapted.name} {name} {metric.value:.3f} "
                f"({metric.low:.3f}-{metric.high:.3f}) on {len(fold.splits.val)} images it did not see{epoch}"))


def _tell_all(final: Proven, found: dict[str, Spread], count: int, listen: Listen) -> None:
    name = final.adapted.model.task.monitor
    over, pooled = found[name], final.evaluations["val"].metrics[name]
    words = f"{over.mean:.3f} on average, deviation {over.deviation:.3f}" if not math.isnan(over.mean) else \
        "undefined in some"
    if not math.isnan(over.low):
        words += (f", 95% interval of the mean {over.low:.3f} to {over.high:.3f} ({over.corrected_low:.3f} to "
                  f"{over.corrected_high:.3f} allowing for the training images that folds share)")
    listen(Note(f"{count} folds: {final.adapted.name} {name} {words}; all out-of-fold answers together "
                f"{pooled.value:.3f} ({pooled.low:.3f}-{pooled.high:.3f})"))
