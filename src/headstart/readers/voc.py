"""VOC: an XML file for each image, as Pascal VOC has them, with or without ImageSets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal
from xml.etree.ElementTree import Element

from headstart.data.annotations import (
    Marked,
    Outside,
    Picture,
    class_name,
    detection,
    entries,
    number,
    refuse,
    refuse_missing,
    require_detection,
    size_of,
    within,
)
from headstart.data.dataset import Dataset
from headstart.data.image_sets import read_sets
from headstart.data.splits import as_split
from headstart.data.strict_xml import read_xml
from headstart.data.voc_folders import annotated, data_sets_in, places
from headstart.data.walk import shown, walk
from headstart.errors import ConfigError, DataError
from headstart.images import printable
from headstart.readers.reader import Reader

SIDES = ("xmin", "ymin", "xmax", "ymax")


class Voc(Reader):
    """Pascal VOC XML: boxes, and whether an object is difficult."""

    tasks: ClassVar[tuple[str, ...]] = ("detection",)

    origin: Literal[0, 1] = 1
    """1: pixels are counted from 1 and the last one belongs to the box, as Pascal VOC has it. 0: the numbers are edges,
    the first pixel reaching from 0 to 1, as many tools write them."""
    sets: Literal["use", "ignore"] = "use"
    """Whether ImageSets/Main says which images are in which split."""
    missing: Literal["refuse", "keep"] = "refuse"
    """What to do with an annotation whose image does not exist; kept ones are found, and can be skipped, by check."""
    outside: Outside = "refuse"
    """Whether links that lead out of the folder are followed."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether the folder, its Annotations or its split folders hold XML files, or a folder in it is such."""
        return any(map(annotated, places(Path(path)))) or bool(data_sets_in(Path(path)))

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises DataError naming the file and the object that is wrong."""
        require_detection(path, task, "voc")
        root = self._root(Path(path))
        files = [file for folder in places(root) for file in entries(folder, ".xml")]
        if not files:
            raise DataError(f"{path}: no XML file in it, in Annotations/ or in split folders. Point at the folder that "
                            "holds Annotations/.")
        reading = _Reading(root, self)
        pictures = [picture for file in files if (picture := reading.picture(file))]
        refuse(path, reading.problems, "Mend these files.")
        refuse_missing(path, reading.missing, self.missing)
        if reading.unlisted is not None and not pictures:
            raise DataError(f"{path}: ImageSets/Main lists no image that has an annotation. Mend the lists, or leave "
                            "them out with --set reader.sets=ignore.")
        taken = {picture.id for picture in pictures}
        bare = [f"{shown(parts)} (no annotation)" for parts in reading.tree.images if shown(parts) not in taken]
        notes = [f"read from {root.name}, the one data set in {path}"] if root != Path(path) else []
        return detection(pictures, format="voc", root=root, notes=[*notes, *reading.notes()],
                         ignored=[*reading.left, *bare, *reading.tree.ignored])

    def _root(self, place: Path) -> Path:
        """Return the folder to read: the one given, or the only data set in it.

        Raises ConfigError where there are several, DataError where it is a link that leads out.
        """
        found = [] if any(entries(folder, ".xml") for folder in places(place)) else data_sets_in(place)
        if len(found) > 1:
            names = ", ".join(printable(str(folder.relative_to(place))) for folder in found)
            raise ConfigError(f"{place}: holds {len(found)} data sets with Annotations/: {names}. Point at one of them"
                              f", such as {found[-1]}.")
        if found and self.outside == "refuse" and not within(found[0], place):
            raise DataError(f"{found[0]}: a link out of {place}. Point at the data themselves, or follow links with "
                            "--set reader.outside=allow.")
        return found[0] if found else place


class _Reading:
    """A folder while it is read."""

    def __init__(self, root: Path, settings: Voc) -> None:
        self.root, self.settings = root, settings
        self.tree = walk(root, outside=settings.outside)
        self.by_stem: dict[str, list[tuple[str, ...]]] = {}
        for parts in self.tree.images:
            self.by_stem.setdefault(PurePosixPath(parts[-1]).stem, []).append(parts)
        self.by_name = Counter(parts[-1] for parts in self.tree.images)
        self.unlisted = read_sets(root / "ImageSets" / "Main") if settings.sets == "use" else None
        self.problems: list[str] = []
        self.missing: list[str] = []
        self.left: list[str] = []
        self.counts: Counter[str] = Counter()

    def picture(self, file: Path) -> Picture | None:
        """Return the image of one file, or None where it is in no list or something is wrong, which is kept."""
        where = printable(str(file.relative_to(self.root)))
        split = as_split(file.parent.name)
        if self.unlisted is not None:
            split = self.unlisted.get(file.stem)
            if split is None:
                self.left.append(f"{where} (in no list of ImageSets/Main)")
                return None
        try:
            tree = read_xml(file)
            objects = tuple(self._object(item, row) for row, item in enumerate(tree.findall("object"), 1))
            image = self._image(file, _text(tree, "filename"))
        except DataError as error:
            self.problems.append(str(error) if str(error).startswith(file.name) else f"{where}: {error}")
            return None
        if image is None:
            self.missing.append(f"{where}: no image called {printable(file.stem)}.*")
            image = (f"{file.stem}.jpg",)
        size = tree.find("size")
        annotated = size_of(_text(size, "height"), _text(size, "width")) if size is not None else None
        self.counts["sizeless"] += annotated is None
        return Picture(shown(image), self.root.joinpath(*image), objects, where, split, annotated)

    def _object(self, item: Element, row: int) -> Marked:
        name = class_name(_text(item, "name"))
        if not name:
            raise DataError(f"object {row}: has no name")
        found = item.find("bndbox")
        sides = [number(_text(found, side)) for side in SIDES] if found is not None else []
        if not sides or None in sides:
            raise DataError(f"object {row} ({name}): its bndbox is not four numbers ({', '.join(SIDES)})")
        left, top, right, bottom = (side for side in sides if side is not None)
        self.counts["outlined"] += item.find("polygon") is not None
        self.counts["zero"] += min(left, top) == 0
        first = self.settings.origin
        return Marked(name, (left - first, top - first, right, bottom), difficult=_text(item, "difficult") == "1")

    def _image(self, file: Path, named: str) -> tuple[str, ...] | None:
        """Return the image with the name of the XML file, else the one that it names; nearest to the file first."""
        name = PurePosixPath(named.replace("\\", "/"))
        if ".." in name.parts or name.is_absolute() or named[1:3] == ":\\":
            raise DataError(f'<filename> is "{printable(named)}", which leads out of the data; nothing was read there')
        own = self.by_stem.get(file.stem, [])
        found = own or [parts for parts in self.by_stem.get(name.stem, []) if parts[-1] == name.name]
        self.counts["renamed"] += bool(own) and bool(named) and name.name not in {parts[-1] for parts in own}
        home = file.parent.relative_to(self.root).parts
        beside = [parts for parts in found if parts[:-1] == home]
        pictures = [parts for parts in found if "JPEGImages" in parts or "images" in parts]
        return next(iter(beside or pictures or found), None)

    def notes(self) -> list[str]:
        """Return what was inferred, in words."""
        said = {"zero": "boxes begin at 0, where pixels are counted from 1: if the numbers are edges, say "
                        "--set reader.origin=0" if self.settings.origin else "",
                "renamed": "files name another image in <filename>; the image with the XML file's own name is taken",
                "outlined": "outlines in <polygon> are left aside; boxes are read",
                "sizeless": "files say no size of their image"}
        sets = ["splits: from ImageSets/Main"] if self.unlisted is not None else []
        return sets + [f"{self.counts[key]} {text}" for key, text in said.items() if self.counts[key] and text]


def _text(item: Element | None, tag: str) -> str:
    found = item.find(tag) if item is not None else None
    return (found.text or "").strip() if found is not None else ""
