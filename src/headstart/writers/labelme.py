"""LabelMe: a JSON file beside each image, in a folder for each split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from headstart.data.patches import ring_of, traced
from headstart.files import write_text
from headstart.types import Instance, SplitName
from headstart.writers.writer import Placed, Writer, lost, objects_of

VERSION = "5.5.0"
"""Of LabelMe, whose files look so."""


class Labelme(Writer):
    """Polygons, parts of one object by their group; rectangles for objects without an outline."""

    def place(self, name: str, split: SplitName | None) -> PurePosixPath:
        """Return <split>/<name>."""
        return PurePosixPath(*([split] if split else []), name)

    def write(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        """Write a JSON file for each image, one without shapes where it shows nothing."""
        for image in images:
            height, width = image.size
            value: dict[str, Any] = {
                "version": VERSION, "flags": {}, "shapes": _shapes(image, classes), "imagePath": image.file.name,
                "imageData": None, "imageHeight": height, "imageWidth": width}
            write_text((folder / image.file).with_suffix(".json"),
                       json.dumps(value, allow_nan=False, ensure_ascii=False))
        found = objects_of(images)
        return [*lost(images, "crowds are left out: a shape would make each an object", [one.crowd for one in found]),
                *lost(images, "difficult is not kept", [one.difficult and not one.crowd for one in found]),
                *lost(images, "run-length masks are outlines along the pixels",
                      [not one.crowd and one.rle is not None and not one.polygons for one in found]),
                *lost(images, "the box is that around the outline, where the data had one of its own",
                      [not one.crowd and bool(one.polygons) for one in found])]


def _shapes(image: Placed, classes: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, one in enumerate(image.objects):
        if one.crowd:
            continue
        parts = _parts(one, image.size)
        left, top, right, bottom = one.box
        for points in parts or [(left, top, right, bottom)]:
            found.append({"label": classes[one.label], "points": [list(pair) for pair in zip(
                points[::2], points[1::2], strict=True)], "group_id": number if len(parts) > 1 else None,
                "shape_type": "polygon" if parts else "rectangle", "flags": {}})
    return found


def _parts(found: Instance, size: tuple[int, int]) -> Sequence[tuple[float, ...]]:
    return found.polygons or [ring_of([one]) for one in traced(found, size)]
