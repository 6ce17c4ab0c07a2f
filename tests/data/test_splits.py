from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.dataset import Dataset, Splits
from headstart.data.splits import as_split, split
from headstart.errors import ConfigError, DataError
from headstart.types import Sample


def dataset(labels: list[int] | list[tuple[int, ...]], *, groups: list[str | None] | None = None,
            splits: list[str] | None = None) -> Dataset:
    samples = tuple(Sample(f"{i}.png", Path(f"{i}.png"), label, splits[i] if splits else None,  # type: ignore[arg-type]
                           groups[i] if groups else None) for i, label in enumerate(labels))
    several = bool(labels) and isinstance(labels[0], tuple)
    return Dataset(samples, tuple("abcdefghij"), "multilabel" if several else "classification", "table")


def where(parts: Splits) -> dict[str, str]:
    return {sample.id: name for name, part in parts.items() for sample in part.samples}


def sizes(parts: Splits) -> tuple[int, int, int]:
    return len(parts.train), len(parts.val), len(parts.test)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=6), seed=st.integers(0, 2**32))
def test_every_class_is_spread_by_the_shares(counts: list[int], seed: int) -> None:
    data = dataset([label for label, count in enumerate((*counts, 9, 9)) for _ in range(count)])
    parts = split(data, seed=seed)
    assert sorted(where(parts)) == sorted(sample.id for sample in data.samples)
    for label, count in enumerate((*counts, 9, 9)):
        found = [Counter(part.labels())[label] for _, part in parts.items()]
        assert sum(found) == count
        if count == 1:
            assert found == [1, 0, 0]
        elif count == 2:
            assert found == [1, 0, 1]
        else:
            assert min(found) >= 1
            assert all(abs(n - count * share) <= 1 for n, share in zip(found, (0.6, 0.2, 0.2), strict=True))


@settings(max_examples=40, deadline=None)
@given(members=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 14)), min_size=40, max_size=120),
       seed=st.integers(0, 99))
def test_no_group_is_in_two_parts(members: list[tuple[int, int]], seed: int) -> None:
    members += [(label, 20 + 3 * label + i) for label in range(3) for i in range(3)]
    data = dataset([label for label, _ in members], groups=[f"patient {group}" for _, group in members])
    parts = [{sample.group for sample in part.samples} for _, part in split(data, seed=seed).items()]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_grouped_splits_keep_the_shares_where_they_can() -> None:
    data = dataset([i % 2 for i in range(300)], groups=[f"g{i // 6}" for i in range(300)])
    found = sizes(split(data, seed=1))
    assert all(abs(size - wanted) <= 12 for size, wanted in zip(found, (180, 60, 60), strict=True))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(40)))
def test_order_of_the_samples_does_not_matter(order: list[int]) -> None:
    data = dataset([i % 3 for i in range(40)], groups=[f"g{i // 2}" if i < 20 else None for i in range(40)])
    assert where(split(data.subset(order), seed=5)) == where(split(data, seed=5))


def test_the_seed_decides() -> None:
    data = dataset([0, 1] * 50)
    assert where(split(data, seed=0)) == where(split(data, seed=0))
    assert where(split(data, seed=0)) != where(split(data, seed=1))


def test_labels_are_spread_for_multilabel_data() -> None:
    data = dataset([tuple(k for k in range(4) if (i * 7 + k * 3) % (k + 3) == 0) for i in range(200)])
    parts = split(data, seed=0)
    totals = data.labels().sum(axis=0)
    for (_, part), share in zip(parts.items(), (0.6, 0.2, 0.2), strict=True):
        assert (abs(part.labels().sum(axis=0)[:4] - share * totals[:4]) <= 0.05 * totals[:4] + 2).all()
        assert abs(len(part) - share * 200) <= 12


