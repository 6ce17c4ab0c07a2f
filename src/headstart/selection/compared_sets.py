"""Compared sets: the images that a comparison looks at: read from data or a run, with features and labels by name.

# N images, D features
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.adaptation import choose_device
from headstart.backbones.backbone import Backbone
from headstart.data.class_names import matched
from headstart.data.dataset import Dataset
from headstart.data.decodable import decodable
from headstart.data.load import load_data
from headstart.data.transforms import Preprocessing
from headstart.errors import DataError, listed
from headstart.events import Listen, Note
from headstart.features.store import FeatureStore
from headstart.files import cache_folder
from headstart.images import ImageError, printable
from headstart.job import Job
from headstart.seeds import generator
from headstart.selection.mismatch import Settings
from headstart.target import IMAGES, images_alone
from headstart.types import ImageSource


@dataclass(frozen=True)
class ImageSet:
    """Images that are compared with others."""

    name: str
    images: Dataset
    features: np.ndarray
    """float32 [N, D]."""
    labels: np.ndarray | None
    """int64 [N], positions in the classes of the first set, -1 for another class; None where there are no labels."""

    @property
    def sources(self) -> list[ImageSource]:
        """Where the images are."""
        return [sample.source for sample in self.images.samples]

    def some(self, most: int, *, seed: int) -> list[ImageSource]:
        """Return the sources of at most so many images, by chance."""
        return [self.sources[row] for row in chosen(len(self.images), most, seed=seed)]


@dataclass(frozen=True)
class Looking:
    """With what images are looked at."""

    backbone: Backbone
    preprocessing: Preprocessing
    job: Job
    most: int
    """Images of each set."""
    listen: Listen

    @property
    def settings(self) -> Settings:
        """What a record says of it."""
        return Settings(self.backbone.spec.architecture, self.preprocessing.size, self.job.image_size is None,
                        self.job.seed, self.most)

    def at(self, name: str, dataset: Dataset, labels: np.ndarray | None, *, count: int) -> ImageSet:
        """Return the images with their features. count: of the largest set, so that all are computed alike.

        Raises DataError for an image that can't be read.
        """
        store = FeatureStore(cache_folder() / "features", images=count)
        try:
            features = store.features(self.backbone, self.preprocessing, dataset, listen=self.listen,
                                      device=choose_device(self.job.device), workers=self.job.workers)
        except ImageError as error:
            raise DataError(f"{error}\n  It is one of the images of {name}. Mend or replace it, or leave out all such "
                            "with --skip-bad, which names them.") from None
        return ImageSet(name, dataset, np.asarray(features), labels)

    def sampled(self, name: str, dataset: Dataset) -> Dataset:
        """Return at most `most` images by chance, without those that can't be read if the job leaves them out."""
        looked_at = dataset.subset(chosen(len(dataset), self.most, seed=self.job.seed))
        return without_bad(looked_at, name, self.listen) if self.job.skip_bad else looked_at


def without_bad(dataset: Dataset, name: str, listen: Listen) -> Dataset:
    """Return the images that can be read, and say which are left out. Raises DataError where none is left."""
    kept, bad = decodable(dataset, name, listen)
    if bad:
        listen(Note(f"{len(bad)} of {len(dataset)} images of {name} can't be read and are left out:\n{listed(bad)}",
                    "warning"))
    return kept


def chosen(total: int, most: int, *, seed: int) -> np.ndarray:
    """Return int64 [min(total, most)], rows by chance, rising."""
    return np.sort(generator(seed, "looked at").permutation(total)[:most])


def read_other(other: Dataset | str | Path, job: Job) -> tuple[Dataset, bool]:
    """Return the images of the second set, and whether each has one class: those of one folder have none."""
    if isinstance(other, Dataset):
        return other, labelled(other)
    return _read(str(other), format=job.target_format, reader=job.target_reader, task=None, skip_bad=job.skip_bad)


def read_first(job: Job, dataset: Dataset | None) -> tuple[Dataset, bool]:
    """Return the images of the job's data, which may be read already, and whether each has one class."""
    if dataset is not None:
        return dataset, labelled(dataset)
    return _read(job.data, format=job.format, reader=job.reader, task=job.task, skip_bad=job.skip_bad)


def _read(path: str, *, format: str | None, reader: dict[str, object], task: str | None,
          skip_bad: bool) -> tuple[Dataset, bool]:
    place = os.path.abspath(os.path.expanduser(path))  # as the job has its own
    if format in (None, IMAGES) and not reader and task is None:
        alone = images_alone(place, nested=format == IMAGES)
        if alone is not None:
            return alone, False
    dataset = load_data(place, format=format, settings=reader, task=task, skip_bad=skip_bad)
    return dataset, labelled(dataset)


def labelled(dataset: Dataset) -> bool:
    """Return whether each image has one class."""
    return dataset.task == "classification" and all(sample.label is not None for sample in dataset.samples)


def labels_by_name(dataset: Dataset, classes: Sequence[str]) -> np.ndarray:
    """Return int64 [N], the label of each image as a position in `classes`, -1 for a class that is not there."""
    place = np.full(max(1, len(dataset.classes)), -1, np.int64)
    for mine, its in matched(classes, dataset.classes):
        place[its] = mine
    return np.asarray(place[dataset.labels()])


def titles(first: str, second: str) -> tuple[str, str]:
    """Return what two places are called: their last parts, as many as tell them apart."""
    one, two = Path(printable(first)).parts, Path(printable(second)).parts
    for count in range(1, max(len(one), len(two)) + 1):
        names = "/".join(one[-count:]), "/".join(two[-count:])
        if names[0] != names[1]:
            return names
    return f"{one[-1]} (first)", f"{two[-1]} (second)"
