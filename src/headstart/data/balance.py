"""Balance: what the check says of the classes: how many, how many images each, and in which splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headstart.data.dataset import Dataset
from headstart.data.findings import Finding, counted
from headstart.types import Sample, SplitName

FEW = 5
"""Fewer images of a class than this can't fill train, val and test."""
UNBALANCED = 10
"""Largest over smallest class from which accuracy misleads."""
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


def counts_by_split(dataset: Dataset, samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    """Return images by class name, in the order of the classes, for each split; `all` where none was given."""
    counts: dict[str, Counter[int]] = {}
    for sample in samples:
        counts.setdefault(sample.split or "all", Counter()).update(labels_of(sample))
    order = [name for name in ("all", *SPLITS) if name in counts]
    return {name: {title: counts[name][label] for label, title in enumerate(dataset.classes)} for name in order}


def labels_of(sample: Sample) -> tuple[int, ...]:
    """Return the class indices of a sample: none where unlabelled, several for multi-label."""
    return () if sample.label is None else (sample.label,) if isinstance(sample.label, int) else sample.label


def class_findings(dataset: Dataset, samples: Sequence[Sample]) -> list[Finding]:
    """Return the findings on the classes. samples: the readable ones."""
    by_split = counts_by_split(dataset, samples)
    total = {title: sum(counts[title] for counts in by_split.values()) for title in dataset.classes}
    return [*_number(dataset, total), *_unlabelled(dataset, samples), *_missing(by_split, total), *_few(total),
            *_balance(total, marked=dataset.whole)]


def _number(dataset: Dataset, total: dict[str, int]) -> list[Finding]:
    found = [title for title, count in total.items() if count]
    needed = 1 if dataset.several else 2
    if len(found) < needed:
        return [Finding(kind="single_class", level="error", items=tuple(found), count=len(found),
                        text=f"{dataset.task} needs at least {needed} classes with images, found: {found}.",
                        advice="Add images of another class; class folders need a folder for each class.")]
    return []


def _unlabelled(dataset: Dataset, samples: Sequence[Sample]) -> list[Finding]:
    # An image of a multi-label set may well show none of the classes.
    lost = [sample.id for sample in samples if sample.label is None]
    if not lost:
        return []
    return [Finding(kind="unlabelled", level="error", items=tuple(lost), count=len(lost),
                    text=f"{len(lost)} of {len(samples)} images have no label.",
                    advice="Label them, or take them out of the data.")]


def _missing(by_split: dict[str, dict[str, int]], total: dict[str, int]) -> list[Finding]:
    empty = [f"{title}: no readable image at all" for title, count in total.items() if not count]
    untaught, untested = [], []
    train = by_split.get("train")
    for name in ("val", "test"):
        if train is None or name not in by_split:
            continue
        for title, count in by_split[name].items():
            if count and not train[title]:
                untaught.append(f"{title}: {count} in {name}, none in train")
            if train[title] and not count:
                untested.append(f"{title}: {train[title]} in train, none in {name}")
    findings = []
    if empty or untaught:
        problems = (*empty, *untaught)
        findings.append(Finding(
            kind="class_missing", level="error", items=problems, count=len(problems),
            text="Some classes have no image to learn from.",
            advice="Check the names of the classes in each split (spelling, case), or add images, or take the class "
                   "out."))
    if untested:
        findings.append(Finding(
            kind="class_untested", level="warning", items=tuple(untested), count=len(untested),
            text="Some classes are trained but never measured; their metrics will be empty.",
            advice="Add images of them to val and test, or let Headstart make the splits."))
    return findings


def _few(total: dict[str, int]) -> list[Finding]:
    single = [title for title, count in total.items() if count == 1]
    few = [f"{title}: {count}" for title, count in total.items() if 1 < count < FEW]
    findings = []
    if single:
        findings.append(Finding(
            kind="class_single", level="warning", items=tuple(single), count=len(single),
            text=f"{counted(len(single), 'class')} with one image: {', '.join(single[:10])}. Kept for training, so "
                 "that there is nothing to measure on.",
            advice="Add images, or join the class with another."))
    if few:
        findings.append(Finding(
            kind="class_few", level="warning", items=tuple(few), count=len(few),
            text=f"{counted(len(few), 'class')} with fewer than {FEW} images; their metrics will mean little.",
            advice=f"Add images: {FEW} a class are the least, 20 are a start."))
    return findings


def _balance(total: dict[str, int], *, marked: bool) -> list[Finding]:
    present = {title: count for title, count in total.items() if count}
    if len(present) < 2:
        return []
    largest, smallest = max(present, key=lambda t: present[t]), min(present, key=lambda t: present[t])
    ratio = present[largest] / present[smallest]
    items = tuple(f"{title}: {count}" for title, count in total.items())
    text = f"{len(present)} classes of {counted(present[smallest], 'image')} each." if ratio == 1 else (
        f"{len(present)} classes, from {present[smallest]} ({smallest}) to {present[largest]} ({largest}) images; "
        f"{ratio:.1f} to 1.")
    if ratio < UNBALANCED or marked:  # of objects and pixels, what their own finding says is what counts
        return [Finding(kind="class_balance", level="ok", text=text, items=items, count=len(present))]
    return [Finding(kind="class_balance", level="warning", text=text, items=items, count=len(present),
                    advice="Read balanced_accuracy and f1_macro: always answering the largest class already gives "
                           f"accuracy {present[largest] / sum(present.values()):.2f}.")]