def test_keys_given_by_the_caller_join_groups() -> None:
    data = dataset([0, 1] * 30, groups=[f"g{i // 2}" for i in range(60)])
    keys = [f"hash {i}" for i in range(60)]
    keys[10], keys[41] = "same", "same"  # of groups g5 and g20
    for seed in range(8):
        found = where(split(data, seed=seed, by=keys))
        assert len({found[f"{i}.png"] for i in (10, 11, 40, 41)}) == 1


def test_three_given_splits_stay_as_they_are() -> None:
    given_splits = ["train"] * 4 + ["val"] * 3 + ["test"] * 3
    parts = split(dataset([0, 1] * 5, splits=given_splits), seed=0)
    assert list(where(parts).values()) == given_splits
    assert parts.notes[0] == "splits: train, val and test as given"


def test_val_is_carved_from_train_where_test_is_given() -> None:
    data = dataset([0, 1] * 25, splits=["train"] * 40 + ["test"] * 10)
    parts = split(data, seed=0)
    assert sizes(parts) == (32, 8, 10)
    assert [sample.id for sample in parts.test.samples] == [f"{i}.png" for i in range(40, 50)]


def test_a_lone_val_proves_the_result_and_a_new_val_selects() -> None:
    data = dataset([0, 1] * 25, splits=["train"] * 40 + ["val"] * 10)
    parts = split(data, seed=0)
    assert sizes(parts) == (32, 8, 10)
    assert [sample.id for sample in parts.test.samples] == [f"{i}.png" for i in range(40, 50)]
    assert "so that nothing is selected on the data that prove the result" in parts.notes[0]


def test_both_are_carved_from_a_lone_train() -> None:
    assert sizes(split(dataset([0, 1] * 25, splits=["train"] * 50), seed=0)) == (30, 10, 10)


def test_a_class_with_one_image_is_named_and_trained_on() -> None:
    parts = split(dataset([0] * 10 + [1] * 10 + [2]), seed=3)
    assert where(parts)["20.png"] == "train"
    assert "c: not in val or test" in parts.notes[-1]


def test_shares_move_the_sizes() -> None:
    assert sizes(split(dataset([0, 1] * 50), seed=0, val=0.1, test=0.3)) == (60, 10, 30)


@pytest.mark.parametrize(("val", "test"), [(0, 0.2), (0.2, 1), (0.5, 0.5), (-0.1, 0.2)])
def test_impossible_shares_are_refused(val: float, test: float) -> None:
    with pytest.raises(ConfigError, match="must lie between 0 and 1"):
        split(dataset([0, 1] * 5), seed=0, val=val, test=test)


def test_too_little_data_is_refused() -> None:
    with pytest.raises(DataError, match=r"2 images are too few .* no image is left for val and test"):
        split(dataset([0, 1]), seed=0)
    with pytest.raises(DataError, match="20 images in 2 groups are too few"):
        split(dataset([0, 1] * 10, groups=["a", "b"] * 10), seed=0)


def test_half_given_splits_are_refused() -> None:
    data = dataset([0, 1] * 5, splits=["train"] * 10)
    half = replace(data, samples=(replace(data.samples[0], split=None), *data.samples[1:]))
    with pytest.raises(DataError, match="1 of 10 images have no split while others have"):
        split(half, seed=0)


def test_data_without_train_are_refused() -> None:
    with pytest.raises(DataError, match="come with test and val but no train split"):
        split(dataset([0, 1] * 5, splits=["val", "test"] * 5), seed=0)


def test_a_wrong_number_of_keys_is_refused() -> None:
    with pytest.raises(ConfigError, match="by: needs one key for each of the 10 samples, got 1"):
        split(dataset([0, 1] * 5), seed=0, by=["x"])


@pytest.mark.parametrize(("word", "name"), [("Train", "train"), ("TRAINING", "train"), ("valid", "val"),
                                            ("validation", "val"), (" dev ", "val"), ("Testing", "test"),
                                            ("cats", None)])
def test_split_names_are_recognised(word: str, name: str | None) -> None:
    assert as_split(word) == name
