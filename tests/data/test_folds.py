from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.dataset import Dataset, Splits
from headstart.data.folds import folds
from headstart.errors import DataError
from headstart.types import Sample


def splits(labels: list[int] | list[tuple[int, ...]], *, groups: list[str | None] | None = None,
           test: int = 0) -> Splits:
    """The last `test` samples are held out; of the others every third is in val."""
    samples = tuple(Sample(f"{i}.png", Path(f"{i}.png"), label, None, groups[i] if groups else None)
                    for i, label in enumerate(labels))
    several = bool(labels) and isinstance(labels[0], tuple)
    data = Dataset(samples, tuple("abcdefghij"), "multilabel" if several else "classification", "table")
    pool = range(len(labels) - test)
    return Splits(data.subset([i for i in pool if i % 3]), data.subset([i for i in pool if not i % 3]),
                  data.subset(range(len(pool), len(labels))))


def where(found: list[Splits]) -> dict[str, int]:
    return {sample.id: fold for fold, part in enumerate(found) for sample in part.val.samples}


def per_fold(found: list[Splits]) -> dict[int, list[int]]:
    """Return how often each class is in the val of each fold."""
    counts = [Counter(sample.label for sample in part.val.samples) for part in found]
    return {label: [count[label] for count in counts] for label in set().union(*counts)}


@settings(max_examples=80, deadline=None)
@given(counts=st.lists(st.integers(2, 30), min_size=2, max_size=6), k=st.integers(2, 9), seed=st.integers(0, 2**32))
def test_every_image_validates_once_and_every_class_is_spread_evenly(counts: list[int], k: int, seed: int) -> None:
    given_splits = splits([label for label, count in enumerate((*counts, 11)) for _ in range(count)])
    found = folds(given_splits, k, seed=seed)
    pool = {s.id for s in (*given_splits.train.samples, *given_splits.val.samples)}
    assert sorted(s.id for part in found for s in part.val.samples) == sorted(pool)
    for part in found:
        assert {s.id for s in part.train.samples} == pool - {s.id for s in part.val.samples}
    assert all(max(counts) - min(counts) <= 1 for counts in per_fold(found).values())


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 7)), min_size=2, max_size=30), k=st.integers(2, 6),
       seed=st.integers(0, 99))
def test_no_group_is_divided_and_classes_differ_by_no_more_than_a_group(sizes: list[tuple[int, int]], k: int,
                                                                        seed: int) -> None:
    sizes += [(label, 1) for label in (0, 1) for _ in range(k)]
    labels = [label for label, size in sizes for _ in range(size)]
    groups = [f"g{number}" for number, (_, size) in enumerate(sizes) for _ in range(size)]
    found = folds(splits(labels, groups=groups), k, seed=seed)
    held = [{sample.group for sample in part.val.samples} for part in found]
    assert sum(map(len, held)) == len(set().union(*held)) == len(sizes)
    assert all(held)
    for label, counts in per_fold(found).items():
        assert max(counts) - min(counts) <= max(size for other, size in sizes if other == label)


@settings(max_examples=30, deadline=None)
@given(members=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 14)), min_size=40, max_size=120),
       k=st.integers(2, 6))
def test_groups_of_several_classes_stay_together_and_no_fold_is_empty(members: list[tuple[int, int]], k: int) -> None:
    members += [(label, 20 + 6 * label + i) for label in range(3) for i in range(6)]
    found = folds(splits([label for label, _ in members], groups=[f"patient {group}" for _, group in members]), k,
                  seed=0)
    held = [{sample.group for sample in part.val.samples} for part in found]
    assert sum(map(len, held)) == len(set().union(*held))
    assert all(held)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(40)), st.integers(0, 40))
def test_order_and_earlier_place_of_the_images_do_not_matter(order: list[int], cut: int) -> None:
    whole = splits([i % 3 for i in range(40)], groups=[f"g{i // 2}" if i < 20 else None for i in range(40)])
    samples = (*whole.train.samples, *whole.val.samples)
    data = Dataset(samples, whole.train.classes, "classification", "table").subset(order)
    other = Splits(data.subset(range(cut)), data.subset(range(cut, 40)), data.subset([]))
    assert where(folds(other, 4, seed=5)) == where(folds(whole, 4, seed=5))


def test_the_seed_decides() -> None:
    parts = splits([0, 1] * 50)
    assert where(folds(parts, 5, seed=0)) == where(folds(parts, 5, seed=0))
    assert where(folds(parts, 5, seed=0)) != where(folds(parts, 5, seed=1))


def test_labels_are_spread_for_multilabel_data() -> None:
    parts = splits([tuple(k for k in range(4) if (i * 7 + k * 3) % (k + 3) == 0) for i in range(200)])
    found = folds(parts, 5, seed=0)
    counts = [part.val.labels().sum(axis=0)[:4] for part in found]
    totals = sum(counts)
    for count in counts:
        assert (abs(count - totals / 5) <= 0.05 * totals + 2).all()


def test_no_fold_holds_a_test_image() -> None:
    parts = splits([0, 1] * 30, test=12)
    held_out = {sample.id for sample in parts.test.samples}
    for part in folds(parts, 4, seed=0):
        assert not held_out & {sample.id for _, side in part.items() for sample in side.samples}
        assert len(part.test) == 0


def test_what_was_done_is_said() -> None:
    notes = folds(splits([0, 1] * 10 + [2, 2], groups=[f"g{i // 2}" for i in range(22)]), 4, seed=3)[0].notes
    assert notes[0] == ("folds: the 22 images outside the test split are divided into 4, by class, seed 3; "
                        "11 groups of images kept together")
    assert "1 classes have fewer images or groups than there are folds" in notes[1]
    assert "c: 1" in notes[1]


def test_too_few_images_or_groups_are_refused() -> None:
    with pytest.raises(DataError, match=r"5 folds need 5 images, in as many groups; outside the test split there are "
                                        r"4\. Choose fewer --folds, or add images\."):
        folds(splits([0, 1] * 3, test=2), 5, seed=0)
    with pytest.raises(DataError, match="there are 20 in 2 groups that stay together"):
        folds(splits([0, 1] * 10, groups=["a", "b"] * 10), 3, seed=0)


def test_more_folds_than_the_largest_class_has_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"5 folds, but no class is in 5 images.* the largest has 4, so that no fold"):
        folds(splits([0, 1, 2] * 4), 5, seed=0)


def test_a_fold_that_would_learn_one_class_only_is_refused() -> None:
    groups = [f"g{i}" for i in range(12)] + ["same"] * 3
    with pytest.raises(DataError, match=r"fold \d of 3 would hold every image of b, and train one class only"):
        folds(splits([0] * 12 + [1] * 3, groups=groups), 3, seed=0)
