"""Pool: the images that a judgement may read: train and validation, and test only where it measures no model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from headstart.adaptation import choose_device, feature_store
from headstart.backbones.backbone import Backbone
from headstart.data.dataset import Dataset, Splits
from headstart.data.fingerprint import fingerprint
from headstart.data.folds import pooled
from headstart.data.splits import split
from headstart.errors import ConfigError, DataError
from headstart.events import Listen, Note
from headstart.features.store import FeatureStore
from headstart.files import sha256_bytes
from headstart.gate import admit
from headstart.job import Job
from headstart.seeds import generator
from headstart.types import SplitName

# N images, D features


@dataclass(frozen=True)
class Pool:
    """Data admitted and split as a run of the same job would."""

    job: Job
    dataset: Dataset
    findings: list[dict[str, Any]]
    splits: Splits
    images: Dataset
    """Train and validation together."""
    store: FeatureStore

    def features(self, backbone: Backbone, rows: np.ndarray, listen: Listen) -> np.ndarray:
        """Return float32 [n, D] of `images.subset(rows)`, from the store as far as it has them."""
        return self._features(backbone, self.images.subset(rows), listen)

    def all_features(self, backbone: Backbone, listen: Listen) -> np.ndarray:
        """Return float32 [N, D] of every image of the data, in their order, those of test included."""
        return self._features(backbone, self.dataset, listen)

    def _features(self, backbone: Backbone, images: Dataset, listen: Listen) -> np.ndarray:
        return self.store.features(backbone, backbone.spec.preprocessing, images, listen=listen,
                                   device=choose_device(self.job.device), workers=self.job.workers)

    def split_of(self) -> dict[str, SplitName]:
        """Return the split of each image of the data by its id, test included."""
        return {sample.id: name for name, part in self.splits.items()  # type: ignore[misc]
                for sample in part.samples}

    @cached_property
    def fingerprint(self) -> str:
        """Return that of the data; only a judgement that is kept or looked for asks for it."""
        return fingerprint(self.dataset)

    def known_to(self) -> dict[str, Any]:
        """Return what decides which images are in the pool, and how they are seen, to compare with that of a record."""
        names = "\n".join(sorted(sample.id for sample in self.splits.test.samples))
        return {"fingerprint": self.fingerprint, "held_out": sha256_bytes(names.encode("utf-8", "replace")),
                "channels": self.job.channels, "fit": self.job.fit}


def open_pool(job: Job, dataset: Dataset | None, listen: Listen) -> Pool:
    """Return the pool of a job. Raises DataError where the data can't carry a run, or show one class only."""
    refuse_target(job, "a judgement by the features of the data")
    dataset, findings = admit(job, dataset, listen)
    splits = split(dataset, seed=job.seed, val=job.val, test=job.test)
    for note in splits.notes:
        listen(Note(note))
    return pool_of(job, dataset, findings, splits)


def refuse_target(job: Job, what: str) -> None:
    """Raise ConfigError where a target is named that would have no effect."""
    if job.target is not None:
        raise ConfigError(f"target {job.target}: would have no effect on {what}. Leave it out; `headstart adapt` "
                          "adapts to it, `headstart mismatch` compares with it.")


def pool_of(job: Job, dataset: Dataset, findings: list[dict[str, Any]], splits: Splits) -> Pool:
    """Return the pool of data that are admitted and split already. Raises DataError where they show one class only."""
    if dataset.whole:
        what = "boxes" if dataset.task == "detection" else "masks"
        raise ConfigError(f"{job.data}: holds {what}, which can't be judged by features of whole images yet. Name a "
                          "backbone and a method to `headstart adapt`.")
    images = pooled(splits)
    labels = images.labels()
    if len(np.unique(labels, axis=0)) < 2:
        raise DataError("outside the test split the images show one class only; there is nothing to tell apart. "
                        "Add images of another class, or split the data anew.")
    return Pool(job, dataset, findings, splits, images, feature_store(splits))


def of_each_class(images: Dataset) -> np.ndarray:
    """Return int64 [C]: how many images have each class."""
    labels = images.labels()
    counts = labels.sum(axis=0) if labels.ndim > 1 else np.bincount(labels, minlength=len(images.classes))
    return counts.astype(np.int64)


def spread(labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Return int64 [N], an order of the rows of which every beginning shows each class in its share, by chance.

    labels: int64 [N], or 0/1 [N, C], where each set of labels counts as a class.
    """
    kinds = labels if labels.ndim == 1 else np.unique(labels, axis=0, return_inverse=True)[1].ravel()
    rng = generator(seed, "spread")
    place = np.empty(len(kinds))
    for kind in np.unique(kinds):
        rows = rng.permutation(np.flatnonzero(kinds == kind))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(place, kind="stable")


def nested(labels: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Return the first `count` rows of `spread`, but with every class in them: of each one image comes first."""
    order = spread(labels, seed=seed)
    if labels.ndim > 1:
        return order[:count]
    first = np.sort(np.unique(labels[order], return_index=True)[1])
    rest = np.delete(np.arange(len(order)), first)
    return order[np.concatenate([first, rest])[:count]]
