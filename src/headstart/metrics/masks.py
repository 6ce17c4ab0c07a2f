"""Metrics of semantic segmentation, from how many pixels of which class were taken for which.

# N images, C classes, R resamples, H height, W width in pixels
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.data.pixel_classes import PART
from headstart.types import IGNORED

NAMES = ("miou", "mdice", "pixel_accuracy", "class_accuracy", "fwiou", "miou_image")
"""Each in 0..1, more is better."""
Scorer = Callable[[np.ndarray], dict[str, np.ndarray]]


def confusion_of(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 [C, C], pixels by true class (row) and answer (column). truth, found: uint8 [H, W]; IGNORED in the
    truth counts nothing.
    """
    total = np.zeros(classes * classes, np.int64)
    flat, said = truth.reshape(-1), found.reshape(-1)
    for start in range(0, len(flat), PART):  # a pair takes eight bytes
        part = flat[start:start + PART]
        counted = part != IGNORED
        pairs = part[counted].astype(np.int64) * classes + said[start:start + PART][counted]
        total += np.bincount(pairs, minlength=classes * classes)
    return total.reshape(classes, classes)


@dataclass(frozen=True)
class Overlaps:
    """Pixels of each image by class, int64 [N, C] each."""

    right: np.ndarray
    """Of the class in truth and answer."""
    true: np.ndarray
    answered: np.ndarray
    """Where the truth is of some class."""

    def __len__(self) -> int:
        return len(self.right)


def overlaps_of(confusions: np.ndarray) -> Overlaps:
    """Return the sums of int64 [N, C, C], as `confusion_of` makes them."""
    return Overlaps(np.diagonal(confusions, axis1=1, axis2=2), confusions.sum(axis=2), confusions.sum(axis=1))


def mask_metrics(overlaps: Overlaps, names: Sequence[str] = NAMES) -> dict[str, float]:
    """Return the metrics of N images together."""
    found = mask_scorer(overlaps)(np.ones((1, len(overlaps))))
    return {name: float(found[name][0]) for name in names}


def of_images(overlaps: Overlaps) -> dict[str, np.ndarray]:
    """Return `miou` and `pixel_accuracy` of each image alone, float64 [N]; NaN for one of ignored pixels alone."""
    right, true, answered = (part.astype(np.float64) for part in (overlaps.right, overlaps.true, overlaps.answered))
    return {"miou": mean_defined(ratio(right, true + answered - right)),
            "pixel_accuracy": ratio(right.sum(axis=1), true.sum(axis=1))}


def mask_scorer(overlaps: Overlaps) -> Scorer:
    """Return a call from weights [R, N] to {name: [R]}, with `iou 0`, `iou 1`, ... and `dice 0`, ... by class.

    iou = TP / (TP + FP + FN), dice = 2 TP / (2 TP + FP + FN), over the pixels of all images; both undefined (NaN) for a
    class that neither truth nor answer has. miou, mdice and class_accuracy (recall) are means over the classes where
    they are defined; fwiou weighs IoU by the true pixels. miou_image is the mean over images of each one's own miou.
    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section 5.
    """
    hits, true, answered = (part.astype(np.float64) for part in (overlaps.right, overlaps.true, overlaps.answered))
    own = of_images(overlaps)["miou"]

    def score(weights: np.ndarray) -> dict[str, np.ndarray]:
        tp, t, p = (weights @ part for part in (hits, true, answered))
        iou, dice, recall = ratio(tp, t + p - tp), ratio(2 * tp, t + p), ratio(tp, t)
        total = t.sum(axis=1)
        counted = weights * np.isfinite(own)
        return {"miou": mean_defined(iou), "mdice": mean_defined(dice), "class_accuracy": mean_defined(recall),
                "pixel_accuracy": ratio(tp.sum(axis=1), total),
                "fwiou": ratio(np.nansum(iou * t, axis=1), total),
                "miou_image": ratio(counted @ np.nan_to_num(own), counted.sum(axis=1)),
                **{f"iou {c}": iou[:, c] for c in range(iou.shape[1])},
                **{f"dice {c}": dice[:, c] for c in range(dice.shape[1])}}
    return score


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below, element by element; NaN where there is nothing below."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is defined; NaN where nothing is."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
