"""Folds: all images but the test split, divided into parts each of which validates once; never through a group."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from headstart.data.dataset import Dataset, Splits
from headstart.data.splits import connected, deal
from headstart.errors import DataError, listed


def pooled(splits: Splits) -> Dataset:
    """Return the images that are not held out: train, then validation."""
    return replace(splits.train, samples=(*splits.train.samples, *splits.val.samples))


def folds(splits: Splits, k: int, *, seed: int) -> list[Splits]:
    """Return k splits of the images that are not in `splits.test`; each image is in `val` of exactly one of them.

    Every class is spread evenly: where no group holds several images, its numbers in two folds differ by 1 at most.
    The test split of each is empty: what is fitted on a fold can't see the images that prove the result.
    The fold of an image depends on ids, groups, labels and the seed, never on the order of the samples.
    Raises DataError where there are too few images or groups, of every class or in all, for k folds.
    """
    pool = pooled(splits)
    groups = connected(pool.samples)
    holders = _holders(pool, groups)
    _refuse(pool, groups, holders, k)
    dealt = deal(pool.samples, groups, dict.fromkeys(range(k), 1 / k), seed=seed, kind="fold")
    found = []
    for fold in range(k):
        train, val = (pool.subset([i for i, other in enumerate(dealt) if (other == fold) == inside])
                      for inside in (False, True))
        found.append(Splits(train, val, pool.subset([]), tuple(_notes(pool, groups, holders, k, seed)),
                            held_back=splits.images - len(pool)))
    _refuse_one_class(found)
    return found


def _holders(pool: Dataset, groups: Sequence[str]) -> dict[int, set[str]]:
    """Return the groups in which each class occurs."""
    found: dict[int, set[str]] = defaultdict(set)
    for sample, group in zip(pool.samples, groups, strict=True):
        for label in sample.label if isinstance(sample.label, tuple) else (sample.label,):
            if label is not None:
                found[label].add(group)
    return found


def _refuse(pool: Dataset, groups: Sequence[str], holders: dict[int, set[str]], k: int) -> None:
    advice = "Choose fewer --folds, or add images."
    count = len(set(groups))
    together = f" in {count} groups that stay together" if count < len(pool) else ""
    if count < k:
        raise DataError(f"{k} folds need {k} images, in as many groups; outside the test split there are "
                        f"{len(pool)}{together}. {advice}")
    most = max(map(len, holders.values()), default=0)
    if most < k:
        raise DataError(f"{k} folds, but no class is in {k} images of different groups: outside the test split the "
                        f"largest has {most}, so that no fold could measure every class. {advice}")


def _refuse_one_class(found: Sequence[Splits]) -> None:
    """Raise DataError where a fold would leave one class only to learn from."""
    for number, part in enumerate(found, start=1):
        if not part.train.several and len({sample.label for sample in part.train.samples}) < 2:
            kept = {sample.label for sample in part.train.samples}
            gone = sorted({part.val.classes[int(s.label)] for s in part.val.samples  # type: ignore[arg-type]
                           if s.label not in kept})
            raise DataError(f"fold {number} of {len(found)} would hold every image of {', '.join(gone)}, and train "
                            "one class only: all of them are in one group. Add images of other groups.")


def _notes(pool: Dataset, groups: Sequence[str], holders: dict[int, set[str]], k: int, seed: int) -> list[str]:
    together = sum(count > 1 for count in Counter(groups).values())
    notes = [f"folds: the {len(pool)} images outside the test split are divided into {k}, by class, seed {seed}"
             + (f"; {together} groups of images kept together" if together else "")]
    thin = [f"{pool.classes[label]}: {len(found)}" for label, found in sorted(holders.items()) if len(found) < k]
    if thin:
        notes.append(f"{len(thin)} classes have fewer images or groups than there are folds, and are missing in some; "
                     f"a class in one group only is never known to the model that is asked for it:\n"
                     f"{listed(thin, shown=20)}")
    return notes
