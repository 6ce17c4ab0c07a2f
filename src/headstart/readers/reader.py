"""Reader: the contract of a data format."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from headstart.data.dataset import Dataset
from headstart.part import Part


class Reader(Part):
    """Reads one data format. Its fields are the settings that the format needs."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    """What the format has labels for."""
    any_folder: ClassVar[bool] = False
    """Whether it claims folders of images by their names alone; it then steps back for a reader of annotations, and one
    of whole images for one of masks."""

    @classmethod
    @abstractmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` looks like this format; cheap, and never raises."""

    @abstractmethod
    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set at `path`, as data for `task`, or for the task that the data show.

        Raises DataError naming what is wrong, where, and what to do.
        """

    @classmethod
    def claims_object(cls, value: object) -> bool:
        """Return whether `value` is a data set of a library that this reader knows; never imports it."""
        return False

    def read_object(self, value: object, *, task: str | None = None) -> Dataset:
        """Return the data set that an object of another library holds; only called where `claims_object` is true."""
        raise NotImplementedError(f"{self.part_name} reads paths only")
