"""Dataset: the samples, classes and task that a reader found, and what it inferred on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.types import Sample


@dataclass(frozen=True)
class Dataset:
    """Images with labels. Nothing is decoded yet; the user's files are never touched."""

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    """Class names; a label is a position in this list."""
    task: str
    """Name of a file in `tasks/`: `classification`, `multilabel`, `detection` or `semantic`."""
    format: str
    """Name of the reader in `readers/` that made it."""
    root: Path | None = None
    notes: tuple[str, ...] = ()
    """Sentences on what was inferred, printed before anything runs."""
    ignored: tuple[str, ...] = ()
    """Files and folders left aside, relative to the root, each with its reason in brackets."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def several(self) -> bool:
        """Whether an image can have several labels: for detection those of all that it shows."""
        return self.task != "classification"

    @property
    def whole(self) -> bool:
        """Whether a model sees whole pictures in their proportions, because its answers have a place in them."""
        return self.task in ("detection", "semantic")

    def labels(self) -> np.ndarray:
        """Return int64 [N] class indices, or float32 [N, C] of 0 and 1 where an image has several; needs all labels."""
        if self.several:
            targets = np.zeros((len(self), len(self.classes)), np.float32)
            for row, sample in enumerate(self.samples):
                targets[row, list(sample.label or ())] = 1  # type: ignore[arg-type]
            return targets
        return np.array([sample.label for sample in self.samples], np.int64)

    def weights(self) -> np.ndarray:
        """Return float32 [N] sample weights."""
        return np.array([sample.weight for sample in self.samples], np.float32)

    def groups(self) -> list[str] | None:
        """Return the group of each sample (its id where it has none), or None where no sample has a group."""
        if all(sample.group is None for sample in self.samples):
            return None
        return [sample.id if sample.group is None else sample.group for sample in self.samples]

    def subset(self, positions: Sequence[int] | np.ndarray) -> Dataset:
        """Return the samples at `positions`, in that order, with everything else as it is."""
        return replace(self, samples=tuple(self.samples[int(i)] for i in positions))


@dataclass(frozen=True)
class Splits:
    """Three parts of one data set that share no group."""

    train: Dataset
    val: Dataset
    test: Dataset
    notes: tuple[str, ...] = ()
    """How the parts were made, in words."""
    held_back: int = 0
    """Images of the data that are in none of the parts: a search does not see those of test."""
    target: Dataset | None = None
    """Images of another domain to adapt to. None of them has a label here, whatever is known elsewhere."""
    labelled: Dataset | None = None
    """Other images of that domain, with labels that may be learned from."""
    source: Dataset | None = None
    """The train part as it was before the labelled images joined it; None where they did not."""

    @property
    def images(self) -> int:
        """How many images the data have."""
        return sum(len(part) for _, part in self.items()) + self.held_back

    def joint(self) -> Splits:
        """Return the splits with the labelled images of the other domain at the end of train."""
        if self.labelled is None:
            return self
        together = replace(self.train, samples=self.train.samples + self.labelled.samples)
        return replace(self, train=together, source=self.train)

    def items(self) -> list[tuple[str, Dataset]]:
        """Return (name, part) in the order train, val, test."""
        return [("train", self.train), ("val", self.val), ("test", self.test)]
