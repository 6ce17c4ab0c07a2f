"""The overfitting watch: what the curves of training and validation say, in words, with numbers and what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from headstart.metrics.registry import metric

Verdict = Literal["healthy", "overfitting", "underfitting", "diverging", "plateau", "too_short"]

SHORTEST = 4
"""Epochs below which curves say nothing."""
RISE = 0.10
"""Validation loss must end this share above its lowest to be called overfitting."""
NOISE = 4.0
"""... and by so many standard deviations of the curve's own noise."""
GAP = 0.10
"""A difference of the monitored metric between train and validation that is worth a word."""

REGULARISE = ("Use stronger augmentation (augment: standard or strong).",
              "Train fewer stages of the backbone (scope: last-2), or use the probe alone.",
              "Raise weight_decay or label_smoothing, or add images of the classes that are confused most.")
LEARN_MORE = ("Train for more epochs.",
              "Raise the learning rates (lr_head, lr_backbone), or train more stages of the backbone.",
              "Lower augment or weight_decay; try a larger backbone.")
LESS = ("Lower lr_backbone and lr_head by a factor of 3 to 10.",
        "Train fewer stages of the backbone (scope: last-2), or use the probe alone.")
CALM_DOWN = ("Lower the learning rate by a factor of 3 to 10.", "Use a longer warmup and a smaller clip_norm.",
             "Look for broken images or wrong labels with `headstart check`.")


@dataclass(frozen=True)
class Watch:
    """The verdict on one fit."""

    verdict: Verdict
    text: str
    numbers: dict[str, float | None] = field(default_factory=dict)
    advice: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "advice": list(self.advice)}


