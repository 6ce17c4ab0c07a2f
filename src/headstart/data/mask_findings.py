"""Mask findings: what the check says of the masks of a segmentation data set."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from scipy.ndimage import label as connected

from headstart.data.balance import UNBALANCED
from headstart.data.dataset import Dataset
from headstart.data.findings import Finding, counted
from headstart.data.masks import BadMask
from headstart.data.measurements import Measured
from headstart.data.pixel_classes import class_counts, pixel_classes, resized_classes
from headstart.images import ImageError
from headstart.types import IGNORED, Sample

BETWEEN = 0.3
"""Share of the edges between two classes that have a third one in between, from which a mask looks smoothed."""
TINY = 4
"""Pixels of the reduced picture under which a patch of a class is hardly learnt."""
MANY = 0.1
"""Share of the patches that are tiny, from which it is worth a word."""
TILE = re.compile(r"^(?P<picture>.+?)[ _-]+(?:x|r|row)?\d+[ _-]+(?:y|c|col)?\d+$", re.IGNORECASE)
"""Names of tiles: `scene_0_512`, `slide-x3-y7`."""


@dataclass(frozen=True)
class _Seen:
    """What one mask shows."""

    size: tuple[int, int]
    counts: np.ndarray
    ignored: int
    between: float
    """Share of the edges along rows that pass over a class in between."""
    patches: int
    tiny: int
    error: str = ""


def mask_findings(dataset: Dataset, images: Sequence[Measured], *, input_size: int, quick: bool) -> list[Finding]:
    """Return the findings on masks. images: the readable ones. quick: leave out what is only good to know.

    input_size: pixels of the longer side of an image as the model gets it.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = list(pool.map(lambda image: _look(image.sample, len(dataset.classes), input_size, quick), images))
    named = [(image.sample, one) for image, one in zip(images, seen, strict=True)]
    broken = [f"{sample.where or sample.id}: {one.error}" for sample, one in named if one.error]
    sound = [(image, one) for image, one in zip(images, seen, strict=True) if not one.error]
    return [_broken(broken), _sizes(sound), _ignored(sound), _pixels(dataset, [one for _, one in sound]),
            _between(sound), *([] if quick else [_tiny(sound)]), *_tiles([image.sample for image in images])]


def _look(sample: Sample, classes: int, input_size: int, quick: bool) -> _Seen:
    assert sample.mask is not None, sample.id
    try:
        found = pixel_classes(sample.mask)
    except (BadMask, ImageError) as error:
        return _Seen((0, 0), np.zeros(classes, np.int64), 0, 0.0, 0, 0, str(error))
    patches, tiny = (0, 0) if quick else _patches(found, input_size)
    return _Seen((found.shape[0], found.shape[1]), class_counts(found, classes), int((found == IGNORED).sum()),
                 _share_between(found), patches, tiny)


def _share_between(found: np.ndarray) -> float:
    """Return the share of the changes along rows that pass over one pixel whose class number lies in between.

    Smoothing an indexed mask makes such pixels: between class 2 and class 8 lies a line of 5.
    """
    left, middle, right = (found[:, start:found.shape[1] - 2 + start].astype(np.int16) for start in range(3))
    known = (left != IGNORED) & (middle != IGNORED) & (right != IGNORED)
    between = known & ((left < middle) & (middle < right) | (left > middle) & (middle > right))
    edges = known & (left != right)
    return float(between.sum() / edges.sum()) if edges.any() else 0.0


def _patches(found: np.ndarray, input_size: int) -> tuple[int, int]:
    """Return how many connected patches the classes have at the size of the input, and how many of them are tiny."""
    scale = min(1.0, input_size / max(found.shape))
    small = resized_classes(found, (max(1, round(found.shape[0] * scale)), max(1, round(found.shape[1] * scale))))
    patches = tiny = 0
    for label in np.unique(small[small != IGNORED]):
        marked, count = connected(small == label)
        areas = np.bincount(marked.ravel())[1:]
        patches, tiny = patches + count, tiny + int((areas < TINY).sum())
    return patches, tiny


Sound = Sequence[tuple[Measured, _Seen]]


def _broken(items: Sequence[str]) -> Finding:
    if not items:
        return Finding(kind="mask_broken", level="ok", text="Every mask can be read, and all of its numbers are known.")
    return Finding(kind="mask_broken", level="error", items=tuple(items), count=len(items),
                   text=f"{counted(len(items), 'mask')} can't be used.", advice="Mend these files.")


def _sizes(sound: Sound) -> Finding:
    items = tuple(f"{image.sample.id}: {image.width}x{image.height} pixels, its mask {one.size[1]}x{one.size[0]}"
                  + (" (turned on its side)" if one.size == (image.width, image.height) else "")
                  for image, one in sound if one.size != (image.height, image.width))
    if not items:
        return Finding(kind="mask_size", level="ok", text="Every mask has the size of its image.")
    return Finding(kind="mask_size", level="error", items=items, count=len(items),
                   text=f"{counted(len(items), 'mask')} of another size than the image.",
                   advice="Export the masks at the size of the images; of a photo on its side, at the size that it has "
                          "when it is shown upright. Masks are never resized without a word.")


