"""Check: whether a data set can carry a result: one full decode of every image, then a verdict on each item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from headstart.data.balance import class_findings, counts_by_split, labels_of
from headstart.data.box_findings import INPUT_SIZE, box_findings
from headstart.data.boxes import mended
from headstart.data.dataset import Dataset
from headstart.data.duplicates import exact_sets, near_sets, united
from headstart.data.findings import CheckReport, Finding, counted, enforce
from headstart.data.fingerprint import content_hashes
from headstart.data.leaks import conflict_findings, duplicate_findings, leak_findings
from headstart.data.looks import distribution, look_findings
from headstart.data.mask_findings import mask_findings
from headstart.data.measurements import Measured, Measurements, measure_all
from headstart.errors import DataError, listed
from headstart.events import Listen
from headstart.types import Sample

__all__ = ["check", "drop_bad", "enforce"]

MOST_LOST = 0.5
"""Share of a class that may be unreadable before leaving it out would change what the data is."""


Finder = Callable[[Dataset], Sequence[Sequence[str]]]
"""From readable images to sets of ids of those that look the same."""


def check(dataset: Dataset, *, listen: Listen, quick: bool = False, strict: bool = False, alike: Finder | None = None,
          workers: int = 2, input_size: int = INPUT_SIZE, slice_size: int | None = None) -> CheckReport:
    """Return the verdict on each item of the data. Nothing is altered; the outcome does not depend on chance.

    quick: leave out what needs eyes and not a decision (sizes, channels, brightness, extensions).
    strict: any leak between given splits and any image with two labels is an error; otherwise exact copies and
    double labels are one from 1 % of the images on, and near copies never.
    alike: another way than the perceptual hash to find images that look the same, such as by their features. It is
    asked once, for the images that can be read; what both ways find is told once.
    input_size: for detection and segmentation, pixels of the longer side of an image as the model gets it: what is
    small there is told.
    slice_size: pixels of the parts that pictures are cut into before that, if they are.
    """
    measured = measure_all(dataset, listen=listen, workers=workers)
    images = measured.readable
    sizes = {image.sample.id: (image.height, image.width) for image in images}
    # Classes and labels are judged by the boxes that are left, as a run sees them.
    samples = list(mended(replace(dataset, samples=tuple(image.sample for image in images)), sizes).samples)
    exact = exact_sets([image.pixel_hash for image in images])
    by_hash = _near(images, exact)
    others = _positions(samples, alike(replace(dataset, samples=tuple(samples)))) if alike else []
    near = _with_others(by_hash, others, exact, len(images)) if others else by_hash
    exact_ids, near_ids, hash_ids = _ids(images, exact), _ids(images, near), _ids(images, by_hash)
    ways = {"perceptual hash": hash_ids, "features": _ids(images, others)} if alike else {}
    identical = len(exact) and _superfluous_files(dataset, samples)
    findings = [
        _counts(dataset), _unreadable(measured), *class_findings(dataset, samples),
        *(box_findings(dataset, images, input_size=input_size, slice_size=slice_size)
          if dataset.task == "detection" else []),
        *(mask_findings(dataset, images, input_size=input_size, quick=quick) if dataset.task == "semantic" else []),
        *duplicate_findings(samples, exact_ids, near_ids, identical_files=identical, ways=ways),
        *conflict_findings(dataset, samples, exact_ids, near_ids, strict=strict),
        *leak_findings(samples, exact_ids, near_ids, strict=strict), *([] if quick else look_findings(images))]
    return CheckReport(findings=tuple(findings), summary=_summary(dataset, images),
                       unreadable={name: str(error) for name, error in measured.unreadable.items()},
                       exact_sets=exact_ids, near_sets=near_ids, hash_sets=hash_ids, sizes=sizes)


def drop_bad(dataset: Dataset, report: CheckReport) -> Dataset:
    """Return the data without its unreadable images. Raises DataError where more than half of a class would go."""
    kept = [sample for sample in dataset.samples if sample.id not in report.unreadable]
    before = Counter(label for sample in dataset.samples for label in labels_of(sample))
    after = Counter(label for sample in kept for label in labels_of(sample))
    gutted = [f"{dataset.classes[label]}: {count - after[label]} of {count} unreadable"
              for label, count in sorted(before.items()) if count - after[label] > MOST_LOST * count]
    if gutted:
        raise DataError(f"--skip-bad would leave out more than half of {counted(len(gutted), 'class')}:\n"
                        f"{listed(gutted)}\n"
                        "  Mend or replace the files; `headstart check` lists them.")
    lost = len(dataset) - len(kept)
    if not lost:
        return dataset
    note = f"{counted(lost, 'unreadable image')} left out (--skip-bad)"
    return replace(dataset, samples=tuple(kept), notes=(*dataset.notes, note))


def _near(images: Sequence[Measured], exact: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return sets of positions that look the same, exact copies included."""
    copies = {members[0]: members for members in exact}
    hidden = {row for members in exact for row in members[1:]}
    distinct = [row for row in range(len(images)) if row not in hidden]
    if not distinct:
        return []
    sets = near_sets(np.stack([images[row].thumbnail for row in distinct]))
    return [sorted(row for place in members for row in copies.get(distinct[place], [distinct[place]]))
            for members in sets]