@dataclass(frozen=True)
class _Curves:
    """What is read off the two loss curves. float64 [E], E epochs."""

    epochs: np.ndarray
    train: np.ndarray
    val: np.ndarray
    best: int
    """Position of the lowest smoothed validation loss: where the course turns. The lowest single value may be luck."""
    rise: float
    """Mean validation loss of the end minus that lowest."""
    noise: float
    """Standard deviation of the validation loss from epoch to epoch around its course."""

    @property
    def lowest(self) -> int:
        """Return the position of the lowest validation loss."""
        return int(self.val.argmin())

    @property
    def end(self) -> int:
        """Return how many last epochs count as the end."""
        return max(2, len(self.epochs) // 5)


def watch(history: Sequence[Mapping[str, Any]], monitor: str) -> Watch:
    """Return the verdict on a training run from its rows of history.csv, in order of epochs.

    Each row has `epoch`, `train_loss`, `val_loss` and, where known, `train_<monitor>` and `val_<monitor>`.
    A train loss above the validation loss is healthy where images are augmented or units dropped in training only.
    """
    rows = [row for row in history if _number(row, "train_loss") is not None and _number(row, "val_loss") is not None]
    train, val = (np.array([_number(row, f"{part}_loss") for row in rows], np.float64) for part in ("train", "val"))
    epochs = np.array([int(row["epoch"]) for row in rows])
    broken = ~(np.isfinite(train) & np.isfinite(val))
    if broken.any():
        first = int(epochs[broken.argmax()])
        return Watch("diverging", f"The loss is NaN or infinite from epoch {first} on.", {"epoch": first}, CALM_DOWN)
    if len(rows) < SHORTEST:
        return Watch("too_short", f"{_plural(len(rows))} with both losses: too few to judge the fit "
                     f"({SHORTEST} are needed).", {"epochs": len(rows)}, ("Train for more epochs to see a course.",))
    curves = _read(epochs, train, val)
    numbers = _numbers(curves, rows, monitor)
    for judge in (_diverging, _overfitting, _underfitting, _plateau):
        found = judge(curves, numbers, monitor)
        if found is not None:
            return found
    return _healthy(curves, numbers, monitor)


def _read(epochs: np.ndarray, train: np.ndarray, val: np.ndarray) -> _Curves:
    smooth = _smoothed(val)
    best = int(smooth.argmin())
    end = max(2, len(val) // 5)
    # The turn at the best epoch is no noise: where there is enough after it, that part is asked. But few epochs can
    # look calm by chance, so no less than half of the whole curve's unrest is believed.
    after = val[best:] if len(val) - best >= SHORTEST else val
    noise = max(_noise(after), _noise(val) / 2)
    return _Curves(epochs, train, val, best, float(val[-end:].mean() - smooth[best]), noise)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Return the mean of each value and its neighbours; a single lucky epoch is no minimum."""
    padded = np.pad(values, 1, mode="edge")
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def _noise(values: np.ndarray) -> float:
    """Return the noise of a smooth curve: the spread of its second differences, whose variance is 6 times the noise's.

    Source: Gasser, Sroka & Jennen-Steinmetz, Biometrika 1986.
    """
    return float(np.sqrt((np.diff(values, 2) ** 2).mean() / 6))


def _diverging(curves: _Curves, numbers: dict[str, float | None], monitor: str) -> Watch | None:
    start, end = curves.train[0], float(np.median(curves.train[-curves.end:]))
    lowest = float(_smoothed(curves.train).min())
    if end <= 1.2 * start or end - lowest <= NOISE * _noise(curves.train):
        return None
    return Watch("diverging", f"The training loss rose from {start:.3f} at epoch {curves.epochs[0]} to {end:.3f} at "
                 "the end: training left the good weights it began with.", numbers, CALM_DOWN)


def _overfitting(curves: _Curves, numbers: dict[str, float | None], monitor: str) -> Watch | None:
    after, turn = len(curves.epochs) - 1 - curves.best, curves.val[curves.best]
    # Few epochs tell little of their own noise, so more of it is asked for.
    needed = max(RISE * turn, NOISE * (1 + 4 / len(curves.epochs)) * curves.noise)
    learnt = curves.train[curves.best] - curves.train[-curves.end:].mean()
    if after < 2 or curves.rise <= needed or learnt <= 0:
        return None
    epoch = int(curves.epochs[curves.best])
    numbers["from_epoch"] = epoch
    text = (f"Overfitting from epoch {epoch} on: validation loss rose from {turn:.3f} to "
            f"{curves.val[-curves.end:].mean():.3f} while training loss went on falling, from "
            f"{curves.train[curves.best]:.3f} to {curves.train[-1]:.3f}.")
    fallen = numbers["val_metric_fall"]
    if fallen is not None and fallen < 0.01:
        text += f" {word(monitor)} holds: it is the confidence that suffers, which temperature scaling mends in part."
    text += " The best weights are kept, so the epochs after that cost time and nothing else."
    return Watch("overfitting", text, numbers, ("Stop earlier, with less patience.", *REGULARISE))


def _underfitting(curves: _Curves, numbers: dict[str, float | None], monitor: str) -> Watch | None:
    start, third = curves.train[0], max(2, len(curves.epochs) // 3)
    train, val = _smoothed(curves.train), _smoothed(curves.val)
    lately = min((train[-third] - train[-1]) / train[-third], (val[-third] - val[-1]) / val[-third])
    steady = 2 * (_noise(curves.train) + _noise(curves.val))
    last, ended = numbers["train_metric"], curves.train[-curves.end:].mean()
    poor = last is None or not metric(monitor).higher_is_better or last < 0.9
    if poor and lately > 0.1 and train[-third] - train[-1] > steady:
        return Watch("underfitting", f"Training stopped too early: in the last {third} epochs both losses still fell "
                     f"by {lately:.0%} or more.", numbers, LEARN_MORE)
    if poor and ended - start > max(0.01 * start, 2 * _noise(curves.train)):
        # More epochs of the same would make it worse still.
        return Watch("diverging", f"Training made it worse: the training loss rose from {start:.3f} to {ended:.3f} in "
                     f"{_plural(len(train))}.", numbers, LESS)
    if poor and last is not None and ended > 0.9 * start:
        return Watch("underfitting", f"The model hardly learns: training loss went from {start:.3f} to {ended:.3f} in "
                     f"{_plural(len(train))}, and {word(monitor, lower=True)} on train is {last:.3f}.",
                     numbers, LEARN_MORE)
    return None


def _plateau(curves: _Curves, numbers: dict[str, float | None], monitor: str) -> Watch | None:
    half = len(curves.epochs) // 2
    if half < 4 or curves.train[0] <= 0:
        return None
    # Nothing moved in the second half, against what was moved in all.
    moved = [abs(part[half:half + 2].mean() - part[-2:].mean()) / part[0] for part in (curves.train, curves.val)]
    if max(moved) > 0.01:
        return None
    epoch = int(curves.epochs[half])
    numbers["from_epoch"] = epoch
    return Watch("plateau", f"Nothing changes from epoch {epoch} on: both losses moved by less than 1% of where they "
                 "began. The fit is sound, and shorter training would have given the same.", numbers,
                 ("Train for fewer epochs.", "For a better result train more of the backbone, or choose a larger one."))


def _healthy(curves: _Curves, numbers: dict[str, float | None], monitor: str) -> Watch:
    text = (f"A healthy fit: training loss {curves.train[-1]:.3f}, validation loss {curves.val[-1]:.3f}, lowest at "
            f"epoch {curves.epochs[curves.lowest]}.")
    if curves.train[-1] > curves.val[-1]:
        text += " Training loss is the higher one, as it is where images are augmented in training only."
    gap = numbers["metric_gap"]
    if gap is not None and gap > GAP + 1e-6:  # metrics come in float32
        return Watch("healthy", f"{text} But {word(monitor, lower=True)} is {gap:.3f} better on train than on "
                     "validation: more images or augmentation may close the gap.", numbers, REGULARISE)
    return Watch("healthy", text, numbers)


def _numbers(curves: _Curves, rows: Sequence[Mapping[str, Any]], monitor: str) -> dict[str, float | None]:
    """Return what was measured; null for a metric that the history does not hold."""
    sign = 1 if metric(monitor).higher_is_better else -1
    train, val = _number(rows[-1], f"train_{monitor}"), _number(rows[-1], f"val_{monitor}")
    at_best = _number(rows[curves.best], f"val_{monitor}")
    return {
        "epochs": len(rows), "best_epoch": int(curves.epochs[curves.lowest]),
        "train_loss": float(curves.train[-1]), "val_loss": float(curves.val[-1]),
        "lowest_val_loss": float(curves.val[curves.lowest]),
        "val_loss_rise": curves.rise, "val_loss_noise": curves.noise,
        "train_metric": number_or_none(train), "val_metric": number_or_none(val),
        "metric_gap": None if train is None or val is None else number_or_none(sign * (train - val)),
        "val_metric_fall": None if at_best is None or val is None else number_or_none(sign * (at_best - val)),
    }


def _number(row: Mapping[str, Any], name: str) -> float | None:
    """Return a number of the history; None where the column is absent or the cell is empty."""
    value = row.get(name)
    return None if value is None or value == "" else float(value)


def number_or_none(value: float | None) -> float | None:
    """Return the number as JSON can hold it."""
    return None if value is None or not math.isfinite(value) else float(value)


def word(name: str, *, lower: bool = False) -> str:
    """Return the name of a metric as it stands in a sentence."""
    words = name.replace("_", " ")
    return words if lower else words[0].upper() + words[1:]


def _plural(count: int) -> str:
    return f"{count} epoch" + ("" if count == 1 else "s")
