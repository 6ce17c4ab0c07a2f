"""Half of a picture's classes on another picture: against a loop over pixels, and which classes they are."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.class_mix import half_of_classes, laid_upon
from headstart.types import IGNORED

sides = st.integers(1, 12)


def pair(seed: int, below: tuple[int, int], above: tuple[int, int], classes: int = 5) -> tuple[torch.Tensor, ...]:
    """What lies below, what is laid on it, and the classes of that, a quarter of them IGNORED."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, above).astype(np.uint8)
    labels[rng.random(above) < 0.25] = IGNORED
    return (torch.from_numpy(rng.integers(0, 256, (3, *below)).astype(np.uint8)),
            torch.from_numpy(rng.integers(0, 256, (3, *above)).astype(np.uint8)), torch.from_numpy(labels))


def by_pixels(below: torch.Tensor, image: torch.Tensor, classes: torch.Tensor,
              chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
    found, truth = below.numpy().copy(), np.full(below.shape[1:], IGNORED, np.uint8)
    for row in range(below.shape[1]):
        for column in range(below.shape[2]):
            if row >= image.shape[1] or column >= image.shape[2] or int(classes[row, column]) not in chosen:
                continue
            truth[row, column] = classes[row, column]
            for channel in range(3):
                found[channel, row, column] = image[channel, row, column]
    return found, truth


@settings(max_examples=60, deadline=None)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.integers(0, 2**32))
def test_pixels_and_classes_are_those_of_a_loop_over_pixels(below, above, seed):
    lower, image, classes = pair(seed, below, above)
    shared = classes[:below[0], :below[1]]
    found, truth = laid_upon(lower, image, classes, seed=seed)
    wanted, wanted_truth = by_pixels(lower, image, classes, half_of_classes(shared, seed=seed))
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(truth, wanted_truth)
    assert found.dtype == truth.dtype == torch.uint8


@settings(max_examples=60, deadline=None)
@given(st.tuples(sides, sides), st.integers(0, 2**32), st.integers(1, 9))
def test_half_of_the_classes_are_drawn_rounded_up_and_none_is_ignored(size, seed, classes):
    labels = pair(seed, size, size, classes)[2]
    present = set(labels.flatten().tolist()) - {IGNORED}
    drawn = half_of_classes(labels, seed=seed)
    assert len(drawn) == len(set(drawn)) == math.ceil(len(present) / 2)
    assert set(drawn) <= present


def test_every_class_is_drawn_as_often_as_any_other_however_many_pixels_it_has():
    labels = torch.tensor([[0] * 50 + [1, 2, 3]], dtype=torch.uint8)
    counts = np.zeros(4)
    for seed in range(400):
        counts[half_of_classes(labels, seed=seed)] += 1
    assert counts.sum() == 800
    assert counts.min() > 160
    assert counts.max() < 240


def test_what_is_laid_depends_on_the_seed_and_on_nothing_else():
    parts = pair(0, (8, 9), (9, 8))
    first = laid_upon(*parts, seed=3)
    torch.manual_seed(7)
    for one, other in zip(first, laid_upon(*parts, seed=3), strict=True):
        assert torch.equal(one, other)
    assert len({laid_upon(*parts, seed=seed)[1].numpy().tobytes() for seed in range(20)}) > 5


def test_what_lies_below_is_not_changed():
    lower, image, classes = pair(1, (6, 6), (6, 6))
    before = lower.clone()
    laid_upon(lower, image, classes, seed=0)
    assert torch.equal(lower, before)


@pytest.mark.parametrize("label", [IGNORED, 4])
def test_of_one_class_all_is_laid_and_of_none_nothing(label):
    lower, image, _ = pair(2, (5, 7), (5, 7))
    classes = torch.full((5, 7), label, dtype=torch.uint8)
    found, truth = laid_upon(lower, image, classes, seed=0)
    assert torch.equal(found, lower if label == IGNORED else image)
    assert torch.equal(truth, classes)


def test_a_class_that_lies_outside_what_both_share_is_not_drawn():
    classes = torch.tensor([[0, 0, 1], [0, 0, 2]], dtype=torch.uint8)
    image, lower = torch.full((3, 2, 3), 9, dtype=torch.uint8), torch.zeros(3, 4, 2, dtype=torch.uint8)
    for seed in range(5):
        found, truth = laid_upon(lower, image, classes, seed=seed)
        assert truth[:2].tolist() == [[0, 0], [0, 0]]
        assert found[:, :2].eq(9).all()
