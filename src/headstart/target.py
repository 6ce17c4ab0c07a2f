"""Target: the images of another domain that a run adapts to, and the labels that prove it, kept apart from each other.

What adapts is given images without any label. What is known of their labels is used once, to measure the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.catalog import Catalog
from headstart.data.class_names import matched
from headstart.data.dataset import Dataset, Splits
from headstart.data.decodable import decodable
from headstart.data.findings import counted
from headstart.data.fingerprint import content_hashes, fingerprint, overlap
from headstart.data.load import format_of, read_data, require_objects
from headstart.data.masks import BadMask
from headstart.data.pixel_classes import class_counts, pixel_classes, relabelled
from headstart.data.walk import shown, walk
from headstart.errors import ConfigError, DataError, listed
from headstart.events import Listen, Note
from headstart.images import ImageError
from headstart.job import Job
from headstart.readers.reader import Reader
from headstart.types import IGNORED, Sample

IMAGES = "images"
"""A target_format: every image below the folder, whose folders are no classes, without labels."""
TRAIN = "target_train"
"""The setting that names labelled images to learn from."""
LEAST = 2
"""Images that say something of a domain."""


@dataclass(frozen=True)
class Target:
    """Another domain. A run adapts to `images`, and is proven on `proof`."""

    images: Dataset
    """Without labels."""
    proof: Dataset | None
    """With labels, as positions among the source's classes; None where none is known."""
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what data.json says of the target."""
        return {"root": str(self.images.root), "format": self.images.format, "images": len(self.images),
                "proof": len(self.proof or ()), "fingerprint": fingerprint(self.images),
                "proof_fingerprint": fingerprint(self.proof) if self.proof else None, "notes": list(self.notes)}


def open_target(job: Job, source: Dataset, splits: Splits, listen: Listen) -> Target | None:
    """Return the target that the job names, checked, or None where it names none. What was inferred is told.

    Raises ConfigError where the task can't be adapted so, or no class is the source's; DataError for images that can't
    be read.
    """
    if job.target is None:
        return None
    if source.task not in LABELS:
        raise ConfigError(f"target: adapting to another domain is for {', '.join(LABELS)} yet, and {job.data} is "
                          f"data for {source.task}. Leave target out, and label some images of the new domain.")
    if job.slices:
        raise ConfigError("target: what adapts sees whole pictures yet, not slices. Leave one of them out.")
    if job.folds:
        raise ConfigError("target: has one model to adapt, and folds make several. Leave one of them out.")
    dataset, known = read_target(job, "target", source)
    dataset, unreadable = readable(dataset, job, "target")
    notes = [*dataset.notes, *unreadable]
    proof = None
    if known:
        proof, told = in_classes_of(source, dataset, job, "target")
        notes += told
    held = _held_out(dataset)
    if held:
        images = [row for row, sample in enumerate(dataset.samples) if sample.split != held]
        notes.append(f"target: its {held} part proves the result, and is not adapted to")
        proof = replace(proof, samples=tuple(s for s in proof.samples if s.split == held)) if proof else None
    else:
        images = list(range(len(dataset)))
    unlabelled = _shuffled(Dataset(
        tuple(replace(dataset.samples[row], label=None, mask=None, objects=None, annotated=None, split=None, weight=1.0)
              for row in images),
        source.classes, source.task, dataset.format, dataset.root))
    if len(unlabelled) < LEAST:
        raise DataError(f"{job.target}: holds {counted(len(unlabelled), 'image')} to adapt to; {LEAST} are the least "
                        "that say something of a domain.")
    for note in notes:
        listen(Note(note))
    for note in _shared(unlabelled, splits):
        notes.append(note)
        listen(Note(note, "warning"))
    return Target(unlabelled, proof if proof is not None and len(proof) else None, tuple(notes))


def read_target(job: Job, key: str, source: Dataset) -> tuple[Dataset, bool]:
    """Return images of the target's domain, and whether they have labels: those of one folder have none.

    key: the setting that names them, `target`, or `target_train`, which must have labels. source: whose task it is.
    """
    where, labelled = getattr(job, key), key == TRAIN
    path = os.path.expanduser(where)
    if not Path(path).exists():
        raise ConfigError(f"{key} {where}: no such file or folder.")
    nested = job.target_format == IMAGES
    if nested and not Path(path).is_dir():
        raise ConfigError(f"{key} {where}: target_format={IMAGES} takes the images below a folder, and this is a file. "
                          "Give the folder that holds the images.")
    format = None if nested else job.target_format
    told = format is not None or job.target_reader or labelled
    alone = None if told else images_alone(path, nested=nested)
    if alone is not None:
        notes = [f"{key} {note}" for note in alone.notes]
        folder = alone.samples[0].id.rpartition("/")[0].rpartition("/")[2]
        if matched(source.classes, (folder,)):
            notes.append(f"{key}: the folder {folder} has the name of a class; to take it for the label of its images, "
                         "say --set target_format=class_folders")
        return replace(alone, task=source.task, notes=tuple(notes)), False
    try:
        # What the numbers of masks, or of classes of boxes, mean is seldom written beside new ones.
        alike = source.whole and not job.target_reader and (format or format_of(path, source.task)) == source.format
        dataset = read_data(path, format=format, settings=job.reader if alike else job.target_reader,
                            task=source.task, skip_bad=job.skip_bad)
    except (ConfigError, DataError) as error:
        said = str(error).replace("--set reader.", "--set target_reader.").replace("--format ", "--set target_format=")
        said = said.replace("(--format)", "(--set target_format=)")
        folder = "" if nested or not Path(path).is_dir() else f", or say --set target_format={IMAGES}"
        marks = _marks(path) if format is None else []
        said += f"\n  What lies there looks like {' or '.join(marks)}." if marks else ""
        advice = ("" if labelled else "\n  Where the target has no labels, or none that are to be used, give a folder "
                  f"that holds the images alone{folder}.")
        raise type(error)(f"{key}{'' if str(where) in said else f' {where}'}: {said}{advice}") from None
    return replace(dataset, notes=tuple(f"{key} {note}" for note in dataset.notes)), True


def _marks(path: str) -> list[str]:
    """Return the formats of the labels that a folder holds, which may lie beside the images in the very same folder."""
    readers: Catalog[Reader] = Catalog("readers", Reader)  # type: ignore[type-abstract]
    return [name for name, part in readers.all().items()
            if not (part.any_folder and "classification" in part.tasks) and part.claims(path)]


def images_alone(path: str, *, nested: bool = False) -> Dataset | None:
    """Return the images of a folder in which they all lie in one place, without labels; None for any other data.

    nested: they may lie in several, and whatever lies beside them is no label.
    """
    if not Path(path).is_dir():
        return None
    tree = walk(Path(path))
    places = len({parts[:-1] for parts in tree.images})
    if not places or (not nested and (places > 1 or _marks(path))):
        return None
    samples = tuple(Sample(shown(parts), tree.root.joinpath(*parts), None) for parts in tree.images)
    note = f"{path}: {counted(len(samples), 'image')} without labels, in {'one folder' if places == 1 else 'folders'}"
    return Dataset(samples, (), "classification", "folder", tree.root, (note,), tuple(tree.ignored))


def readable(dataset: Dataset, job: Job, key: str) -> tuple[Dataset, list[str]]:
    """Return the images that decode. Raises DataError naming the others, unless the job leaves them out."""
    kept, bad = decodable(dataset, key)
    if bad and not job.skip_bad:
        raise DataError(f"{len(bad)} of {len(dataset)} images of {key} can't be read:\n{listed(bad)}\n"
                        "  Mend or replace them, or leave them out with --skip-bad.")
    return kept, [f"{key}: {counted(len(bad), 'unreadable image')} left out (--skip-bad)"] if bad else []


def in_classes_of(source: Dataset, target: Dataset, job: Job, key: str) -> tuple[Dataset, list[str]]:
    """Return the images of the shared classes, labelled as in the source, and how the sets of classes differ."""
    require_objects(target, f"{key} {getattr(job, key)}", f"For images alone, say --set target_format={IMAGES}.")
    place = {its: mine for mine, its in matched(source.classes, target.classes)}
    if not place:
        advice = "." if key == TRAIN else f"; for images without labels, say --set target_format={IMAGES}."
        raise ConfigError(f"{key} {getattr(job, key)}: none of its classes ({_some(target.classes)}) is one of "
                          f"{job.data} ({_some(source.classes)}). Give both the same names{advice}")
    labels = LABELS[source.task]
    kept = labels.relabelled(target, place)
    strange = [name for label, name in enumerate(target.classes) if label not in place]
    absent = [name for label, name in enumerate(source.classes) if label not in place.values()]
    renamed = [f"{target.classes[its]} as {source.classes[mine]}" for its, mine in sorted(place.items())
               if target.classes[its] != source.classes[mine]]
    notes = [f"{key}: {len(place)} of {len(source.classes)} classes are shared, by name"
             + (f" ({_some(renamed)})" if renamed else "")]
    if absent:
        notes.append(f"{key}: a partial set of classes: it does not have {_some(absent)}")
    if strange:
        are = "is" if len(strange) == 1 else "are"
        theirs = labels.strange.format(len(target) - len(kept))
        fate = ("left out" if key == TRAIN else "adapted to like the others, since no label is looked at, and left out "
                f"of the proof, where {labels.wrong}")
        notes.append(f"{key}: an open set of classes: {_some(strange)} {are} not known to the source. Their {theirs} "
                     f"are {fate}")
    proof = Dataset(kept, source.classes, source.task, target.format, target.root)
    return proof, notes


def _relabelled_images(target: Dataset, place: dict[int, int]) -> tuple[Sample, ...]:
    """Return the samples of the source's classes."""
    return tuple(replace(sample, label=place[sample.label]) for sample in target.samples
                 if sample.label in place)  # type: ignore[index]


