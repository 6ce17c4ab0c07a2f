"""Reader: the contract of a data format."""

from __future__ import annotations

from abc import abstractmethod

from headstart.data.dataset import Dataset
from headstart.part import Part


class Reader(Part):
    """Reads one data format. Its fields are the settings that the format needs."""

    @classmethod
    @abstractmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` looks like this format; cheap, and never raises."""

    @abstractmethod
    def read(self, path: str) -> Dataset:
        """Return the data set at `path`. Raises DataError naming what is wrong, where, and what to do."""
