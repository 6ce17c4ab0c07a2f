"""Image sets: Pascal VOC's lists of which images are in which split."""

from __future__ import annotations

import re
from pathlib import Path

from headstart.errors import DataError, listed
from headstart.images import printable
from headstart.types import SplitName

LISTS: dict[str, SplitName] = {"train": "train", "val": "val", "test": "test"}


def read_sets(folder: Path) -> dict[str, SplitName] | None:
    """Return the split of each listed image, by its name without ending; None where the folder has no list.

    trainval.txt counts as train where neither train.txt nor val.txt is there. Raises DataError for an image in two.
    """
    names = {split: _names(folder / f"{name}.txt") for name, split in LISTS.items()}
    if names["train"] is None and names["val"] is None:
        names["train"] = _names(folder / "trainval.txt")
    found: dict[str, SplitName] = {}
    both: list[str] = []
    for split, stems in names.items():
        for stem in stems or ():
            if found.setdefault(stem, split) != split:
                both.append(f"{printable(stem)}: in {found[stem]}.txt and {split}.txt")
    if both:
        raise DataError(f"{folder}: {len(both)} images are in two splits:\n{listed(both)}\nTake each out of one "
                        "list, or leave the lists out with --set reader.sets=ignore.")
    return found or None


def _names(file: Path) -> list[str] | None:
    """Return the name on each line, without the 1 or -1 that a list of one class has behind it; None without a file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: the list can't be read ({error}). Save it as UTF-8.") from error
    return [re.sub(r"\s+-?[01]$", "", line.strip()) for line in text.splitlines() if line.strip()]
