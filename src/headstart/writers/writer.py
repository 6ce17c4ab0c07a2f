"""Writer: the contract of a format that data can be converted to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from headstart.catalog import Catalog
from headstart.part import Part
from headstart.types import Instance, Sample, SplitName


@dataclass(frozen=True, slots=True)
class Placed:
    """One image of the new data set."""

    sample: Sample
    file: PurePosixPath
    """Where it lies in the new folder."""
    size: tuple[int, int]
    """Height and width, upright."""

    @property
    def objects(self) -> tuple[Instance, ...]:
        """What is marked in it."""
        return self.sample.objects or ()


class Writer(Part):
    """Writes one format. Its fields are the settings that the format needs."""

    @property
    def task(self) -> str:
        """Return what the format holds: marked objects (`detection`), or the class of each pixel (`semantic`)."""
        return "detection"

    def for_patches(self) -> Self:
        """Return the writer as it is to write objects that were made of the classes of pixels."""
        return self

    @abstractmethod
    def place(self, name: str, split: SplitName | None) -> PurePosixPath:
        """Return where an image of this name and split lies in the new folder. Names are unique, without folders."""

    def facts(self, images: Sequence[Placed], classes: Sequence[str]) -> list[str]:
        """Return in sentences what one has to know of the new data, besides what they can't hold."""
        return []

    @abstractmethod
    def write(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        """Write the annotations into a new folder; return in sentences what the format can't hold."""


WRITERS: Catalog[Writer] = Catalog("writers", Writer)  # type: ignore[type-abstract]


def lost(images: Sequence[Placed], what: str, held: Sequence[bool]) -> list[str]:
    """Return that so many objects lose something, or nothing. held: for each object, whether it has it."""
    assert len(held) == sum(len(image.objects) for image in images), "one for each object"
    return [f"{sum(held)} objects: {what}"] if any(held) else []


def objects_of(images: Sequence[Placed]) -> list[Instance]:
    """Return all marked objects, in order."""
    return [found for image in images for found in image.objects]
