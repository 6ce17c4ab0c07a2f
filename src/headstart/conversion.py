"""Conversion: the same marked objects, or masks, in the form of another format, and what that form can't hold."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from headstart.data.dataset import Dataset
from headstart.data.mask_sets import drawn_from_objects
from headstart.data.patches import objects_of_masks
from headstart.data.sizes import sizes_of
from headstart.errors import ConfigError, DataError, listed
from headstart.files import refuse_taken, sync_folder
from headstart.images import EXTENSIONS, ImageError, probe
from headstart.writers.writer import Placed, Writer

Images = Literal["copy", "link"]
ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}
LONGEST = 120
"""Characters of a file's name; a file system takes 255 bytes."""


@dataclass(frozen=True)
class Converted:
    """A data set that was written."""

    directory: Path
    format: str
    images: int
    objects: int
    notes: tuple[str, ...]
    """What the format can't hold, in sentences."""
    facts: tuple[str, ...] = ()
    """How the data were brought into its form, and what one has to know to read them, in sentences."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "directory": str(self.directory), "notes": list(self.notes),
                "facts": list(self.facts)}


def write_dataset(dataset: Dataset, writer: Writer, out: Path, *, images: Images = "copy") -> Converted:
    """Write the data in the writer's format into a new folder, which appears whole or not at all.

    images: `copy`, or `link` for hard links, which take no room but are the same files; where the file system has no
    such links, copies. Raises ConfigError for a folder that is not empty, DataError for data of another task and for
    images that can't be read, all of them listed.
    """
    refuse_taken(out)
    dataset, writer, changed = _fitting(dataset, writer)
    endless = [sample.where or sample.id for sample in dataset.samples for found in sample.objects or ()
               if not all(map(math.isfinite, found.box))]
    if endless:
        raise DataError(f"{len(endless)} boxes are not of finite numbers:\n{listed(endless)}\nMend them, or leave "
                        "them out.")
    sizes = sizes_of([sample.source for sample in dataset.samples])
    broken = [str(size) for size in sizes if isinstance(size, ImageError)]
    if broken:
        raise DataError(f"{len(broken)} images can't be read:\n{listed(broken)}\nMend them, or take them out "
                        "of the data.")
    names = file_names(dataset)
    placed = [Placed(sample, writer.place(name, sample.split), size)
              for sample, name, size in zip(dataset.samples, names, sizes, strict=True) if isinstance(size, tuple)]
    out = out.absolute()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = out.with_name(f".{out.name}.tmp-{os.getpid()}")
        work.mkdir()
    except OSError as error:
        raise ConfigError(f"{out}: can't be written ({error.strerror}). Choose another --out.") from None
    try:
        notes = [*writer.write(placed, dataset.classes, work), *_others(dataset)]
        copied = [_put(image, work / image.file, images) for image in placed]
        if images == "link" and any(copied):
            notes.append(f"{sum(copied)} images are copies: they can't be linked from there")
        if out.exists():
            out.rmdir()  # empty: nothing else passes
        work.rename(out)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    objects = sum(len(image.objects) for image in placed)
    return Converted(out, writer.part_name, len(placed), objects, tuple(notes),
                     (*changed, *writer.facts(placed, dataset.classes)))


def _fitting(dataset: Dataset, writer: Writer) -> tuple[Dataset, Writer, tuple[str, ...]]:
    """Return the data as what the format holds, objects or masks, the writer for it, and how one was made of the other.
    """
    if dataset.task not in ("detection", "semantic"):
        raise DataError(f"convert writes marked objects and masks, which data for {dataset.task} have not.")
    if dataset.task == writer.task:
        return dataset, writer, ()
    other = objects_of_masks(dataset) if writer.task == "detection" else drawn_from_objects(dataset, faulty="refuse")
    return other, writer.for_patches(), other.notes[len(dataset.notes):]


def file_names(dataset: Dataset) -> list[str]:
    """Return a name for each image that is unique up to capitals, even without its ending, and safe on any system.

    It is that of the file; where two share it, the folders go in front, and then a number behind.
    """
    ids = [PurePosixPath(sample.id) for sample in dataset.samples]
    short = [_safe(path.name) for path in ids]
    count = Counter(_stem(name) for name in short)
    names, taken = list[str](), set[str]()
    for sample, path, name in zip(dataset.samples, ids, short, strict=True):
        if count[_stem(name)] > 1:
            name = _safe("_".join(path.parts))
        ending = _ending(sample.source, name)
        stem = name[:-len(PurePosixPath(name).suffix)] if PurePosixPath(name).suffix.lower() in EXTENSIONS else name
        stem, number = stem[-LONGEST:].strip(" .") or "image", 1
        free = stem
        while free.lower() in taken:
            number += 1
            free = f"{stem}-{number}"
        taken.add(free.lower())
        names.append(free + ending)
    return names


def _safe(text: str) -> str:
    return re.sub(r"[^\w.\- ]", "_", text).lstrip(". ") or "image"


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.lower()


def _ending(source: Any, name: str) -> str:
    """Return the ending that the file has, or for bytes, and a file without one, that of its format."""
    given = PurePosixPath(source.name if isinstance(source, Path) else name).suffix
    return given if given.lower() in EXTENSIONS else ENDINGS.get(probe(source).format, ".png")


def _put(image: Placed, target: Path, how: Images) -> bool:
    """Write the image's bytes as they are; return whether they were copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source = image.sample.source
    if not isinstance(source, Path):
        target.write_bytes(source())
        return True
    if how == "link":
        try:
            os.link(source.resolve(), target)
            return False
        except OSError:
            pass  # another file system, or one without links: the caller says so
    shutil.copyfile(source, target)
    return True


def _others(dataset: Dataset) -> list[str]:
    """Return what no format holds."""
    samples = dataset.samples
    turned = sum(probe(sample.source).orientation > 1 for sample in samples)
    said: Sequence[tuple[int, str]] = (
        (sum(sample.group is not None for sample in samples), "images have a group, which is not kept"),
        (sum(sample.weight != 1 for sample in samples), "images have a weight, which is not kept"),
        (turned, "images have an EXIF orientation; boxes and sizes are those of the upright picture, which some tools "
                 "don't turn"))
    return [f"{count} {text}" for count, text in said if count]


