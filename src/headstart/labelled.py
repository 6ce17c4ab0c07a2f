"""Labelled: the images of a target's domain whose labels may be learned from, besides those of the source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from headstart.data.dataset import Dataset, Splits
from headstart.data.fingerprint import content_hashes, fingerprint, overlap
from headstart.errors import ConfigError, DataError
from headstart.events import Listen, Note
from headstart.job import Job
from headstart.target import LEAST, TRAIN, Target, in_classes_of, read_target, readable

HEAVIEST = 10.0
"""Times that an image of the target counts at most: a handful must not drown the source."""


@dataclass(frozen=True)
class Labelled:
    """Images that are learned from, and a target in which none of them is left."""

    images: Dataset
    """With labels, as positions among the source's classes, and weights against those of the source's train part."""
    target: Target
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return what data.json says of the images."""
        return {"root": str(self.images.root), "format": self.images.format, "images": len(self.images),
                "fingerprint": fingerprint(self.images), "notes": list(self.notes)}


def open_labelled(job: Job, source: Dataset, splits: Splits, target: Target | None, listen: Listen) -> Labelled | None:
    """Return the labelled images that the job names, or None where it names none. What was inferred is told.

    Raises ConfigError where they have no label, or no class of the source's; DataError for images that can't be read,
    or that judge the source.
    """
    if job.target_train is None:
        if "target_share" in job.changed():
            raise ConfigError("target_share: has no effect without target_train. Leave it out.")
        return None
    if target is None:
        raise ConfigError(f"target_train {job.target_train}: belongs to a target, and none is named. Name its images "
                          "without labels with --target FOLDER.")
    dataset, _ = read_target(job, TRAIN, source)
    dataset, unreadable = readable(dataset, job, TRAIN)
    images, told = in_classes_of(source, dataset, job, TRAIN)
    for name, part in (("val", splits.val), ("test", splits.test)):
        count = overlap(part, images)
        if count:
            raise DataError(f"target_train {job.target_train}: {count} of its {len(images)} images are in the source's "
                            f"{name} part too, byte for byte, which would not judge them any more. Take them out.")
    alike = source.task == "detection"  # BatchNorm in the head of most detectors takes a batch as a whole
    if alike and "target_share" in job.changed():
        raise ConfigError("target_share: has no effect on detection, where all images count alike. Leave it out.")
    images, factor = beside(splits.train, images, None if alike else job.target_share)
    left, gone = _without(target, images)
    twice = overlap(splits.train, images)
    notes = (*dataset.notes, *unreadable, *told,
             f"target_train: {len(images)} labelled images of the target are learned from, each counting {factor:.3g} "
             "times as much as one of the source",
             *([f"target_train: {gone} images of the target are among them, and left out there"] if gone else []),
             *([f"target_train: {twice} of its {len(images)} images are in the source's train part too, byte for byte, "
                "and count twice"] if twice else []))
    for note in notes:
        listen(Note(note))
    if target.proof is not None and left.proof is None:
        listen(Note("target_train: all images that would have proven the result are learned from: nothing is proven "
                    "on the target", "warning"))
    return Labelled(images, left, notes)


def beside(train: Dataset, images: Dataset, share: float | None) -> tuple[Dataset, float]:
    """Return the images as `Splits.labelled` wants them, and what each counts: together they have their share of the
    weight, as far as `HEAVIEST` lets them; None leaves them as heavy as they are."""
    own = float(images.weights().sum())
    if not own:
        raise DataError("every image of target_train has weight 0, so that it says nothing. Mend the weights.")
    factor = 1.0 if share is None else min(HEAVIEST, share / (1 - share) * float(train.weights().sum()) / own)
    samples = tuple(replace(sample, id=f"target_train/{sample.id}", split=None, group=None,
                            weight=sample.weight * factor) for sample in images.samples)
    return replace(images, samples=samples), factor


def _without(target: Target, images: Dataset) -> tuple[Target, int]:
    """Return the target without the images that are learned from, and how many were there: they would flatter the
    proof."""
    known, gone = set(content_hashes(images)), set()

    def rest(part: Dataset) -> Dataset:
        rows = [row for row, content in enumerate(content_hashes(part)) if content not in known]
        gone.update({sample.id for sample in part.samples} - {part.samples[row].id for row in rows})
        return part.subset(rows)

    left = rest(target.images)
    if len(left) < LEAST:
        raise DataError(f"target_train: all but {len(left)} images of the target are among those that are learned "
                        "from. Name others as the target.")
    proof = rest(target.proof) if target.proof is not None else None
    return replace(target, images=left, proof=proof if proof is not None and len(proof) else None), len(gone)
