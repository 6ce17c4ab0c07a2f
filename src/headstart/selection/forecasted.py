"""Forecasted: a forecast from data to the folder that it is written into."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.data.dataset import Dataset
from headstart.data.findings import counted
from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Listen, Note, Progress, Started
from headstart.files import write_json
from headstart.job import Job, countdown
from headstart.report import words
from headstart.report.records import ForecastRecord, Foretold
from headstart.selection.advised import take_ranked
from headstart.selection.candidates import load
from headstart.selection.curve import FOLDS, LEAST_SIZES, REPEATS, Curve, probe_curve, smallest
from headstart.selection.finetune_curve import finetune_curve
from headstart.selection.forecast import (
    FEWEST_POINTS,
    Forecast,
    Point,
    forecast,
    gains,
    label_first,
    lacking,
    standard_errors,
)
from headstart.selection.forecast_page import write_forecast_page
from headstart.selection.pool import Pool, nested, of_each_class, open_pool
from headstart.selection.records import new_folder, refuse_place

RECORD = "forecast.json"
FOLDER = "forecasts"
FACTORS = (2, 4, 10)
MOST = 5000
STEP = "learning curve"
REPORTED, EACH, REPORTED_MOST = 100, 10, 1000
"""Images, and images of each class, from which on a run's report has a forecast; and how many it reads at most."""


