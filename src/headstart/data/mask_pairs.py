"""Mask pairs: which file in a folder is the mask of which image, by the names of folders and files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from headstart.data.walk import Parts

WORDS = (r"(masks?|labels?|annot(ation)?s?|gt|ground[ _-]?truths?|truths?|segmentations?|segmentation_?class|seg|"
         r"manuals?)")
FOLDER = re.compile(rf"(^|[^a-z]|train|val|valid|test){WORDS}(_?png)?(?![a-z])|[a-z]Masks?$", re.IGNORECASE)
"""Folders of masks: `masks`, `trainannot`, `SegmentationClass`, `1st_manual`, `PedMasks`."""
STEM = re.compile(rf"[ ._-]+({WORDS}|L|gtfine_labelids|labelids|class)\d*$", re.IGNORECASE)
"""What follows the name of the image in that of its mask: `7_mask`, `0001TP_L`, `21_manual1`."""


@dataclass(frozen=True)
class Pairs:
    """What belongs together."""

    masks: dict[Parts, list[Parts]]
    """Image -> its masks."""
    bare: list[Parts]
    """Images without a mask."""
    lone: list[Parts]
    """Masks without an image."""


def is_mask(parts: Parts) -> bool:
    """Return whether a file is a mask, by its name or by that of a folder that it lies in."""
    return any(FOLDER.search(name) for name in parts[:-1]) or STEM.search(PurePosixPath(parts[-1]).stem) is not None


def paired(images: Sequence[Parts], masks: Sequence[Parts]) -> Pairs:
    """Return which masks are of which image.

    Names are compared without their endings, without what STEM finds, and without what all files of a folder begin or
    end with (`21_training.tif`, `21_manual1.gif`). Of several images of one name, the one whose folders are most like
    the mask's is meant.
    """
    mine, theirs = _keys(images), _keys([(*parts[:-1], _image_name(parts[-1])) for parts in masks])
    by_name: dict[str, list[int]] = defaultdict(list)
    for place, keys in enumerate(mine):
        for key in keys:
            by_name[key].append(place)
    found: dict[Parts, list[Parts]] = {parts: [] for parts in images}
    lone = []
    for parts, keys in zip(masks, theirs, strict=True):
        candidates = next((by_name[key] for key in keys if key in by_name), [])
        if not candidates:
            lone.append(parts)
            continue
        best = max(candidates, key=lambda place: (_likeness(images[place], parts), -place))
        found[images[best]].append(parts)
    return Pairs({image: own for image, own in found.items() if own},
                 [image for image, own in found.items() if not own], lone)


def _image_name(name: str) -> str:
    path = PurePosixPath(name)
    return STEM.sub("", path.stem) + path.suffix


def _keys(files: Sequence[Parts]) -> list[list[str]]:
    """Return for each file the names that may find its partner, the surest first."""
    folders: dict[Parts, list[str]] = defaultdict(list)
    for parts in files:
        folders[parts[:-1]].append(PurePosixPath(parts[-1]).stem)
    affixes = {folder: _affixes(stems) for folder, stems in folders.items()}
    keys = []
    for parts in files:
        stem, (front, back) = PurePosixPath(parts[-1]).stem, affixes[parts[:-1]]
        short = stem[front:len(stem) - back]
        keys.append(list(dict.fromkeys(key for key in (stem, short) if key)))
    return keys


def _affixes(stems: Sequence[str]) -> tuple[int, int]:
    """Return how many characters all names of a folder begin and end with, digits beside the differing part left in."""
    if len(stems) < 2:
        return 0, 0
    front = _beginning(stems).rstrip("0123456789")
    back = _beginning([stem[::-1] for stem in stems])[::-1].lstrip("0123456789")
    return len(front), len(back)


def _beginning(texts: Sequence[str]) -> str:
    """Return what all begin with."""
    first, last = min(texts), max(texts)
    return first[:next((place for place, letter in enumerate(first) if letter != last[place]), len(first))]


def _likeness(image: Parts, mask: Parts) -> int:
    """Return how many letters the folders of both begin with, those that say `mask` aside."""
    own, its = "/".join(image[:-1]), "/".join(re.sub(WORDS, "", name, flags=re.IGNORECASE) for name in mask[:-1])
    return max(len(_beginning([own, other])) for other in ("/".join(mask[:-1]), its))