def _relabelled_pixels(target: Dataset, place: dict[int, int]) -> tuple[Sample, ...]:
    """Return the samples with masks of the source's classes, in which a strange class is of none.

    Reads every mask, so that no proof ends in one that can't be read. Raises DataError naming all of them.
    """
    masks = [sample.mask for sample in target.samples if sample.mask is not None]
    assert len(masks) == len(target), "every image of such data has a mask"
    kept, broken = [], []
    for sample, mask in zip(target.samples, relabelled(masks, dict.fromkeys(range(len(target.classes)), IGNORED)
                                                       | place), strict=True):
        try:
            found = np.flatnonzero(class_counts(pixel_classes(mask), IGNORED))
        except (BadMask, ImageError) as error:
            broken.append(f"{sample.id}: {error}")
            continue
        kept.append(replace(sample, mask=mask, label=tuple(found.tolist())))
    if broken:
        raise DataError(f"{len(broken)} of {len(target)} masks of the target can't be used:\n{listed(broken)}\n"
                        "  Mend them, or give the images alone in a folder.")
    return tuple(kept)


def _relabelled_objects(target: Dataset, place: dict[int, int]) -> tuple[Sample, ...]:
    """Return the samples with the objects of the source's classes; strange ones are none."""
    kept = []
    for sample in target.samples:
        objects = tuple(replace(one, label=place[one.label]) for one in sample.objects or () if one.label in place)
        kept.append(replace(sample, objects=objects, label=tuple(sorted({one.label for one in objects}))))
    return tuple(kept)


