"""Data set columns: which column of a table of the `datasets` library holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.data.splits import as_split
from headstart.errors import ConfigError, DataError, listed, nearest

MASKS = ("mask", "masks", "annotation", "annotations", "label", "labels", "segmentation", "segmentation_mask",
         "semantic_mask", "label_map", "ground_truth", "gt")
"""Names of columns of masks, in small letters."""


def parts_of(value: Any) -> dict[str, Any]:
    """Return the data sets by split name; one without a split has the empty name."""
    parts = dict(value) if isinstance(value, Mapping) else {"": value}
    if any(not hasattr(part, "select_columns") or not hasattr(part, "__len__") for part in parts.values()):
        raise ConfigError("streamed data can't be split or checked. Load the data set without streaming=True.")
    strange = [name for name in parts if name and not as_split(name)]
    if len(parts) > 1 and strange:
        raise ConfigError(f"the data set has parts that are no train, val or test: {', '.join(strange)}. Choose what "
                          "to use: hs.load_data(dataset[\"train\"]), or rename the parts.")
    if not parts:
        raise DataError("the data set has no part.")
    return parts


def mask_columns(pictures: Sequence[str]) -> list[str]:
    """Return the columns of pictures that are called as masks are, where others are there to be the image."""
    found = [name for name in pictures if name.lower() in MASKS]
    return found if len(found) < len(pictures) else []


def label_columns(features: Mapping[str, Any], library: Any) -> list[str]:
    """Return the columns that are class labels, else those that are called so."""
    typed = [name for name, feature in features.items()
             if isinstance(getattr(feature, "feature", feature), library.ClassLabel)]
    return typed or [name for name in features if name.lower() in {"label", "labels", "class", "category"}]


def chosen_column(role: str, given: str | None, found: list[str], columns: Mapping[str, Any]) -> str:
    """Return the column for a role: as it was given, else the only one found. Raises ConfigError for a choice."""
    if given is not None:
        if given not in columns:
            raise ConfigError(f'reader.{role}: no column "{given}".' + nearest(given, columns))
        return given
    if len(found) == 1:
        return found[0]
    choices = found or list(columns)
    raise ConfigError(f"{'several' if found else 'none'} of the columns {'could be' if found else 'is'} the {role}: "
                      + ", ".join(choices) + f". Say which: --set reader.{role}=COLUMN.")


def label_classes(feature: Any, cells: Sequence[Any], task: str | None) -> tuple[tuple[str, ...], dict[Any, int], bool]:
    """Return the class names, the position of each value among them, and whether an image has several."""
    several = any(isinstance(cell, list | tuple) for cell in cells)
    if task is not None and several != (task == "multilabel"):
        raise ConfigError(f"the labels are {'lists' if several else 'single'}, which the task {task} can't use.")
    flat = [(row, one) for row, cell in enumerate(cells, 1) for one in (cell if several else [cell])]
    bad = [row for row, one in flat if one is None or (isinstance(one, int) and one < 0)]
    if bad:
        raise DataError(f"{len(bad)} images have no label:\n{listed([f'row {row}' for row in bad])}\n"
                        "Leave out the part without labels (often the test split).")
    names = getattr(getattr(feature, "feature", feature), "names", None)
    if names:  # in the order that the data set gives them: the values are positions
        return tuple(names), {position: position for position in range(len(names))}, several
    classes = sorted({str(one) for _, one in flat})
    return tuple(classes), {one: classes.index(str(one)) for _, one in flat}, several