@dataclass(frozen=True)
class Forecasted:
    """A forecast on disk."""

    data: str
    known: Mapping[str, Any]
    """What decides which images were read, and how they are seen: `fingerprint` of the data, `held_out` images,
    `channels`, `fit`."""
    record: ForecastRecord
    directory: Path | None = None

    def at(self, factor: int) -> Foretold:
        """Return the forecast for 2, 4 or 10 times the images; raises ConfigError for another factor."""
        if factor not in FACTORS:
            raise ConfigError(f"a forecast is for {', '.join(map(str, FACTORS))} times the images, not for {factor}. "
                              "`record.band` has the whole line.")
        return self.record.ahead[str(factor)]

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain JSON values."""
        return {"data": self.data, "known": dict(self.known), **self.record.model_dump(mode="json")}


def make_forecast(job: Job, *, dataset: Dataset | None, method: str, targets: Sequence[float],
                  directory: Path | None, listen: Listen) -> Forecasted:
    """Return the forecast for the data of a job, written into `directory` or the next free one in `forecasts/`.

    method: `probe`, or `finetune`, which trains for each point. targets: accuracies in 0..1 to find the labels for.
    Raises DataError where the images are too few for a curve, ConfigError for what can't be.
    """
    refuse_place(directory, FOLDER)
    if method not in ("probe", "finetune"):
        raise ConfigError(f'--method {method}: a forecast is made for "probe" or "finetune".')
    wrong = [target for target in targets if not 0 < target < 1]
    if wrong:
        raise ConfigError(f"--target {wrong[0]:g}: write accuracies between 0 and 1, such as 0.95.")
    remaining = countdown(job.limit_time)
    pool = open_pool(job, dataset, listen)
    job = take_ranked(job, pool, listen)[0] if job.backbone == "auto" else job
    backbone, note = load(job.backbone, job.image_size, job.channels, job.fit, job.allow_licenses)
    if note:
        listen(Note(note))
    rows = np.sort(nested(pool.images.labels(), min(MOST, len(pool.images)), seed=job.seed))
    if method == "probe":
        curve = _probe_curve(pool, pool.features(backbone, rows, listen), rows, listen, remaining)
    else:
        curve = finetune_curve(pool, backbone, rows, listen=listen, remaining=remaining)
    ahead = forecast(curve, seed=job.seed)
    if ahead is None:
        raise too_few(pool)
    target = new_folder(directory, FOLDER, job)
    found = Forecasted(job.data, pool.known_to(), summarised(ahead, pool, backbone.spec.architecture, method, targets),
                       target)
    write_forecast_page(found.record, job.data, target)
    write_json(target / RECORD, found.to_json())
    return found


def too_few(pool: Pool) -> DataError:
    """Return the error of a pool that is too small for a curve, and how many images more would do."""
    classes, having = len(pool.images.classes), len(pool.images)
    # Each point halves the images, rounded down, and the largest leaves out a fold.
    fitted = 2 ** (FEWEST_POINTS - 1) * math.ceil(smallest(classes))
    needed = math.ceil(fitted * FOLDS / (FOLDS - 1))
    known = f"{having} images outside the test split are too few for a learning curve of {classes} classes, which " \
            f"needs {FEWEST_POINTS} points"
    if needed > MOST:
        return DataError(f"{known}. A forecast reads at most {words.count(MOST)} images, where {words.count(needed)} "
                         "would be needed: forecast for a part of the classes.")
    given = {sample.split for sample in pool.dataset.samples}
    if "test" in given or "val" in given:
        return DataError(f"{known}. Label {needed - having} more images outside the test split, {needed} in all "
                         "there.")
    # The split is by class: of each, up to half an image more than its share is held out.
    total = max(math.ceil((needed + classes / 2) / (1 - pool.job.test)), len(pool.dataset) + needed - having)
    return DataError(f"{known}. Label {total - len(pool.dataset)} more images, {total} in all: "
                     f"{pool.job.test:.0%} of them are held out as the test split.")


def _probe_curve(pool: Pool, features: np.ndarray, rows: np.ndarray, listen: Listen,
                 remaining: Callable[[], float]) -> Curve:
    part, began = pool.images.subset(rows), time.monotonic()
    listen(Started(STEP, REPEATS, "rounds"))
    curve = probe_curve(features, part.labels(), classes=len(part.classes), seed=pool.job.seed, groups=part.groups(),
                        step=lambda done: listen(Progress(STEP, done)), remaining=remaining)
    sizes = counted(len(curve.sizes), "size")
    listen(Finished(STEP, time.monotonic() - began, f"{sizes} up to {counted(int(curve.sizes[-1]), 'image')}"))
    if remaining() <= 0:
        rounds = curve.accuracy.shape[1] // FOLDS
        listen(Note(f"the time of {pool.job.limit_time:g} s was up: the curve has {rounds} of {REPEATS} rounds and "
                    f"{sizes}. Reading the features and one round of {LEAST_SIZES} sizes are the "
                    "least that a forecast needs, and are never cut short.", "warning"))
    return curve


def summarised(ahead: Forecast, pool: Pool, backbone: str, method: str,
               targets: Sequence[float] = ()) -> ForecastRecord:
    """Return the forecast as plain numbers."""
    curve = ahead.curve
    last = float(curve.sizes[-1])
    wide = 1.2816 * standard_errors(curve)
    measured = [Foretold(images=float(size), value=float(value), low=float(max(0.0, value - half)),
                         high=float(min(1.0, value + half)))
                for size, value, half in zip(curve.sizes, curve.mean, wide, strict=True)]
    band = [_plain(ahead.at(images)) for images in np.geomspace(float(curve.sizes[0]), 10 * last, 40)]
    return ForecastRecord(
        backbone=backbone, method=method, law=ahead.law, belief=ahead.belief, measured=measured, band=band,
        now=_plain(ahead.at(last)), ahead={str(factor): _plain(ahead.at(factor * last)) for factor in FACTORS},
        targets={f"{target:g}": ahead.needed(target) for target in targets}, gains=gains(curve, pool.images.classes),
        label_first=label_first(curve, pool.images.classes),
        lacking=lacking(curve, pool.images.classes, of_each_class(pool.images)))


def _plain(point: Point) -> Foretold:
    return Foretold(images=point.images, value=point.value, low=point.low, high=point.high)


def forecast_of_run(pool: Pool, backbone: Backbone, listen: Listen) -> ForecastRecord | None:
    """Return the forecast of the probe for the report of a run; None where the images are too few to say much.

    The features are there: a probe has read them.
    """
    labels = pool.images.labels()
    counts = of_each_class(pool.images)
    if len(pool.images) < REPORTED or counts[counts > 0].min() < EACH:
        return None
    rows = np.sort(nested(labels, min(REPORTED_MOST, len(labels)), seed=pool.job.seed))
    part = pool.images.subset(rows)
    curve = probe_curve(pool.features(backbone, rows, lambda event: None), part.labels(), classes=len(part.classes),
                        seed=pool.job.seed, groups=part.groups(), repeats=1)
    ahead = forecast(curve, seed=pool.job.seed)
    return None if ahead is None else summarised(ahead, pool, backbone.spec.architecture, "probe")