class _Labels(NamedTuple):
    """How labels of a task become the source's, and what is said of those of a class that is strange to it."""

    relabelled: Callable[[Dataset, dict[int, int]], tuple[Sample, ...]]
    strange: str
    wrong: str


LABELS = {"classification": _Labels(_relabelled_images, "{} images", "every answer would be wrong"),
          "semantic": _Labels(_relabelled_pixels, "pixels", "every answer would be wrong"),
          "detection": _Labels(_relabelled_objects, "boxes", "an answer there is wrong")}
"""By the tasks that can be adapted to another domain."""


def _held_out(dataset: Dataset) -> str | None:
    """Return the split that proves the result, where the target came with one."""
    given = {sample.split for sample in dataset.samples}
    return next((name for name in ("test", "val") if name in given and len(given) > 1), None)


def _shuffled(target: Dataset) -> Dataset:
    """Return the images in the order of their hashes: that of a reader goes by classes, and would tell the labels."""
    return target.subset(sorted(range(len(target)), key=content_hashes(target).__getitem__))


def _shared(target: Dataset, splits: Splits) -> list[str]:
    """Return a warning where images of the target are among those that the source teaches."""
    count = overlap(splits.train, target)
    return [f"target: {count} of its {len(target)} images are in the source's train part too, byte for byte: there is "
            "nothing to adapt there, and the proof flatters"] if count else []


def _some(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names[:8]) + (f", ... {len(names)} in all" if len(names) > 8 else "")