def _positions(samples: Sequence[Sample], sets: Sequence[Sequence[str]]) -> list[list[int]]:
    place = {sample.id: row for row, sample in enumerate(samples)}
    return [sorted(place[name] for name in names) for names in sets]


def _with_others(near: Sequence[Sequence[int]], others: Sequence[Sequence[int]], exact: Sequence[Sequence[int]],
                 count: int) -> list[list[int]]:
    """Return the sets of both ways, united where they share an image or have copies of one."""
    alike = {row for members in (*near, *others) for row in members}
    return [members for members in united([*near, *others, *exact], count) if not alike.isdisjoint(members)]


def _ids(images: Sequence[Measured], sets: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(images[row].sample.id for row in members) for members in sets)


def _superfluous_files(dataset: Dataset, samples: Sequence[Sample]) -> int:
    """Return how many readable files have the bytes of an earlier one."""
    return len(samples) - len(set(content_hashes(replace(dataset, samples=tuple(samples)))))


def _counts(dataset: Dataset) -> Finding:
    splits = Counter(sample.split for sample in dataset.samples if sample.split)
    given = ", ".join(f"{name} {count}" for name, count in splits.items())
    left = f" {len(dataset.ignored)} files or folders left aside." if dataset.ignored else ""
    return Finding(kind="counts", level="ok", count=len(dataset), items=dataset.ignored,
                   text=f"{counted(len(dataset), 'image')}, {counted(len(dataset.classes), 'class')}, "
                        + (f"splits as given: {given}." if given else "no splits given.") + left)


def _unreadable(measured: Measurements) -> Finding:
    """Return the verdict on files that can't be decoded, with how many for each reason."""
    errors = list(measured.unreadable.values())
    if not errors:
        return Finding(kind="corrupt", level="ok", text="Every image decodes in full.")
    reasons = ", ".join(f"{reason} {count}" for reason, count in Counter(e.reason for e in errors).most_common())
    return Finding(kind="corrupt", level="error", items=tuple(str(error) for error in errors), count=len(errors),
                   text=f"{len(errors)} of {len(errors) + len(measured.readable)} images can't be read ({reasons}).",
                   advice="Mend or replace the files, or leave them out with "
                          "`--set skip_bad=true` (adapt: `--skip-bad`).")


def _summary(dataset: Dataset, images: Sequence[Measured]) -> dict[str, Any]:
    by_split = counts_by_split(dataset, [image.sample for image in images])
    sizes = Counter(str(image.sample.split or "all") for image in images)
    return {
        "images": len(dataset), "readable": len(images), "classes": len(dataset.classes), "task": dataset.task,
        "format": dataset.format,
        "splits": {name: {"count": sizes[name], "per_class": counts} for name, counts in by_split.items()},
        "width": distribution([image.width for image in images]),
        "height": distribution([image.height for image in images]),
        "modes": dict(Counter(image.info.mode for image in images).most_common()),
        "formats": dict(Counter(image.info.format for image in images).most_common())}
