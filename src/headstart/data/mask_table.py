"""Mask table: which file is the mask of which image, and of which split and group, as the rows of a table say."""

from __future__ import annotations

from collections.abc import Collection
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
    there, places = set(files), []
    for name in (image, mask):
        # From where the table stands, or from the data folder: people write both.
        found = [_below(root, file, str(cell).strip(), there) for file, cell in zip(
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
        masks.setdefault(own, []).append(its)
        first = rows_of.setdefault(own, row)
        if any(known and known[row] != known[first] for known in (split, group)):
            raise rows.refuse([row], f"the image has another split or group than in row {first + 1}", "differ so",
                              "Give all rows of an image the same.")
    return Named(Pairs(masks, [], []), {own: part for own, row in rows_of.items() if split and (part := split[row])},
                 {own: group[row] for own, row in rows_of.items()} if group else {})


def _below(root: Path, file: Path, name: str, there: Collection[Parts]) -> Parts | None:
    """Return the picture below `root` that a cell names; None where there is none."""
    for place in (file, root / name):
        try:
            parts = place.resolve().relative_to(root.resolve()).parts
        except ValueError:
            continue
        if parts in there:
            return parts
    return None
