"""Boxes: what is left of each once it is clipped to its picture, and which can't be objects."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from headstart.data.dataset import Dataset
from headstart.types import Box, Instance

LEAST_LEFT = 0.1
"""Share of a box that must lie inside the picture for it to be an object there."""
SMALLEST = 1.0
"""Pixels of the shorter side. A single pixel is a click, no object: one of the sides must be longer."""
ROUNDING = 0.5
"""Pixels by which a box may reach out of the picture without a word; it is clipped all the same."""

Fault = Literal["", "clipped", "outside", "swapped", "degenerate"]
"""All but the first two drop the box."""
Sizes = Mapping[str, tuple[int, int]]
"""Height and width of each readable picture, upright, by sample id."""


def mend_box(box: Box, size: tuple[int, int]) -> tuple[Box | None, Fault]:
    """Return the box inside a picture of this height and width, or None where no object is left, and what was wrong."""
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)):
        return None, "degenerate"
    if right < left or bottom < top:
        return None, "swapped"
    if min(right - left, bottom - top) < SMALLEST or max(right - left, bottom - top) <= SMALLEST:
        return None, "degenerate"
    height, width = size
    inside = max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)
    across, down = inside[2] - inside[0], inside[3] - inside[1]
    if min(across, down) < SMALLEST or across * down < LEAST_LEFT * (right - left) * (bottom - top):
        return None, "outside"
    far = max(-left, -top, right - width, bottom - height) > ROUNDING
    return (inside if inside != box else box), "clipped" if far else ""


def mended(dataset: Dataset, sizes: Sizes) -> Dataset:
    """Return the data with every box clipped to its picture, and without those that can't be objects; notes say so.

    Nothing else is altered; pictures without a size, and data without objects, stay as they are.
    """
    faults: Counter[Fault] = Counter()
    samples = []
    for sample in dataset.samples:
        if sample.objects is None or sample.id not in sizes:
            samples.append(sample)
            continue
        kept: list[Instance] = []
        for found in sample.objects:
            box, fault = mend_box(found.box, sizes[sample.id])
            faults[fault] += 1
            if box is not None:
                kept.append(found if box == found.box else replace(found, box=box))
        if tuple(kept) != sample.objects:
            labels = tuple(sorted({found.label for found in kept}))
            sample = replace(sample, objects=tuple(kept), label=labels)
        samples.append(sample)
    said: dict[Fault, str] = {
        "clipped": "boxes reached out of their image and are clipped to it",
        "outside": f"boxes left out: less than {LEAST_LEFT:.0%} of them lies inside their image",
        "degenerate": "boxes left out: a side of less than a pixel, or a single pixel",
        "swapped": "boxes left out: their right edge is left of the left one, or their bottom above their top"}
    notes = [f"{faults[fault]} {text}" for fault, text in said.items() if faults[fault]]
    return replace(dataset, samples=tuple(samples), notes=(*dataset.notes, *notes))
