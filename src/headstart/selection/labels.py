"""Labels: which given labels of a data set are likely wrong, by the answers of a probe that did not see them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.data.dataset import Dataset
from headstart.data.findings import OVERRULABLE
from headstart.errors import ConfigError
from headstart.events import Listen, Note
from headstart.held_out import FOLDS, held_out
from headstart.job import Job
from headstart.selection.candidates import load
from headstart.selection.confident import Doubts, doubt
from headstart.selection.label_errors import FOLDER, Confusion, LabelError, LabelErrors
from headstart.selection.labels_page import caution, counted, write_labels_page
from headstart.selection.labels_table import table_settings, write_labels_table
from headstart.selection.pool import Pool, open_pool
from headstart.selection.records import new_folder, refuse_place

# N images, D features, C classes


@dataclass(frozen=True)
class Examined:
    """The labels of all images beside what they likely are."""

    probabilities: np.ndarray
    """float64 [N, C], each row from a probe that had not seen the image, nor another of its group."""
    quality: np.ndarray
    """float64 [N]: 0 surely wrong, 1 surely right."""
    issues: np.ndarray
    """bool [N]."""
    suggested: np.ndarray
    """int64 [N], the likeliest class; or 0/1 [N, C], the given labels with the likely wrong ones changed."""
    doubts: Doubts


def examine(features: np.ndarray, labels: np.ndarray, *, classes: int, seed: int = 0, folds: int = FOLDS,
            groups: Sequence[str] | None = None) -> Examined:
    """Return what a cross-validated linear probe and confident learning say of the labels.

    features: float [N, D]. labels: int64 [N], or 0/1 [N, C]. groups: images of one group are held out together.
    """
    probabilities = held_out(features, labels, classes=classes, folds=folds, seed=seed, groups=groups).probabilities()
    found = doubt(labels, probabilities)
    if labels.ndim == 1:
        return Examined(probabilities, found.quality, found.issues, probabilities.argmax(axis=1), found)
    changed = np.where(found.issues, 1 - labels, labels).astype(np.int64)
    return Examined(probabilities, found.quality.min(axis=1), np.asarray(found.issues.any(axis=1)), changed, found)


def make_label_errors(job: Job, *, dataset: Dataset | None, directory: Path | None, listen: Listen) -> LabelErrors:
    """Return the likely wrong labels of a job's data, written into `directory` or the next free one in `labels/`.

    Raises ConfigError where the folder holds other things; else as `open_pool` and the loading of the backbone.
    """
    refuse_place(directory, FOLDER)
    if job.init_from:
        raise ConfigError("labels looks at pretrained features; init_from names a run to start from. Leave it out.")
    began = time.monotonic()
    # What would forbid a run, such as copies with two labels, is what one comes here to mend.
    pool = open_pool(job.model_copy(update={"allow": (*job.allow, *OVERRULABLE)}), dataset, listen)
    backbone, note = load(job.backbone, job.image_size, job.channels, job.fit, job.allow_licenses)
    if note:
        listen(Note(note))
    data = pool.dataset
    features = pool.all_features(backbone, listen)
    found = examine(features, data.labels(), classes=len(data.classes), seed=job.seed, groups=data.groups())
    errors = _record(pool, backbone, found, time.monotonic() - began)
    listen(Note(" ".join(filter(None, (caution(errors), counted(errors))))))
    target = new_folder(directory, FOLDER, job)
    write_labels_table(target, data, found.suggested, found.quality, found.issues, pool.split_of())
    write_labels_page(errors, data, target)
    errors.save(target)
    return LabelErrors.load(target)


def _record(pool: Pool, backbone: Backbone, found: Examined, seconds: float) -> LabelErrors:
    data, labels, splits = pool.dataset, pool.dataset.labels(), pool.split_of()
    doubted = np.flatnonzero(found.issues)
    doubted = doubted[np.argsort(found.quality[doubted], kind="stable")]
    errors = tuple(_error(rank, data, labels, int(row), found, splits) for rank, row in enumerate(doubted, start=1))
    told = found.probabilities.argmax(axis=1) if labels.ndim == 1 else found.probabilities > 0.5
    agreed = np.equal(told, labels)
    return LabelErrors(pool.job.data, pool.known_to(), data.task, backbone.spec.architecture,
                       backbone.spec.preprocessing.size, len(data), data.classes, float(np.mean(agreed)), errors,
                       _pairs(data, labels, found), round(seconds, 3), table_settings(data),
                       baseline=most_frequent(labels))


def most_frequent(labels: np.ndarray) -> float:
    """Return the share of int64 [N] or 0/1 [N, C] labels that agree with the most frequent answer, of each label."""
    if labels.ndim == 1:
        return float(np.bincount(labels).max() / len(labels))
    there = labels.mean(axis=0)
    return float(np.maximum(there, 1 - there).mean())


def _error(rank: int, data: Dataset, labels: np.ndarray, row: int, found: Examined,
           splits: Mapping[str, str]) -> LabelError:
    sample, probabilities, doubted = data.samples[row], found.probabilities[row], None
    if labels.ndim == 1:
        given, suggested = (float(probabilities[c]) for c in (labels[row], found.suggested[row]))
    else:
        # Of the labels that are flagged: another may be as improbable for its class and yet no likely error.
        worst = int(np.where(found.doubts.issues[row], found.doubts.quality[row], np.inf).argmin())
        there = float(probabilities[worst])
        given, suggested = (there, 1 - there) if labels[row, worst] else (1 - there, there)
        doubted = data.classes[worst]
    return LabelError(rank, sample.id, str(sample.source) if isinstance(sample.source, Path) else None,
                      splits[sample.id], _names(labels[row], data.classes), _names(found.suggested[row], data.classes),
                      given, suggested, float(found.quality[row]), doubted)


def _names(label: np.ndarray, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the class names of one label: an index, or 0/1 [C]."""
    places = [int(label)] if np.ndim(label) == 0 else np.flatnonzero(label).tolist()
    return tuple(classes[place] for place in places)


def _pairs(data: Dataset, labels: np.ndarray, found: Examined) -> tuple[Confusion, ...]:
    """Return which class is taken for which, the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    if labels.ndim == 1:
        having = {name: int((labels == c).sum()) for c, name in enumerate(data.classes)}
        for row in np.flatnonzero(found.issues):
            counts[data.classes[labels[row]], data.classes[found.suggested[row]]] += 1
    else:
        having = {}
        for c, name in enumerate(data.classes):
            there = labels[:, c] > 0.5
            for mask, given, suggested in ((there, name, f"no {name}"), (~there, f"no {name}", name)):
                having[given] = int(mask.sum())
                counts[given, suggested] += int((found.doubts.issues[:, c] & mask).sum())
    return tuple(Confusion(given, suggested, errors, having[given])
                 for (given, suggested), errors in counts.most_common() if errors)
