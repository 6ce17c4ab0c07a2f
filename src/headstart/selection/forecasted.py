"""Forecasted: a forecast from data to the folder that it is written into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from headstart.data.dataset import Dataset
from headstart.errors import ConfigError, DataError, IntegrityError
from headstart.events import Finished, Listen, Note, Progress, Started
from headstart.files import read_json, write_json
from headstart.job import Job, countdown
from headstart.runs import free_directory
from headstart.selection.advised import take_ranked
from headstart.selection.candidates import load
from headstart.selection.curve import REPEATS, Curve, probe_curve
from headstart.selection.finetune_curve import finetune_curve
from headstart.selection.forecast import Forecast, forecast, gains, standard_errors
from headstart.selection.pool import Pool, nested, open_pool

RECORD, PAGE = "forecast.json", "forecast.html"
FOLDER = "forecasts"
FACTORS = (2, 4, 10)
MOST = 5000
STEP = "learning curve"


@dataclass(frozen=True)
class Forecasted:
    """A learning curve and its forecast, as they are kept on disk."""

    data: str
    known: Mapping[str, Any]
    backbone: str
    method: str
    law: str
    belief: Mapping[str, float]
    """Weight of each family of curves."""
    measured: Sequence[dict[str, float]]
    """images, value, low, high: accuracy, with the 80% interval of its mean."""
    ahead: Mapping[str, dict[str, float]]
    """By factor, such as "2": the expected accuracy and its 80% interval."""
    band: Sequence[dict[str, float]]
    """The same from the first size to ten times the last, for a figure."""
    targets: Mapping[str, tuple[int | None, int | None, int | None]]
    """Accuracy -> images to learn from: if all goes well, likely, to be safe; None: beyond forty times the images."""
    gains: Sequence[tuple[str, float, float]]
    """(class, share right now, what the last doubling brought), the largest gain first."""
    directory: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain JSON values."""
        found = asdict(self)
        del found["directory"]
        return found

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Return the forecast in a folder. Raises ConfigError where there is none, IntegrityError on a damaged one."""
        path = directory / RECORD
        if not path.exists():
            raise ConfigError(f"{directory}: there is no {RECORD} here. Make one with `headstart forecast DATA`.")
        try:
            return cls(**read_json(path), directory=directory)
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise IntegrityError(f"{path}: not a whole forecast ({error}). "
                                 "Make it anew with `headstart forecast`.") from None


def make_forecast(job: Job, *, dataset: Dataset | None, method: str, targets: Sequence[float],
                  directory: Path | None, listen: Listen) -> Forecasted:
    """Return the forecast for the data of a job, written into `directory` or the next free one in `forecasts/`.

    method: `probe`, or `finetune`, which trains for each point. targets: accuracies in 0..1 to find the labels for.
    Raises DataError where the images are too few for a curve, ConfigError for what can't be.
    """
    from headstart.selection.forecast_page import write_forecast_page

    if directory is not None and directory.is_dir() and any(directory.iterdir()):
        raise ConfigError(f"{directory}: this folder is not empty. Choose another --out.")
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
        curve = _probe_curve(pool, pool.features(backbone, rows, listen), rows, listen)
    else:
        curve = finetune_curve(pool, backbone, rows, listen=listen, remaining=remaining)
    ahead = forecast(curve, seed=job.seed)
    if ahead is None:
        raise DataError(f"{len(pool.images)} images of {len(pool.images.classes)} classes give {len(curve.sizes)} "
                        "points of a learning curve; a forecast needs 3. Label at least 16 images a class.")
    found = summarised(ahead, pool, backbone.spec.architecture, method, targets)
    target = directory or free_directory(Path(FOLDER), Path(job.data).name or "data")
    target.mkdir(parents=True, exist_ok=True)
    write_forecast_page(found, target)
    write_json(target / RECORD, found.to_json())
    return Forecasted.load(target)


def _probe_curve(pool: Pool, features: np.ndarray, rows: np.ndarray, listen: Listen) -> Curve:
    import time

    part, began = pool.images.subset(rows), time.monotonic()
    listen(Started(STEP, REPEATS, "rounds"))
    curve = probe_curve(features, part.labels(), classes=len(part.classes), seed=pool.job.seed, groups=part.groups(),
                        step=lambda done: listen(Progress(STEP, done)))
    listen(Finished(STEP, time.monotonic() - began, f"{len(curve.sizes)} sizes up to {curve.sizes[-1]} images"))
    return curve


def summarised(ahead: Forecast, pool: Pool, backbone: str, method: str, targets: Sequence[float]) -> Forecasted:
    """Return the forecast as plain numbers."""
    curve = ahead.curve
    last = float(curve.sizes[-1])
    wide = 1.2816 * standard_errors(curve)
    measured = [{"images": float(size), "value": float(value), "low": float(max(0.0, value - half)),
                 "high": float(min(1.0, value + half))}
                for size, value, half in zip(curve.sizes, curve.mean, wide, strict=True)]
    band = [asdict(ahead.at(images)) for images in np.geomspace(float(curve.sizes[0]), 10 * last, 40)]
    return Forecasted(
        pool.job.data, pool.known_to(), backbone, method, ahead.law, ahead.belief, measured,
        {str(factor): asdict(ahead.at(factor * last)) for factor in FACTORS}, band,
        {f"{target:g}": ahead.needed(target) for target in targets}, gains(curve, pool.images.classes))
