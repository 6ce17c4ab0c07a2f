"""LabelMe: a JSON file for each image, beside it, with rectangles and polygons."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from headstart.data.annotations import (
    Marked,
    Outside,
    Picture,
    class_name,
    detection,
    entries,
    folders_in,
    glimpse,
    number,
    refuse,
    refuse_missing,
    require_detection,
    size_of,
)
from headstart.data.dataset import Dataset
from headstart.data.mask_sets import Faulty, for_task
from headstart.data.masks import BadMask, Polygons, box_of_polygons, polygons_of
from headstart.data.splits import as_split
from headstart.data.strict_json import read_json_object
from headstart.data.walk import Parts, shown, walk
from headstart.errors import DataError
from headstart.images import printable
from headstart.readers.reader import Reader


class Labelme(Reader):
    """LabelMe JSON: rectangles, and polygons with the box around them. Other shapes are left aside, and told."""

    tasks: ClassVar[tuple[str, ...]] = ("detection", "semantic")

    missing: Literal["refuse", "keep"] = "refuse"
    """What to do with an annotation whose image does not exist; kept ones are found, and can be skipped, by check."""
    outside: Outside = "refuse"
    """Whether links that lead out of the folder are followed."""
    faulty: Faulty = "refuse"
    """For pixels (task semantic): what to do with an image in which an object has no outline."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether the folder, or one in it, holds JSON files with shapes."""
        root = Path(path)
        return any(_is_labelme(file) for folder in (root, *folders_in(root)) for file in entries(folder, ".json")[:5])

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises DataError naming the file and the shape that is wrong."""
        require_detection(path, task, "labelme", self.tasks)
        root = Path(path)
        if not root.is_dir():
            raise DataError(f"{path}: LabelMe has a file for each image. Point at their folder.")
        reading = _Reading(root, self)
        found = [picture for parts in reading.tree.others if parts[-1].lower().endswith(".json")
                 and (picture := reading.picture(parts))]
        refuse(path, reading.problems, "Mend these files, or save them again in LabelMe.")
        refuse_missing(path, reading.missing, self.missing)
        if not found:
            raise DataError(f"{path}: no JSON file with shapes in it. Point at the folder of the LabelMe files.")
        taken = {picture.id for picture in found}
        bare = [f"{shown(parts)} (no annotation)" for parts in reading.tree.images if shown(parts) not in taken]
        notes = [f"{count} shapes of the kind {kind} are left aside; rectangles and polygons are read"
                 for kind, count in sorted(reading.others.items())]
        return for_task(detection(found, format="labelme", root=root, notes=notes,
                                  ignored=[*reading.left, *bare, *reading.tree.ignored]), task, faulty=self.faulty)


class _Reading:
    """A folder while it is read."""

    def __init__(self, root: Path, settings: Labelme) -> None:
        self.root, self.tree = root, walk(root, outside=settings.outside)
        self.images = set(self.tree.images)
        self.by_stem = {(*parts[:-1], PurePosixPath(parts[-1]).stem): parts for parts in self.tree.images}
        self.problems: list[str] = []
        self.missing: list[str] = []
        self.left: list[str] = []
        self.others: Counter[str] = Counter()

    def picture(self, parts: Parts) -> Picture | None:
        """Return the image of a file; None for a file of another kind, or a faulty one, which is kept."""
        where = shown(parts)
        try:
            value = read_json_object(self.root.joinpath(*parts))
            if not isinstance(value.get("shapes"), list):
                self.left.append(f"{where} (no LabelMe file)")
                return None
            size = size_of(value.get("imageHeight"), value.get("imageWidth"))
            objects = self._objects(value["shapes"], size, where)
            image = self._image(parts, value.get("imagePath"))
        except DataError as error:
            self.problems.append(str(error) if str(error).startswith(parts[-1]) else f"{where}: {error}")
            return None
        if image is None:
            self.missing.append(f"{where}: {printable(str(value.get('imagePath')))}")
            image = (*parts[:-1], f"{PurePosixPath(parts[-1]).stem}.jpg")
        split = next((split for part in image[:-1] if (split := as_split(part))), None)
        return Picture(shown(image), self.root.joinpath(*image), objects, where, split, size)

    def _objects(self, shapes: list[Any], size: tuple[int, int] | None, where: str) -> tuple[Marked, ...]:
        """Return the marked objects; polygons of one label and group are parts of one."""
        found: list[Marked] = []
        groups: dict[tuple[str, int], int] = {}
        for row, shape in enumerate(shapes, 1):
            kind = shape.get("shape_type", "polygon") if isinstance(shape, dict) else None
            name = class_name(shape.get("label")) if isinstance(shape, dict) else ""
            if not name or not isinstance(kind, str):
                raise DataError(f"shape {row}: has no label, or no kind")
            if kind not in ("rectangle", "polygon"):
                self.others[printable(kind[:40])] += 1
                continue
            points = _points(shape.get("points"), least=2 if kind == "rectangle" else 1)
            if points is None:
                raise DataError(f"shape {row} ({name}): its points are not pairs of numbers")
            box, outline = box_of_polygons([points]), self._outline(kind, points, size, f"{where} shape {row}")
            group = shape.get("group_id")
            if kind == "polygon" and isinstance(group, int) and (name, group) in groups:
                earlier = found[groups[name, group]]
                both = box_of_polygons([earlier.box, box])
                found[groups[name, group]] = Marked(name, both, polygons=(*earlier.polygons, *outline))
                continue
            if kind == "polygon" and isinstance(group, int):
                groups[name, group] = len(found)
            found.append(Marked(name, box, polygons=outline))
        return tuple(found)

    def _outline(self, kind: str, points: list[float], size: tuple[int, int] | None, title: str) -> Polygons:
        if kind == "rectangle":
            return ()
        try:
            return polygons_of([points], size)
        except BadMask as error:
            self.left.append(f"{title} (bad_mask: {error})")
            return ()

    def _image(self, parts: Parts, named: Any) -> Parts | None:
        """Return the image that the file names, else the one of its own name beside it."""
        own = self.by_stem.get((*parts[:-1], PurePosixPath(parts[-1]).stem))
        if not isinstance(named, str):
            return own
        place: list[str] = list(parts[:-1])
        for part in PurePosixPath(named.replace("\\", "/")).parts:
            if part == ".." and not place:
                if own is None:
                    raise DataError(f'imagePath is "{printable(named)}", which leads out of the data; nothing was read '
                                    "there")
                return own
            if part == "..":
                place.pop()
            else:
                place.append(part)
        return tuple(place) if tuple(place) in self.images else own


def _points(value: Any, *, least: int) -> list[float] | None:
    """Return x0, y0, x1, y1, ... from a list of pairs, or None where it is none."""
    if not isinstance(value, list) or len(value) < least:
        return None
    pairs = [pair if isinstance(pair, list) and len(pair) == 2 else [None, None] for pair in value]
    found = [number(item) if not isinstance(item, str) else None for pair in pairs for item in pair]
    return None if None in found else [item for item in found if item is not None]


def _is_labelme(file: Path) -> bool:
    seen = glimpse(file)
    return b'"shapes"' in seen and b'"imagePath"' in seen
