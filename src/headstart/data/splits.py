"""Splits: train, validation and test, seeded, stratified by class, never through a group."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from headstart.data.dataset import Dataset, Splits
from headstart.data.findings import counted
from headstart.errors import ConfigError, DataError, listed
from headstart.seeds import derive
from headstart.types import Sample, SplitName

NAMES: Mapping[str, SplitName] = {
    "train": "train", "training": "train", "trn": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test", "tst": "test", "eval": "test"}
ORDER: tuple[SplitName, ...] = ("train", "test", "val")
"""Which part gets a class first that has too few images for all."""
Part = TypeVar("Part", bound=Hashable)


def as_split(name: str) -> SplitName | None:
    """Return the split that a folder or a value names, in any case, or None."""
    return NAMES.get(name.strip().lower())


def split(dataset: Dataset, *, seed: int, val: float = 0.2, test: float = 0.2,
          by: Sequence[str] | None = None) -> Splits:
    """Return train, validation and test, which share no group.

    Given splits are kept; what is missing is carved out of train. With train and val only, the val that came with
    the data becomes the test split, so that nothing is selected on the data that prove the result.
    val, test: shares of the images, in 0..1, of the whole or of the train that they are carved from.
    by: one more group key for each sample, such as a content hash; groups that share a sample are one group.
    The part of a sample depends on ids, groups, labels and the seed, never on the order of the samples.
    Raises ConfigError for impossible shares, DataError for data that can't fill three parts.
    """
    if not (0 < val < 1 and 0 < test < 1 and val + test < 1):
        raise ConfigError(f"val={val} and test={test} must lie between 0 and 1, and leave something to train on")
    given = {sample.split for sample in dataset.samples}
    if None in given and len(given) > 1:
        count = sum(sample.split is None for sample in dataset.samples)
        raise DataError(f"{count} of {len(dataset)} images have no split while others have. Give one to each or none.")
    if None not in given and "train" not in given:
        raise DataError(f"the data come with {' and '.join(sorted(map(str, given)))} but no train split. "
                        "Name the images to learn from `train`.")
    groups = connected(dataset.samples, by)
    parts, notes = _parts(dataset, given, groups, {"val": val, "test": test}, seed)
    _require_filled(dataset, parts, groups)
    notes += _thin_classes(dataset, parts)
    places = {name: [i for i, part in enumerate(parts) if part == name] for name in ORDER}
    return Splits(dataset.subset(places["train"]), dataset.subset(places["val"]), dataset.subset(places["test"]),
                  tuple(notes))


def _parts(dataset: Dataset, given: set[SplitName | None], groups: list[str], shares: dict[SplitName, float],
           seed: int) -> tuple[list[SplitName], list[str]]:
    """Return the part of each sample, and how it was found in words."""
    parts: list[SplitName] = [sample.split or "train" for sample in dataset.samples]
    if given == {"train", "val", "test"}:
        return parts, ["splits: train, val and test as given"]
    notes = []
    if given == {"train", "val"}:
        parts = ["test" if part == "val" else part for part in parts]
        notes.append("the given val is held out as the test split and a new val is carved from train, so that nothing "
                     "is selected on the data that prove the result")
    wanted = {name: share for name, share in shares.items() if name not in parts}
    pool = [i for i, part in enumerate(parts) if part == "train"]
    share = {"train": 1 - sum(wanted.values()), **wanted}
    carved = deal([dataset.samples[i] for i in pool], [groups[i] for i in pool],
                  {name: share[name] for name in ORDER if name in share}, seed=seed, kind="split", cover=ORDER)
    for i, part in zip(pool, carved, strict=True):
        parts[i] = part
    kept = Counter(groups[i] for i in pool)
    together = sum(count > 1 for count in kept.values())
    source = "train" if None not in given else "the images"
    shown = " and ".join(f"{share:.0%} {name}" for name, share in wanted.items())
    notes.append(f"splits: {shown} carved from {source}, by class, seed {seed}"
                 + (f"; {together} groups of images kept together" if together else ""))
    return parts, notes


def connected(samples: Sequence[Sample], by: Sequence[str] | None = None) -> list[str]:
    """Return one group name for each sample: the least id of all that its group and key connect it with."""
    if by is not None and len(by) != len(samples):
        raise ConfigError(f"by: needs one key for each of the {len(samples)} samples, got {len(by)}")
    parent = list(range(len(samples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str], int] = {}
    for i, sample in enumerate(samples):
        keys = [("group", sample.group)] if sample.group is not None else []
        for key in keys + ([("by", by[i])] if by is not None else []):
            parent[root(i)] = root(first.setdefault(key, i))
    least: dict[int, str] = {}
    for i, sample in enumerate(samples):
        least[root(i)] = min(least.get(root(i), sample.id), sample.id)
    return [least[root(i)] for i in range(len(samples))]


@dataclass(frozen=True)
class _Unit:
    """Samples that stay together: their number, and how often each class occurs among them."""

    name: str
    size: int
    labels: Mapping[int, int]


def deal(samples: Sequence[Sample], groups: Sequence[str], shares: Mapping[Part, float], *, seed: int, kind: str,
         cover: Sequence[Part] = ()) -> list[Part]:
    """Return a part for each sample so that every class is spread by `shares`, whose sum is 1.

    kind: what the parts are for; another word deals in another order.
    cover: the parts that a class must be in, the most important first, where it has too few groups for all.
    Units are dealt rarest class first, each to the part that has least of its classes for its share. For single
    images of one class this is the apportionment of Webster and Sainte-Laguë; for several labels it is the idea of
    Sechidis et al., "On the Stratification of Multi-Label Data", ECML 2011.
    """
    units = _units(samples, groups)
    holders = Counter(label for unit in units for label in unit.labels)
    totals: Counter[int] = Counter()
    for unit in units:
        totals.update(unit.labels)
    have: dict[Part, Counter[int]] = {part: Counter() for part in shares}
    sizes: Counter[Part] = Counter()
    left = Counter(holders)
    chosen: dict[str, Part] = {}
    for unit in sorted(units, key=lambda u: (min((holders[c] for c in u.labels), default=math.inf), -u.size,
                                             derive(seed, f"{kind}:{u.name}"), u.name)):
        def cost(part: Part, unit: _Unit = unit) -> tuple[float, float]:
            per_class = sum(n * (2 * have[part][c] + n) / (totals[c] * shares[part]) for c, n in unit.labels.items())
            return round(per_class, 9), (2 * sizes[part] + unit.size) / shares[part]

        part = chosen[unit.name] = min(_uncovered(unit, have, left, cover) or have, key=cost)
        have[part].update(unit.labels)
        sizes[part] += unit.size
        left.subtract(unit.labels.keys())
    return [chosen[group] for group in groups]


def _units(samples: Sequence[Sample], groups: Sequence[str]) -> list[_Unit]:
    sizes, labels = Counter(groups), defaultdict[str, Counter[int]](Counter)
    for sample, group in zip(samples, groups, strict=True):
        found = sample.label if isinstance(sample.label, tuple) else (sample.label,)
        labels[group].update(label for label in found if label is not None)
    return [_Unit(name, size, labels[name]) for name, size in sizes.items()]


def _uncovered(unit: _Unit, have: Mapping[Part, Counter[int]], left: Mapping[int, int],
               cover: Sequence[Part]) -> list[Part]:
    """Return the one part that must get the unit because its class would else be missing there, or nothing."""
    for label in sorted(unit.labels, key=lambda c: (left[c], c)):
        missing = [part for part in cover if part in have and not have[part][label]]
        if missing and left[label] <= len(missing):
            return missing[:1]
    return []


def _require_filled(dataset: Dataset, parts: Sequence[SplitName], groups: Sequence[str]) -> None:
    """Raise DataError where a part would be empty, or train would have but one class."""
    counts = Counter(parts)
    trained = {sample.label for sample, part in zip(dataset.samples, parts, strict=True) if part == "train"}
    empty = [name for name in ("train", "val", "test") if not counts[name]]
    if empty or (not dataset.several and len(trained) < 2):
        why = f"no image is left for {' and '.join(empty)}" if empty else "train would hold one class only"
        grouped = len(set(groups))
        among = "" if grouped == len(dataset) else f" in {counted(grouped, 'group')}"
        raise DataError(f"{counted(len(dataset), 'image')}{among} are too few for train, val and test: "
                        f"{why}. Add images (three of a class, in three groups, at least), or give the splits.")


def _thin_classes(dataset: Dataset, parts: Sequence[SplitName]) -> list[str]:
    """Name the classes that are missing in a part: their metrics there are undefined."""
    where: dict[int, set[str]] = defaultdict(set)
    for sample, part in zip(dataset.samples, parts, strict=True):
        for label in sample.label if isinstance(sample.label, tuple) else (sample.label,):
            if label is not None:
                where[label].add(part)
    lacking = [f"{dataset.classes[label]}: not in {' or '.join(n for n in ('train', 'val', 'test') if n not in found)}"
               for label, found in sorted(where.items()) if len(found) < 3]
    return [f"{len(lacking)} classes have too few images or groups for all three parts; what is missing there can't "
            f"be measured:\n{listed(lacking, shown=20)}"] if lacking else []
