"""COCO: one JSON file with images, categories and annotations; a file for each split, or one for all."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from headstart.data.annotations import (
    Marked,
    Outside,
    Picture,
    detection,
    entries,
    folders_in,
    glimpse,
    locate,
    refuse,
    refuse_missing,
    require_detection,
    size_of,
)
from headstart.data.coco_objects import categories, image_of, is_id, marked
from headstart.data.dataset import Dataset
from headstart.data.mask_sets import Faulty, for_task
from headstart.data.splits import as_split
from headstart.data.strict_json import read_json_object
from headstart.data.walk import shown, walk
from headstart.errors import ConfigError, DataError
from headstart.images import printable
from headstart.readers.reader import Reader
from headstart.types import SplitName

MOST_FILES = 50
"""To look into; where there are more, it is a file for each image, which is no COCO."""
MARKS = tuple(f'"{key}"'.encode() for key in ("images", "annotations", "categories", "file_name", "image_id", "bbox"))


class Coco(Reader):
    """COCO JSON: boxes, outlines, run-length masks, crowds."""

    tasks: ClassVar[tuple[str, ...]] = ("detection", "semantic")

    images: str | None = None
    """Folder of the images, relative to the data; looked for where not given."""
    missing: Literal["refuse", "keep"] = "refuse"
    """What to do with an image that does not exist; kept ones are found, and can be skipped, by the check."""
    outside: Outside = "refuse"
    """Whether links that lead out of the folder are followed."""
    faulty: Faulty = "refuse"
    """For pixels (task semantic): what to do with an image in which an object has no outline."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` is a COCO file, or a folder with some where the format has them."""
        place = Path(path)
        return _is_coco(place) if place.is_file() else bool(_annotation_files(place))

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises DataError naming the annotation that is wrong."""
        require_detection(path, task, "coco", self.tasks)
        place = Path(path)
        files = [place] if place.is_file() else _annotation_files(place)
        if not files:
            raise DataError(f"{path}: no COCO file here. Point at the JSON file.")
        splits = _splits(files) if place.is_dir() else [None]
        root = place if place.is_dir() else place.parent.parent if place.parent.name == "annotations" else place.parent
        pictures, declared = list[Picture](), set[str]()
        missing, notes, ignored = list[str](), list[str](), list[str]()
        for file, split in zip(files, splits, strict=True):
            part = _File(file, split, root, self)
            pictures += part.pictures()
            missing += part.missing
            declared |= set(part.names.values())
            notes += part.notes
            ignored += part.ignored
        refuse_missing(path, missing, self.missing)
        if place.is_dir():
            taken = {picture.id for picture in pictures}
            tree = walk(root, outside="allow")
            ignored += [f"{name} (in no annotation file)" for name in map(shown, tree.images) if name not in taken]
        return for_task(detection(pictures, format="coco", root=root, declared=declared, notes=notes, ignored=ignored),
                        task, faulty=self.faulty)


class _File:
    """One JSON file while it is read."""

    def __init__(self, file: Path, split: SplitName | None, root: Path, settings: Coco) -> None:
        self.file, self.split, self.root, self.settings = file, split, root, settings
        self.images_root = root if settings.images is None else root / settings.images
        self.value = read_json_object(file)
        absent = [key for key in ("images", "annotations", "categories") if not isinstance(self.value.get(key), list)]
        if absent:
            raise DataError(f'{file.name}: no list "{absent[0]}", which every COCO file has. '
                            "Is it a file of results, or of images without annotations?")
        self.missing, self.ignored = list[str](), list[str]()
        self.names, self.notes = categories(self.value["categories"], file.name)

    def pictures(self) -> list[Picture]:
        """Return the images of the file with what is marked in them."""
        problems, seen = list[str](), set[Any]()
        images = self._images(problems)
        objects: dict[Any, list[Marked]] = defaultdict(list)
        for row, record in enumerate(self.value["annotations"]):
            try:
                image = images.get(image_of(record, seen, row))
                if image is None:
                    raise DataError(f"annotation {record.get('id', f'number {row + 1}')}: its image_id "
                                    f"{record.get('image_id')!r} is the id of no image")
                found, left = marked(record, self.names, size_of(image.get("height"), image.get("width")), row)
            except DataError as error:
                problems.append(str(error))
                continue
            objects[image["id"]].append(found)
            self.ignored += [f"{self.file.name} {left}"] if left else []
        refuse(self.file, problems, "Mend the file, or write it anew with the tool that made it.")
        folders = self._folders([str(image["file_name"]) for image in images.values()])
        return [self._picture(image, tuple(objects[key]), folders) for key, image in images.items()]

    def _images(self, problems: list[str]) -> dict[Any, dict[str, Any]]:
        images: dict[Any, dict[str, Any]] = {}
        for row, record in enumerate(self.value["images"], 1):
            if not isinstance(record, dict) or not is_id(record.get("id")):
                problems.append(f"image number {row}: has no id")
            elif record["id"] in images:
                problems.append(f"image {record['id']}: the id stands there twice")
            elif not isinstance(record.get("file_name"), str) or not record["file_name"]:
                problems.append(f"image {record['id']}: has no file_name")
            else:
                images[record["id"]] = record
        return images

    def _folders(self, names: Sequence[str]) -> list[Path]:
        """Return the folders where the images may lie, the one that has most of the first of them in front."""
        if self.settings.images is not None:
            return [self.images_root]
        parent = self.file.parent
        words = dict.fromkeys(["", *([self.split] if self.split else []), *re.findall(r"[a-zA-Z]+\d*", self.file.stem)])
        tops = dict.fromkeys([parent, parent / "images", self.root, self.root / "images", self.root / "JPEGImages"])
        folders = [folder for top in tops for word in words if (folder := top / word).is_dir()]

        def held(folder: Path) -> int:
            return sum((folder / name).is_file() for name in names[:50] if name.isprintable() and len(name) < 250)

        return sorted(dict.fromkeys(folders), key=held, reverse=True)

    def _picture(self, image: dict[str, Any], objects: tuple[Marked, ...], folders: Sequence[Path]) -> Picture:
        name, where = image["file_name"], f"{self.file.name} image {image['id']}"
        try:
            path = locate(folders, name, root=self.images_root, outside=self.settings.outside)
        except DataError as error:
            raise DataError(f"{where}: {error}.") from None
        if path is None:
            self.missing.append(f"{where}: {printable(name)}")
        source = path or (folders[0] if folders else self.root) / printable(name)
        title = source.relative_to(self.root) if source.is_relative_to(self.root) else source
        return Picture(printable(str(title)), source, objects, where, self.split,
                       size_of(image.get("height"), image.get("width")))


def _annotation_files(folder: Path) -> list[Path]:
    """Return the COCO files of a folder, from the first of the places that has some."""
    inside = [file for part in folders_in(folder) if as_split(part.name) for file in entries(part, ".json")
              if file.name.startswith("_annotations")]
    for found in (entries(folder / "annotations", ".json"), inside, entries(folder, ".json")):
        files = [file for file in found[:MOST_FILES] if _is_coco(file)]
        instances = [file for file in files if file.name.startswith("instances")]
        if files:
            return instances or files
    return []


def _is_coco(file: Path) -> bool:
    if file.suffix.lower() != ".json":
        return False
    seen = glimpse(file)
    return "coco" in file.name.lower() or (b'"shapes"' not in seen and sum(mark in seen for mark in MARKS) >= 2)


def _splits(files: Sequence[Path]) -> list[SplitName | None]:
    """Return the split that each file's name or folder says. Raises ConfigError where two say the same, or nothing."""
    found = []
    for file in files:
        words = [*re.findall(r"[a-z]+", file.stem.lower()), file.parent.name]
        found.append(next((split for word in words if (split := as_split(word))), None))
    if len(files) > 1 and (None in found or len(set(found)) < len(found)):
        raise ConfigError(f"{files[0].parent}: several COCO files, and their names don't say which is train, val and "
                          "test. Point at one of them:\n" + "\n".join(f"  {file}" for file in files))
    return found
