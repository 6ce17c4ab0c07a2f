"""COCO: annotations/instances_<split>.json, images in images/<split>/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from headstart.data.drawing import shown_in
from headstart.data.masks import area_of_polygons
from headstart.data.patches import ring_of, traced
from headstart.data.run_lengths import encoded
from headstart.files import write_text
from headstart.types import Instance, SplitName
from headstart.writers.writer import Placed, Writer, lost, objects_of


class Coco(Writer):
    """Boxes, outlines, run-length masks and crowds; `difficult` as a field of its own, which other tools pass over."""

    shapes: Literal["kept", "polygons", "rle"] = "kept"
    """`polygons`: run-length masks without holes become outlines along their pixels; `rle`: outlines become masks."""

    def place(self, name: str, split: SplitName | None) -> PurePosixPath:
        """Return images/<split>/<name>."""
        return PurePosixPath("images", *([split] if split else []), name)

    def write(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        """Write a JSON file for each split, with the same categories in each, numbered from 1."""
        categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes, 1)]
        shaped = [[self._shaped(found, image.size) for found in image.objects] for image in images]
        for split in dict.fromkeys(image.sample.split for image in images):
            part = [image for image in images if image.sample.split == split]
            its = [objects for image, objects in zip(images, shaped, strict=True) if image.sample.split == split]
            records: list[dict[str, Any]] = []
            for number, objects in enumerate(its, 1):
                records += [_annotation(found, len(records) + place, number) for place, found in enumerate(objects, 1)]
            value = {"info": {"description": "written by Headstart"}, "licenses": [], "categories": categories,
                     "images": [_image(image, number) for number, image in enumerate(part, 1)],
                     "annotations": records}
            # Without line breaks: indented JSON takes ten times as long, and nobody reads a million boxes.
            write_text(folder / "annotations" / f"instances{f'_{split}' if split else ''}.json",
                       json.dumps(value, allow_nan=False, ensure_ascii=False))
        return self._notes(images, [found for objects in shaped for found in objects])

    def _shaped(self, found: Instance, size: tuple[int, int]) -> Instance:
        """Return the object with its outline or mask in the form that was asked for, where it can have it."""
        if self.shapes == "rle" and found.polygons:
            return replace(found, polygons=(), rle=encoded(shown_in(found, (0, 0, size[1], size[0]))))
        # A crowd is written as run lengths: tools tell it by them.
        if self.shapes == "polygons" and found.rle and not found.polygons and not found.crowd:
            outlines = traced(found, size)
            if outlines and not any(one.holes for one in outlines):
                return replace(found, rle=None, polygons=tuple(ring_of([one]) for one in outlines))
        return found

    def _notes(self, images: Sequence[Placed], shaped: Sequence[Instance]) -> list[str]:
        """Return what was lost. shaped: of all objects, in order, what was written."""
        if self.shapes == "rle":
            return lost(images, "outlines are drawn, to whole pixels",
                        [bool(found.polygons) for found in objects_of(images)])
        if self.shapes == "polygons":
            holed = [bool(found.rle) and written is found
                     for found, written in zip(objects_of(images), shaped, strict=True)]
            return lost(images, "run-length masks stay: crowds, and those with holes, which outlines can't have", holed)
        return []


def _image(image: Placed, number: int) -> dict[str, Any]:
    return {"id": number, "file_name": image.file.name, "width": image.size[1], "height": image.size[0]}


def _annotation(found: Instance, number: int, image: int) -> dict[str, Any]:
    left, top, right, bottom = found.box
    area = (right - left) * (bottom - top)
    shape: Any = [list(points) for points in found.polygons]
    if found.polygons:
        area = area_of_polygons(found.polygons)
    if found.rle:
        shape = {"size": [found.rle.height, found.rle.width], "counts": list(found.rle.counts)}
        area = float(sum(found.rle.counts[1::2]))
    return {"id": number, "image_id": image, "category_id": found.label + 1,
            "bbox": [left, top, right - left, bottom - top], "area": area, "iscrowd": int(found.crowd),
            "segmentation": shape, **({"difficult": 1} if found.difficult else {})}