def _ignored(sound: Sound) -> Finding:
    items = tuple(image.sample.id for image, one in sound if not one.counts.any())
    ignored, total = sum(one.ignored for _, one in sound), sum(one.size[0] * one.size[1] for _, one in sound)
    share = f"{ignored / total:.1%} of all pixels are ignored" if total else "no pixel"
    if not items:
        return Finding(kind="mask_ignored", level="ok", text=f"Every image has pixels of some class; {share}.")
    return Finding(kind="mask_ignored", level="warning", items=items, count=len(items),
                   text=f"{counted(len(items), 'image')} of ignored pixels alone: nothing is learnt from them or "
                        f"judged on them; {share}.", advice="Mark them, or take them out.")


def _pixels(dataset: Dataset, seen: Sequence[_Seen]) -> Finding:
    counts = sum((one.counts for one in seen), np.zeros(len(dataset.classes), np.int64))
    total = int(counts.sum())
    shares = {name: count / total if total else 0.0 for name, count in zip(dataset.classes, counts, strict=True)}
    items = tuple(f"{name}: {share:.2%} of the pixels, in {sum(bool(one.counts[label]) for one in seen)} images"
                  for label, (name, share) in enumerate(shares.items()))
    shown = {name: share for name, share in shares.items() if share}
    if len(shown) < 2:
        return Finding(kind="class_pixels", level="ok", text="Pixels by class.", items=items, count=len(items))
    largest, smallest = max(shown, key=lambda name: shown[name]), min(shown, key=lambda name: shown[name])
    text = (f"{len(shown)} classes, from {shown[smallest]:.2%} ({smallest}) to {shown[largest]:.2%} ({largest}) of the "
            "pixels.")
    if shown[largest] < UNBALANCED * shown[smallest]:
        return Finding(kind="class_pixels", level="ok", text=text, items=items, count=len(items))
    return Finding(kind="class_pixels", level="warning", text=text, items=items, count=len(items),
                   advice="Read miou and the classes one by one, not pixel_accuracy: always answering the largest "
                          f"class gives {shown[largest]:.2f} of it. class_weights=balanced makes all count alike in "
                          "training.")


def _between(sound: Sound) -> Finding:
    items = tuple(f"{image.sample.where or image.sample.id}: {one.between:.0%}" for image, one in sound
                  if one.between > BETWEEN)
    if not items:
        return Finding(kind="mask_smoothed", level="ok", text="No mask looks resized with smoothing.")
    return Finding(kind="mask_smoothed", level="warning", items=items, count=len(items),
                   text=f"{counted(len(items), 'mask')} of which edges pass over a class whose number lies in between, "
                        "as if they had been resized with smoothing: thin lines of wrong classes.",
                   advice="Resize masks with nearest neighbour, and never save them as JPEG.")


def _tiny(sound: Sound) -> Finding:
    patches, tiny = sum(one.patches for _, one in sound), sum(one.tiny for _, one in sound)
    worst = sorted(((one.tiny, image.sample.id) for image, one in sound if one.tiny), reverse=True)
    text = f"{tiny} of {patches} patches are smaller than {TINY} pixels of the picture as the model gets it."
    if tiny <= MANY * patches:
        return Finding(kind="mask_tiny", level="ok", text=text, count=tiny)
    return Finding(kind="mask_tiny", level="warning", text=text, count=tiny,
                   items=tuple(f"{name}: {count}" for count, name in worst),
                   advice="Are they specks that nobody meant to mark? If they are what matters, set a larger "
                          "image_size.")


def _tiles(samples: Sequence[Sample]) -> list[Finding]:
    """Return a finding where tiles of one picture, by their names, lie on both sides of a split."""
    pictures: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        name = PurePosixPath(sample.id)
        match = TILE.match(name.stem)
        if match:
            pictures[match["picture"]].append(sample)
    several = {name: members for name, members in pictures.items() if len(members) > 1}
    torn = [f"{name}: {len(members)} tiles in {' and '.join(sorted({str(one.split) for one in members}))}"
            for name, members in several.items() if len({one.split for one in members}) > 1]
    if torn:
        return [Finding(kind="leak_tiles", level="warning", items=tuple(torn), count=len(torn),
                        text=f"Tiles of {counted(len(torn), 'picture')}, by their names, lie in several splits: what "
                             "is measured may flatter.", advice="Keep the tiles of a picture in one split.")]
    loose = [name for name, members in several.items() if members[0].split is None and members[0].group is None]
    if len(loose) > 1 and sum(len(several[name]) for name in loose) > 0.5 * len(samples):
        return [Finding(kind="leak_tiles", level="warning", items=tuple(sorted(loose)), count=len(loose),
                        text=f"The images look like tiles of {counted(len(loose), 'picture')}, by their names; "
                             "splitting them at random would put neighbours on both sides.",
                        advice=r"--group-by '(.+?)[ _-]+\w*\d+[ _-]+\w*\d+$' keeps the tiles of a picture together.")]
    return []
