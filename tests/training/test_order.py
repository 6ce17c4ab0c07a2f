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
