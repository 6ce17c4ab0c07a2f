"""Box places: at each pixel the class of the smallest box around it, or the ground, and what a detector says of it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.maps import Maps
from headstart.data.dataset import Dataset
from headstart.domains.places import UNKNOWN, Places
from headstart.types import Sample

# h and w of a picture, K places, B boxes, P places of a part, C classes; the ground is class C

CUTS = np.arange(1, 100) / 100
"""Scores from which a box may be believed."""
SUREST = 1e-4
"""How near to 0 and 1 a score may come before its logarithm is taken."""


class BoxPlaces(Places):
    """What boxes and detectors say. Scores mean something else in each detector; so an answer is how far a score lies
    above or below the one from which this very model's boxes are right about the source more often than not.
    """

    def __init__(self, source: Dataset) -> None:
        """source: the images that were learned from."""
        self.ground = len(source.classes)
        objects = sum(len(sample.objects or ()) for sample in source.samples)
        self.usual = math.ceil(objects / len(source))
        """Objects in an image of the source."""

    def known(self, sample: Sample, original: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Return int64 [h, w], the classes of the boxes; UNKNOWN in a crowd."""
        objects = sample.objects or ()
        factors = np.array([size[1] / original[1], size[0] / original[0]] * 2)
        crowds = [(np.array(one.box) * factors, UNKNOWN) for one in objects if one.crowd]
        marked = _largest_first((np.array(one.box) * factors, one.label) for one in objects if not one.crowd)
        return self._drawn([*crowds, *marked], size)

    def expected(self, backbone: Backbone, head: nn.Module, images: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
        """Return int64 [h, w], the classes of the surest boxes, as many as an image of the source has objects."""
        boxes, _, labels = _found(head, backbone.maps(images), images)
        surest = zip(boxes[:self.usual], labels[:self.usual].tolist(), strict=True)
        return self._drawn(_largest_first(surest), size)

    def answers(self, head: nn.Module, maps: Maps, images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return float32 [K, C], of each class the highest score of a box around the place; 0 where there is none."""
        boxes, scores, labels = _found(head, maps, images)
        assert self.ground is not None, "set when it was made"
        return torch.from_numpy(scores_at(places.cpu().numpy(), boxes, scores, labels, classes=self.ground))

    def logits(self, answers: np.ndarray, held: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return float32 [P, C + 1], of each class the log odds of its score less those of the cut; 0 for ground."""
        odds = _log_odds(answers) - _log_odds(np.array(cut(held, labels)))
        return np.concatenate([odds, np.zeros((len(odds), 1))], axis=1).astype(np.float32)

    def _drawn(self, boxes: Iterable[tuple[np.ndarray, int]], size: tuple[int, int]) -> np.ndarray:
        """Return int64 [h, w], boxes over each other on the ground, later ones above."""
        assert self.ground is not None, "set when it was made"
        classes = np.full(size, self.ground, np.int64)
        for box, label in boxes:
            # The pixels whose middle lies inside.
            left, top, right, bottom = np.maximum(np.ceil(box - 0.5), 0).astype(np.int64)
            classes[top:bottom, left:right] = label
        return classes


def scores_at(places: np.ndarray, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, *,
              classes: int) -> np.ndarray:
    """Return float32 [K, C], the highest score of a box of each class around the middle of each pixel, else 0.

    places: int64 [K, 2], rows and columns. boxes: float [B, 4]. scores: float32 [B]. labels: int64 [B].
    """
    y, x = (places + 0.5).T[:, :, None]
    left, top, right, bottom = boxes.T[:, None]
    inside = (left <= x) & (x < right) & (top <= y) & (y < bottom)
    found = np.zeros((len(places), classes), np.float32)
    for label in np.unique(labels):
        of = labels == label
        found[:, label] = (inside[:, of] * scores[of]).max(axis=1)
    return found


def cut(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the score from which to believe a box so that most places are right.

    Of equal ones it is the middle of the longest run.
    scores: float32 [P, C]. labels: int64 [P], C for the ground.
    """
    told, said = scores.max(axis=1) >= CUTS[:, None], scores.argmax(axis=1)
    right = np.where(told, said == labels, labels == scores.shape[1]).mean(axis=1)
    best = np.flatnonzero(right == right.max())
    return float(np.median(CUTS[max(np.split(best, np.flatnonzero(np.diff(best) > 1) + 1), key=len)]))


def _log_odds(scores: np.ndarray) -> np.ndarray:
    safe = np.clip(scores.astype(np.float64), SUREST, 1 - SUREST)
    return np.log(safe / (1 - safe))


def _largest_first(boxes: Iterable[tuple[np.ndarray, int]]) -> list[tuple[np.ndarray, int]]:
    return sorted(boxes, key=lambda one: -(one[0][2] - one[0][0]) * (one[0][3] - one[0][1]))


def _found(head: nn.Module, maps: Maps, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes float32 [B, 4], scores float32 [B] and labels int64 [B] of one image, the surest first."""
    (found,) = head.detect(maps, images)  # type: ignore[operator]
    boxes, scores, labels = (found[name].float().cpu().numpy() for name in ("boxes", "scores", "labels"))
    return boxes, scores, labels.astype(np.int64)
