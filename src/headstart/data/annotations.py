"""Annotations: what every reader of marked objects does alike, from names and boxes to a data set."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from headstart.data.dataset import Dataset
from headstart.data.masks import Polygons
from headstart.errors import ConfigError, DataError, listed
from headstart.images import printable
from headstart.types import Box, ImageSource, Instance, Rle, Sample, SplitName

Outside = Literal["refuse", "allow"]
GLIMPSE = 64 * 1024
"""Bytes at the start and at the end of a file by which its format is told."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One object as a format has it: its class is still a name."""

    name: str
    box: Box
    crowd: bool = False
    difficult: bool = False
    polygons: Polygons = ()
    rle: Rle | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """One image and what is marked in it."""

    id: str
    source: ImageSource
    objects: tuple[Marked, ...]
    where: str
    """The file, with the row or the id, in which its annotation stands."""
    split: SplitName | None = None
    annotated: tuple[int, int] | None = None
    """Height and width, where the annotation says them."""
    group: str | None = None


def detection(pictures: Sequence[Picture], *, format: str, root: Path | None, declared: Iterable[str] = (),
              notes: Sequence[str] = (), ignored: Sequence[str] = ()) -> Dataset:
    """Return the data set. Classes are the names that occur, sorted as text, whatever numbers the format gives them.

    declared: names that the format lists; those without an object are left out, and told.
    Raises DataError for an image that has two annotations.
    """
    wheres: dict[str, list[str]] = {}
    for picture in pictures:
        wheres.setdefault(picture.id, []).append(picture.where)
    refuse(root or format, [f"{name}: {' and '.join(places)}" for name, places in wheres.items() if len(places) > 1],
           "Give each image one annotation, in one split.")
    used = {marked.name for picture in pictures for marked in picture.objects}
    classes = tuple(sorted(used))
    place = {name: index for index, name in enumerate(classes)}
    unused = sorted(set(declared) - used)
    said = [f"classes without an object, left out: {', '.join(unused)}"] if unused else []
    return Dataset(tuple(_sample(picture, place) for picture in pictures), classes, "detection", format, root,
                   (*notes, *said), tuple(ignored))


def _sample(picture: Picture, place: dict[str, int]) -> Sample:
    objects = tuple(Instance(place[m.name], m.box, m.crowd, m.difficult, m.polygons, m.rle) for m in picture.objects)
    return Sample(picture.id, picture.source, tuple(sorted({found.label for found in objects})), picture.split,
                  picture.group, objects=objects, annotated=picture.annotated, where=picture.where)


def require_detection(path: str, task: str | None, format: str, tasks: Sequence[str] = ("detection",)) -> None:
    """Raise ConfigError where marked objects are to be read as data of a task that they are not for.

    tasks: what they are for.
    """
    if task is not None and task not in tasks:
        raise ConfigError(f"{path}: the format {format} has boxes, which are data for {' and '.join(tasks)}, not for "
                          f"{task}.")


def refuse(where: str | Path, problems: Sequence[str], advice: str) -> None:
    """Raise DataError naming the first of the problems, where there is one, and counting them."""
    if problems:
        many = f"{len(problems)} annotations can't be read" if len(problems) > 1 else "an annotation can't be read"
        raise DataError(f"{where}: {many}:\n{listed(problems)}\n{advice}")


def refuse_missing(where: str | Path, missing: Sequence[str], policy: Literal["refuse", "keep"]) -> None:
    """Raise DataError for annotated images that are not there, unless they are kept for the check to find."""
    if missing and policy == "refuse":
        are = "an annotated image does" if len(missing) == 1 else f"{len(missing)} annotated images do"
        raise DataError(f"{where}: {are} not exist:\n{listed(missing)}\n"
                        "Fix the paths, say where the images are (--set reader.images=FOLDER, where the format has "
                        "it), or leave them out with `adapt --skip-bad`.")


def class_name(value: Any) -> str:
    """Return the name of a class: one letter written in two ways is one; empty where the value is no name."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    return printable(unicodedata.normalize("NFC", str(value).strip()))


def number(value: Any) -> float | None:
    """Return a finite number from a number, or from its text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def size_of(height: Any, width: Any) -> tuple[int, int] | None:
    """Return height and width in whole pixels, or None where they are not given, 0, or no size."""
    found = number(height), number(width)
    if found[0] is None or found[1] is None or min(found[0], found[1]) < 1 or max(found[0], found[1]) > 1e6:
        return None
    return round(found[0]), round(found[1])


def locate(folders: Iterable[Path], name: str, *, root: Path, outside: Outside = "refuse") -> Path | None:
    """Return the file of that name in the first of the folders that has it, or None.

    Raises DataError for a name that leads out of its folder, and for a link out of `root` unless `outside` is allow.
    """
    plain = name.replace("\\", "/")
    parts = PurePosixPath(plain).parts
    if not parts or "\0" in name or ".." in parts or plain.startswith("/") or plain[1:3] == ":/":
        raise DataError(f'"{printable(name)}" is no path inside the data; nothing outside of them is read')
    for folder in folders:
        for candidate in dict.fromkeys((name, plain)):
            path = os.path.join(folder, candidate)
            try:
                there = os.path.isfile(path)
            except UnicodeEncodeError:
                return None
            if there:
                if outside == "refuse" and not within(path, root):
                    raise DataError(f'"{printable(name)}" is a link out of {root}. Copy the file in, or follow links '
                                    "with --set reader.outside=allow")
                return Path(path)
    return None


def within(path: str | Path, root: Path) -> bool:
    """Return whether a path, its links followed, lies in `root`."""
    real = os.path.realpath(root)
    try:
        return os.path.commonpath([os.path.realpath(path), real]) == real
    except ValueError:  # a name that no file can have
        return False


def glimpse(path: Path) -> bytes:
    """Return the first and the last bytes of a file, for sniffing; nothing where it can't be read."""
    try:
        with path.open("rb") as file:
            head = file.read(GLIMPSE)
            file.seek(max(len(head), os.fstat(file.fileno()).st_size - GLIMPSE))
            return head + file.read(GLIMPSE)
    except OSError:
        return b""


def entries(folder: Path, *endings: str) -> list[Path]:
    """Return the visible files of a folder with one of these endings, sorted; nothing where it is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in endings
                      and not path.name.startswith(".") and path.is_file())
    except OSError:
        return []


def folders_in(folder: Path) -> list[Path]:
    """Return the visible folders of a folder, sorted; nothing where it can't be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []
