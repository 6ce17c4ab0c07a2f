"""Class names: which names of two lists mean the same class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

VOC = {"aeroplane": "airplane", "diningtable": "dining table", "motorbike": "motorcycle", "pottedplant": "potted plant",
       "sofa": "couch", "tvmonitor": "tv"}
"""Pascal VOC's names for classes that COCO calls otherwise; files of COCO's classes are seen with either."""


def matched(names: Sequence[str], known: Sequence[str]) -> list[tuple[int, int]]:
    """Return (position in `names`, position in `known`) of each class that both have, in the order of `names`.

    Equal names are matched first. Of the rest, those that differ in case, spaces, hyphens or underscores alone, or are
    VOC's and COCO's names of one class; but none where more than one of either list could be meant.
    """
    pairs = {place: known.index(name) for place, name in enumerate(names) if name in known}
    mine = _alike(names, set(pairs))
    its = _alike(known, set(pairs.values()))
    pairs |= {place: its[key] for key, place in mine.items() if key in its}
    return sorted(pairs.items())


def _alike(names: Sequence[str], taken: set[int]) -> dict[str, int]:
    """Return {plain name: position} of the names that are left and can't be mistaken for another."""
    keys = [_plain(name) for name in names]
    counts = Counter(keys)
    return {key: place for place, key in enumerate(keys) if key and place not in taken and counts[key] == 1}


def _plain(name: str) -> str:
    plain = re.sub(r"[\s_-]+", " ", name.casefold()).strip()
    return VOC.get(plain.replace(" ", ""), plain)
