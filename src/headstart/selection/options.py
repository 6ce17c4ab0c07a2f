"""Options: the ways to adapt that are open, each with the accuracy and the time that it is expected to take, and why.

What a method gains over the probe is judged from two sides: what it gained on the benchmark sets that were as near to
the pretraining images (or as far from them), and what a short fine-tuning gained here. Each counts by its precision.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headstart.probabilities import wilson
from headstart.selection.nearness import Nearness
from headstart.selection.trial import BATCH, FEW, RATES, Trial, Untried, head_rate

Distance = Literal["near", "far", "unknown"]

NEAR, FAR = 0.40, 0.25
"""Mean confidence of the pretrained classifier above which images count as near its own, and below which as far."""
GAINS: Mapping[Distance, tuple[float, float]] = {"near": (0.005, 0.015), "far": (0.07, 0.05), "unknown": (0.03, 0.05)}
"""Mean and deviation of the gain of fine-tuning over the probe in benchmarks/results/methods.jsonl: photos of objects
are near, digits and MRI slices far."""
STEPS: Mapping[Distance, float] = {"near": 4.0, "far": 8.0, "unknown": 6.0}
"""Optimizer steps of a full fine-tuning, for each root of the number of training images; as in the benchmark."""
LEAST_WEIGHT = 0.15
"""Share that a trial must have in what is expected, to be worth its time."""
UNTRIED: Mapping[Untried | None, str] = {
    "few": "so few images could not tell here", "time": "the time was up before a trial could tell here",
    "settled": "the probe makes too few mistakes to tell here", None: "no trial told here"}
"""What the lack of a trial means for the question whether fine-tuning gains anything."""
LIKELY = 0.67
"""Deviations above 0 from which a gain is likely: odds of three to one. The way back that validation chooses (wise-ft)
bounds what is lost where it does not come."""
WORTH = 0.003
"""Gain for which a minute of training is worth its while."""


@dataclass(frozen=True)
class Share:
    """A method beside the full fine-tuning: what share of its gain it has, and of its time."""

    name: str
    words: str
    settings: Mapping[str, Any]
    gain: float
    time: float
    reason: str


SHARES = (
    Share("full", "fine-tuning, all of it", {"method": "finetune", "interpolate": "validation"}, 1.0, 1.0,
          "adapts every layer, then goes back towards the start as far as validation likes"),
    Share("norms", "fine-tuning, norm layers only", {"method": "finetune", "scope": "norm-only"}, 0.65, 0.6,
          "trains under 5% of the weights: about two thirds of the gain, hard to overfit"),
    Share("lora", "LoRA (parameter-efficient)", {"method": "lora"}, 0.75, 2.5,
          "a small file beside the frozen backbone; takes more steps"),
    Share("partial", "fine-tuning, the last two stages", {"method": "finetune", "scope": "last-2"}, 0.3, 0.45,
          "leaves the early layers alone: enough near the pretraining images, too little far from them"),
    Share("gradual", "fine-tuning, unfreezing from the head down",
          {"method": "finetune", "unfreeze": "fixed"}, 0.5, 0.8,
          "careful with the early layers; in few steps they hardly move"))


@dataclass(frozen=True)
class Option:
    """One way to adapt."""

    name: str
    words: str
    reason: str
    settings: list[dict[str, Any]]
    """The methods as a job takes them."""
    value: float | None
    low: float | None
    high: float | None
    """Expected accuracy (for multi-label the share of right labels), and the 95% interval of what the held-out images
    will show, their own chance included; None: not estimated."""
    seconds: float
    """Expected time on this machine."""
    fits: bool = True
    """Whether the time that was given is enough."""


@dataclass(frozen=True)
class Basis:
    """What the options are judged from."""

    images: int
    """Training images."""
    accuracy: float
    """Of the cross-validated probe."""
    judged: int
    """Images that it was judged by."""
    held_out: int
    """Images that are to prove what is expected."""
    distance: Distance
    trial: Trial | None
    seconds_per_image: float
    """Of one image in one step of training."""
    extraction: float
    """Seconds to read the features of all images, done already where they are cached."""
    limit: float | None
    untried: Untried | None = None
    """Why there is no trial, where there is none."""


def distance_of(found: Nearness) -> Distance:
    """Return whether images are near those of the pretraining, by the confidence of its classifier."""
    if found.confidence is None:
        return "unknown"
    return "near" if found.confidence >= NEAR else "far" if found.confidence <= FAR else "unknown"


def augment_for(distance: Distance) -> str:
    """Return the preset: mirroring is for photos of things only, and only images like photos are taken for such."""
    return "standard" if distance == "near" else "light"


def gain(basis: Basis) -> tuple[float, float]:
    """Return the expected gain of a full fine-tuning over the probe, and its standard deviation.

    The errors that are left bound it: a gain can't be larger than the probe's error.
    """
    mean, spread = GAINS[basis.distance]
    if basis.trial is not None:
        # In fewer steps, but on fewer images, where there is more to gain: its gain is taken for the whole one's.
        best = basis.trial.best
        weight = spread**2 / (spread**2 + best.error**2)
        mean, spread = mean + weight * (best.gain - mean), spread * math.sqrt(1 - weight)
    room = 1 - basis.accuracy
    return min(mean, 0.7 * room), min(spread, 0.5 * room + 0.005)


def worth_trying(distance: Distance, accuracy: float, images: int) -> bool:
    """Return whether a trial could change what is expected: not of few images where other data sets agree closely.

    accuracy: of the probe; as many images as it gets wrong are taken to change sides.
    """
    if images >= FEW:
        return True
    error = math.sqrt((1 - accuracy + 1 / images) / images)
    _, spread = GAINS[distance]
    return spread**2 >= LEAST_WEIGHT * (spread**2 + error**2)


def unproven(basis: Basis) -> bool:
    """Return whether nothing here speaks for fine-tuning: then the probe is advised.

    So it is where validation liked no rate, or no trial could tell and the gain that is expected is not LIKELY.
    """
    if basis.trial is not None and not basis.trial.helped:
        return True
    mean, spread = gain(basis)
    return (basis.trial is None or not basis.trial.best.sure) and mean < LIKELY * spread


def rate_for(basis: Basis) -> float:
    """Return the learning rate of the backbone: the better one of the trial, the lowest where none did any good."""
    if basis.trial is None:
        return {"near": min(RATES)}.get(basis.distance, RATES[0])
    return basis.trial.best.rate if basis.trial.helped else min(arm.rate for arm in basis.trial.arms)


def options(basis: Basis) -> list[Option]:
    """Return the ways that are open, the advised one first."""
    mean, spread = gain(basis)
    rate = rate_for(basis)
    epochs = epochs_for(basis)
    seconds = epochs * basis.images * basis.seconds_per_image
    course = {"epochs": epochs, "batch_size": BATCH if basis.images < 500 else 32, "lr_backbone": rate,
              "lr_head": head_rate(rate), "augment": augment_for(basis.distance)}
    found = [_option(basis, "probe", "linear probe (features stay frozen)", why_probe(basis), [{"method": "probe"}],
                     0.0, 0.0, basis.extraction)]
    for share in SHARES:
        if share.name == "lora" and not importlib.util.find_spec("peft"):
            continue
        method = {**course, **share.settings}
        if share.name in ("norms", "lora"):
            method |= {"lr_backbone": min(10 * rate, 1e-2), "lr_head": max(3e-3, head_rate(rate))}
        if share.name == "lora":
            method["epochs"] = math.ceil(2.5 * epochs)
        found.append(_option(basis, share.name, share.words, f"{why_gain(basis, share.gain * mean)}; {share.reason}",
                             [{"method": "probe"}, method], share.gain * mean,
                             share.gain * spread + (1 - share.gain) * 0.01, basis.extraction + share.time * seconds))
    found.append(Option("scratch", "training from scratch", "no use of what was learned before: 0.58 below the probe "
                        "on 100 digits in our benchmark; not estimated for these images",
                        [{"method": "scratch"}], None, None, None, 4 * seconds, _fits(basis, 4 * seconds)))
    careful = unproven(basis)
    # In order of what they promise for their time; what does not fit the time comes after, the quickest first.
    return sorted(found, key=lambda item: (not item.fits, careful and item.name != "probe",
                                           -_worth(item) if item.fits else item.seconds))


def epochs_for(basis: Basis) -> int:
    """Return the epochs of a full fine-tuning, fewer where the time that was given is short."""
    steps = STEPS[basis.distance] * math.sqrt(max(1, basis.images))
    batch = BATCH if basis.images < 500 else 32
    epochs = min(60, max(3, round(steps * batch / max(1, basis.images))))
    if basis.limit is not None:
        affordable = int(0.7 * (basis.limit - basis.extraction) / max(1e-9, basis.images * basis.seconds_per_image))
        epochs = max(3, min(epochs, affordable))
    return epochs


def _option(basis: Basis, name: str, words: str, reason: str, settings: Sequence[Mapping[str, Any]], mean: float,
            spread: float, seconds: float) -> Option:
    value = min(1.0, max(0.0, basis.accuracy + mean))
    low, high = interval(basis, value, spread)
    return Option(name, words, reason, [dict(method) for method in settings], value, low, high, seconds,
                  _fits(basis, seconds))


def interval(basis: Basis, value: float, spread: float) -> tuple[float, float]:
    """Return the 95% interval of the accuracy on the held-out images. spread: standard deviation of the gain.

    Two samples leave it open, the images that the probe was judged by and those held out: their variances add, so
    that Wilson's interval is that of half their harmonic mean. The gain's own interval is added side by side.
    Source: Zou & Donner, "Construction of confidence limits about effect measures", Stat. Med. 2008.
    """
    size = 1 / (1 / basis.judged + (1 / basis.held_out if basis.held_out else 0.0))
    low, high = wilson(value, size)
    gain_half = 1.96 * spread
    return max(0.0, value - math.hypot(value - low, gain_half)), min(1.0, value + math.hypot(high - value, gain_half))


def _fits(basis: Basis, seconds: float) -> bool:
    return basis.limit is None or seconds <= basis.limit


def _worth(option: Option) -> float:
    return -math.inf if option.value is None else option.value - WORTH * option.seconds / 60


def why_gain(basis: Basis, expected: float) -> str:
    """Return what is expected over the probe, and whether these data or others say so.

    expected: the gain of the one method, in shares of 1.
    """
    said = f"{abs(100 * expected):.1f} points {'better' if expected >= 0 else 'worse'} than the probe expected"
    trial = basis.trial
    if trial is None:
        return f"{said}, from other data sets"
    chance = ", and validation liked none" if not trial.helped else "" if trial.best.sure else ", within chance"
    return f"{said} (fine-tuning on other data sets: {_points(*GAINS[basis.distance])}; a short one here: " \
           f"{_points(trial.best.gain, trial.best.error)}{chance})"


def _points(mean: float, error: float) -> str:
    return f"{100 * mean:+.1f} ± {100 * error:.1f}"


def why_probe(basis: Basis) -> str:
    """Return what speaks for the probe on these data."""
    if basis.accuracy >= 0.995:
        return "it is right nearly always already: there is nothing left to gain"
    common = "seconds, deterministic, hard to overfit: what every other way must beat"
    if not unproven(basis):
        return common
    if basis.trial is not None and not basis.trial.helped:
        return f"every short fine-tuning here was worse on validation than its start; {common}"
    here = UNTRIED[basis.untried] if basis.trial is None else "the trial here could not tell"
    found, others = gain(basis), GAINS[basis.distance]
    expected = "" if found == others else f", and {_points(*found)} are expected here"
    return f"{here} whether fine-tuning gains anything: on other data sets it gained {_points(*others)} " \
           f"points{expected}, which may be none; {common}"
