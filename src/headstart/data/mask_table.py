"""Mask table: which file is the mask of which image, and of which split and group, as the rows of a table say."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from headstart.data.columns import GROUP, IMAGE, SPLIT, column, files_of, splits_of
from headstart.data.mask_pairs import Pairs
from headstart.data.rows import read_rows
from headstart.data.walk import Parts
from headstart.errors import ConfigError
from headstart.types import SplitName

MASK = ("mask", "masks", "mask_path", "mask_file", "mask_name", "annotation", "label", "label_path", "segmentation",
        "ground_truth", "gt")
"""Names of the column of masks."""


@dataclass(frozen=True)
class Named:
    """What belongs together, and what else is known of an image."""

    pairs: Pairs
    splits: dict[Parts, SplitName]
    groups: dict[Parts, str]
    notes: tuple[str, ...] = ()


def named_pairs(path: Path, root: Path, files: Collection[Parts]) -> Named:
    """Return what the table at `path` says; an image has a row for each of its masks. Other files count for nothing.

    files: the pictures below `root`. Paths in the table are relative to it. Raises ConfigError where it has no column
    for images or masks, DataError naming the rows that name no such picture, or an image in two splits or groups.
    """
    rows = read_rows(path)
    columns = list(rows.columns)
    image, mask = column("image", None, IMAGE, columns), column("mask", None, MASK, columns)
    if image is None or mask is None:
        raise ConfigError(f"{path}: no column for {'images' if image is None else 'masks'} among {', '.join(columns)}. "
                          "Call the two `image` and `mask`.")
    there, places, base = set(files), [], os.path.abspath(root)
    for name in (image, mask):
        # From where the table stands, or from the data folder: people write both.
        found = [_below(base, (file, root / str(cell).strip()), there) for file, cell in zip(
            files_of(rows, name, outside="allow"), rows.columns[name], strict=True)]
        missing = [row for row, parts in enumerate(found) if parts is None]
        if missing:
            raise rows.refuse(missing, f'{name} "{rows.columns[name][missing[0]]}" is no picture in {root}',
                              "name none", "Mend the paths, which start in the data folder.")
        places.append([parts for parts in found if parts])
    said = {role: column(role, None, names, columns) for role, names in (("split", SPLIT), ("group", GROUP))}
    split = splits_of(rows, said["split"]) if said["split"] else None
    group = [str(cell) for cell in rows.columns[said["group"]]] if said["group"] else None
    masks: dict[Parts, list[Parts]] = {}
    rows_of: dict[Parts, int] = {}
    for row, (own, its) in enumerate(zip(*places, strict=True)):
        if its not in masks.setdefault(own, []):
            masks[own].append(its)
        first = rows_of.setdefault(own, row)
        if any(known and known[row] != known[first] for known in (split, group)):
            raise rows.refuse([row], f"the image has another split or group than in row {first + 1}", "differ so",
                              "Give all rows of an image the same.")
    shared = [its for its, count in Counter(its for own in masks.values() for its in own).items() if count > 1]
    notes = [f"{len(shared)} masks are of several images each, such as {'/'.join(shared[0])}"] if shared else []
    return Named(Pairs(masks, [], []), {own: part for own, row in rows_of.items() if split and (part := split[row])},
                 {own: group[row] for own, row in rows_of.items()} if group else {}, tuple(notes))


def _below(root: str, choices: Iterable[Path], there: Collection[Parts]) -> Parts | None:
    """Return the first of these files that is a picture below `root`; None where none is.

    Links are not followed: they were, or were not, when the folder was walked.
    """
    for place in choices:
        parts = Path(os.path.relpath(os.path.abspath(place), root)).parts
        if parts in there:
            return parts
    return None
