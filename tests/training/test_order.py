"""The order of the samples depends on the seed and the step alone, drawn with or without replacement."""

import numpy as np
import pytest

from headstart.training.order import Order, earlier

SKEWED = np.array([0.5, 0.25, 0.125, 0.0625, 0.0625, 0.0])


def batches(order):
    return list(order)


def test_without_probabilities_each_epoch_takes_every_sample_once():
    order = Order(7, 3, 2, seed=1)
    keys = [key for batch in order for key in batch]
    assert sorted(keys) == [(epoch, index) for epoch in (0, 1) for index in range(7)]
    assert [len(batch) for batch in order] == [3, 3, 1, 3, 3, 1]


@pytest.mark.parametrize("probabilities", [None, SKEWED], ids=["once", "drawn"])
@pytest.mark.parametrize("drop_single", [False, True])
def test_going_on_at_any_step_gives_the_rest(probabilities, drop_single):
    order = Order(6, 5, 3, seed=3, probabilities=probabilities, drop_single=drop_single)
    whole = batches(order)
    assert len(whole) == len(order) == (3 if drop_single else 6)
    for step in range(len(whole) + 1):
        assert batches(order.after(step)) == whole[step:]
    assert batches(order.after(1).after(2)) == whole[2:]


def test_draws_follow_the_probabilities():
    """Each count within 4 standard deviations of its binomial, and the seed of the draw is fixed."""
    count, epochs = 4_000, 5
    probabilities = np.tile(SKEWED, count // 4)[:count]
    probabilities /= probabilities.sum()
    order = Order(count, 32, epochs, seed=0, probabilities=probabilities)
    drawn = np.concatenate([order.indices(epoch) for epoch in range(epochs)])
    assert len(drawn) == count * epochs
    kinds = np.arange(count) % 6
    expected = np.bincount(kinds, probabilities, minlength=6)
    found = np.bincount(kinds[drawn], minlength=6)
    deviation = np.sqrt(len(drawn) * expected * (1 - expected))
    assert (np.abs(found - len(drawn) * expected) <= 4 * deviation).all()
    assert found[5] == 0


def test_draws_differ_by_epoch_and_seed_and_by_nothing_else():
    first, again, other = (Order(50, 8, 2, seed=seed, probabilities=np.full(50, 0.02)) for seed in (1, 1, 2))
    assert batches(first) == batches(again)
    assert batches(first) != batches(other)
    assert first.indices(0).tolist() != first.indices(1).tolist()


def test_a_sample_drawn_again_in_an_epoch_is_another_occasion():
    order = Order(6, 4, 3, seed=5, probabilities=SKEWED)
    keys = [key for batch in order for key in batch]
    assert len(keys) == len(set(keys)) == 18
    assert [occasion % 3 for occasion, _ in keys] == [0] * 6 + [1] * 6 + [2] * 6


def test_earlier_counts_the_same_values_before():
    values = np.random.default_rng(0).integers(0, 5, 40)
    assert earlier(values).tolist() == [int((values[:n] == values[n]).sum()) for n in range(40)]
    assert earlier(np.arange(3)).tolist() == [0, 0, 0]


GROUPS = np.random.default_rng(4).choice(5, size=43, p=[0.4, 0.3, 0.2, 0.06, 0.04])


@pytest.mark.parametrize("count", [43, 40, 41, 8, 3, 1])
@pytest.mark.parametrize("drop_single", [False, True])
def test_grouped_batches_take_every_sample_once_an_epoch(count, drop_single):
    plain = Order(count, 8, 3, seed=2, drop_single=drop_single)
    grouped = plain.grouped(GROUPS[:count])
    assert [len(batch) for batch in grouped] == [len(batch) for batch in plain]
    for epoch in range(3):
        assert sorted(grouped.indices(epoch)) == list(range(count))
    assert batches(plain.grouped(None)) == batches(plain)


def test_a_batch_is_of_one_group_as_far_as_possible():
    """As many batches are of one group as the counts of the groups allow, and the others of neighbours."""
    order = Order(43, 8, 4, seed=2).grouped(GROUPS)
    possible = int((np.bincount(GROUPS) // 8).sum())
    assert possible >= 3
    for epoch in range(4):
        indices = order.indices(epoch)
        parts = [GROUPS[indices[start:start + 8]] for start in range(0, 43, 8)]
        pure = [len(part) == 8 and len(set(part)) == 1 for part in parts]
        assert sum(pure) >= possible
        mixed = [part for part, one in zip(parts, pure, strict=True) if not one and len(part) == 8]
        assert sum(int(part.max() - part.min()) for part in mixed) <= 2 * 4


def test_grouped_batches_go_on_at_any_step_with_the_rest():
    order = Order(43, 8, 2, seed=3).grouped(GROUPS)
    whole = batches(order)
    for step in range(len(whole) + 1):
        assert batches(order.after(step)) == whole[step:]
    assert batches(order.after(3).after(7)) == whole[7:]


def test_grouped_batches_differ_by_epoch_and_seed_and_every_sample_is_left_over_at_times():
    first, again, other = (Order(43, 8, 2, seed=seed).grouped(GROUPS) for seed in (1, 1, 2))
    assert batches(first) == batches(again)
    assert batches(first) != batches(other)
    assert first.indices(0).tolist() != first.indices(1).tolist()
    long = Order(41, 8, 400, seed=1, drop_single=True).grouped(GROUPS[:41])
    dropped = {int(long.indices(epoch)[-1]) for epoch in range(400)}
    assert len(dropped) > 30
    assert len({GROUPS[sample] for sample in dropped}) == 5


def test_drawn_samples_are_grouped_as_often_as_they_were_drawn():
    plain = Order(6, 4, 3, seed=5, probabilities=SKEWED)
    grouped = plain.grouped(np.array([0, 0, 0, 1, 1, 1]))
    for epoch in range(3):
        assert sorted(grouped.indices(epoch)) == sorted(plain.indices(epoch))
    keys = [key for batch in grouped for key in batch]
    assert len(keys) == len(set(keys)) == 18
