"""Real annotations (blood cells), with detections made from them by a seeded hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

import numpy as np

from headstart.metrics.boxes import Truth, truth_of
from headstart.types import Detections, Instance
from tests.shared_data import shared

CLASSES = ("RBC", "WBC", "Platelets")


@dataclass(frozen=True)
class Cells:
    """Objects and detections of each image."""

    truths: list[Truth]
    found: list[Detections]


def box(item: ElementTree.Element) -> tuple[float, ...]:
    return tuple(float(item.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))


@cache
def annotated(images: int) -> list[list[Instance]]:
    """Return the objects of the first images, without the few boxes that are faulty."""
    found = []
    for path in sorted((shared("bccd") / "Annotations").glob("*.xml"))[:images]:
        items = ElementTree.parse(path).getroot().iter("object")
        sides = [(CLASSES.index(item.findtext("name")), box(item)) for item in items]
        found.append([Instance(c, b) for c, b in sides if b[2] > b[0] and b[3] > b[1]])
    return found


def cells(*, images: int = 364, seed: int = 0, digits: int = 9, crowd: float = 0.0, difficult: float = 0.0) -> Cells:
    """Return real objects with jittered, dropped, doubled and false detections. digits: of the scores; few make ties.

    crowd, difficult: the share of the objects that are marked so.
    """
    rng = np.random.default_rng(seed)
    objects = [[Instance(o.label, o.box, crowd=rng.random() < crowd, difficult=rng.random() < difficult) for o in some]
               for some in annotated(images)]
    return Cells([truth_of(some) for some in objects], [detected(some, rng, digits) for some in objects])


def detected(objects: list[Instance], rng: np.random.Generator, digits: int) -> Detections:
    """Return what a middling detector might say of the objects."""
    boxes, labels, scores = [], [], []
    for item in objects:
        left, top, right, bottom = item.box
        side = max(right - left, bottom - top)
        for _ in range(rng.choice([0, 1, 2], p=[0.15, 0.7, 0.15])):
            moved = np.array(item.box) + rng.normal(0, 0.07 * side, 4)
            boxes.append([*moved[:2], *np.maximum(moved[2:], moved[:2] + 1)])
            labels.append(item.label if rng.random() < 0.9 else rng.integers(len(CLASSES)))
            scores.append(rng.beta(5, 2))
    for _ in range(rng.integers(0, 6)):
        left, top = rng.uniform(0, 500, 2)
        boxes.append([left, top, left + rng.uniform(8, 150), top + rng.uniform(8, 150)])
        labels.append(rng.integers(len(CLASSES)))
        scores.append(rng.beta(2, 5))
    order = np.argsort(scores)[::-1]
    return Detections(np.array(boxes, np.float32).reshape(-1, 4)[order],
                      np.round(np.array(scores, np.float32), digits)[order], np.array(labels, np.int64)[order])
