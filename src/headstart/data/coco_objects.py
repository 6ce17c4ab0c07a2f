"""COCO objects: from a category or an annotation record to a class name and a marked object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.data.annotations import Marked, class_name, number
from headstart.data.masks import BadMask, Polygons, box_of_polygons, box_of_rle, polygons_of, rle_of
from headstart.errors import DataError, nearest
from headstart.types import Box


def is_id(value: Any) -> bool:
    """Return whether a value can be an id: a whole number, or text."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def categories(records: Sequence[Any], file: str) -> tuple[dict[Any, str], list[str]]:
    """Return class names by category id, and what is to be told of the ids. Raises DataError for a wrong record."""
    names: dict[Any, str] = {}
    for row, record in enumerate(records, 1):
        key = record.get("id") if isinstance(record, dict) else None
        if not is_id(key):
            raise DataError(f"{file} category number {row}: has no id. Give each category an id and a name.")
        if key in names:
            raise DataError(f"{file} category {key}: the id stands there twice. Give each category its own.")
        names[key] = class_name(record.get("name"))
        if not names[key]:
            raise DataError(f"{file} category {key}: has no name. Give each category an id and a name.")
    notes = []
    whole = [key for key in names if isinstance(key, int)]
    if whole and sorted(whole) != list(range(len(names))):
        gaps = " with gaps" if max(whole) - min(whole) >= len(names) else ""
        notes.append(f"{file}: category ids go from {min(whole)} to {max(whole)}{gaps}; classes are matched by name")
    twice = sorted(name for name, count in Counter(names.values()).items() if count > 1)
    if twice:
        notes.append(f"{file}: several ids have one name, and are one class: {', '.join(twice)}")
    return names, notes


def marked(record: dict[str, Any], names: dict[Any, str], size: tuple[int, int] | None, row: int) -> tuple[Marked, str]:
    """Return the object of an annotation record, and which part of it was left aside, or nothing.

    size: H, W of its image where known. Raises DataError naming the annotation.
    """
    title = f"annotation {record.get('id', f'number {row + 1}')}"
    key = record.get("category_id")
    if not is_id(key) or key not in names:
        raise DataError(f"{title}: its category_id {key!r} is the id of no category."
                        + nearest(str(key), map(str, names)))
    crowd = record.get("iscrowd") or 0
    if crowd not in (0, 1):
        raise DataError(f"{title}: iscrowd is {crowd!r}, not 0 or 1")
    polygons: Polygons = ()
    rle, left = None, ""
    shape = record.get("segmentation")
    try:
        if isinstance(shape, dict):
            rle = rle_of(shape, size)
        elif shape:
            polygons = polygons_of(shape, size)
    except BadMask as error:
        left = f"{title} (bad_mask: {error})"
    box = _box(record.get("bbox"), title) if record.get("bbox") is not None else None
    if box is None:
        try:
            box = box_of_polygons(polygons) if polygons else box_of_rle(rle) if rle else None
        except BadMask as error:
            left = f"{title} (bad_mask: {error})"
    if box is None:
        why = left.partition("bad_mask: ")[2].rstrip(")")
        raise DataError(f"{title}: has no bbox" + (f", and {why}" if why else ""))
    return Marked(names[key], box, bool(crowd), record.get("difficult") in (1, True), polygons, rle), left


def image_of(record: Any, seen: set[Any], row: int) -> Any:
    """Return the image id of an annotation. Raises DataError for one that is no record or whose id was seen."""
    if not isinstance(record, dict):
        raise DataError(f"annotation number {row + 1}: is no record")
    key = record.get("id")
    if key is not None and (not is_id(key) or key in seen):
        raise DataError(f"annotation {key}: " + ("the id stands there twice" if is_id(key) else "the id is no number"))
    seen.add(key)
    image = record.get("image_id")
    return image if is_id(image) else None


def _box(value: Any, title: str) -> Box:
    """Return left, top, right, bottom from left, top, width, height."""
    found = [number(item) if not isinstance(item, str) else None for item in value] if isinstance(value, list) else []
    if len(found) != 4 or None in found:
        raise DataError(f"{title}: its bbox {str(value)[:80]} is not four numbers (left, top, width, height)")
    left, top, width, height = (item for item in found if item is not None)
    return left, top, left + width, top + height
