import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.alignments.kernels import gaussians, mean_discrepancy, squared_distances
from tests.alignments.pairs import slopes

SEEDS = st.integers(0, 2**32 - 1)


def points(seed: int, count: int = 6, offset: float = 0.0) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(seed).normal(offset, 1, (count, 3)), dtype=torch.float32)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 100.0]))
def test_squared_distances_are_exact_far_from_the_origin_too(seed: int, offset: float) -> None:
    found = points(seed, offset=offset)
    exact = found.double().numpy()
    expected = [[sum((a - b) ** 2) for b in exact] for a in exact]
    np.testing.assert_allclose(squared_distances(found), expected, atol=2e-4)


@pytest.mark.parametrize(("number", "ratio", "widths"), [(1, 2.0, [1.0]), (2, 3.0, [1 / 3, 1]), (3, 2.0, [0.5, 1, 2])])
def test_the_widths_are_a_family_around_the_mean_squared_distance(number: int, ratio: float,
                                                                  widths: list[float]) -> None:
    """Three points whose squared distances are 1, 4 and 9, mean 14 / 3."""
    found = gaussians(torch.tensor([[0.0], [1.0], [3.0]]), number=number, ratio=ratio)
    for (row, column), square in {(0, 1): 1, (1, 2): 4, (0, 2): 9, (1, 1): 0}.items():
        expected = np.mean([np.exp(-square / (width * 14 / 3)) for width in widths])
        assert float(found[row, column]) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 5))
def test_a_kernel_does_not_depend_on_the_scale_of_the_features(seed: int, count: int) -> None:
    found = points(seed, count)
    torch.testing.assert_close(gaussians(found, number=5, ratio=2), gaussians(100 * found, number=5, ratio=2),
                               rtol=1e-3, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_the_discrepancy_is_zero_for_the_same_batch_twice_in_any_order(seed: int) -> None:
    found = points(seed)
    kernel = gaussians(torch.cat([found, found.flip(0)]), number=5, ratio=2)
    assert float(mean_discrepancy(kernel, 6)) == pytest.approx(0, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 5), st.integers(1, 5))
def test_the_discrepancy_is_never_negative_and_the_same_both_ways(seed: int, sources: int, targets: int) -> None:
    source, target = points(seed, sources), points(seed + 1, targets)
    there = mean_discrepancy(gaussians(torch.cat([source, target]), number=5, ratio=2), sources)
    back = mean_discrepancy(gaussians(torch.cat([target, source]), number=5, ratio=2), targets)
    assert there > -1e-6
    torch.testing.assert_close(there, back, rtol=1e-4, atol=1e-5)


def test_no_gradient_goes_through_the_widths() -> None:
    """With widths that moved along, a scale of all points would have no gradient."""
    found = points(0).requires_grad_()
    exact = found.detach().double().numpy()
    width = np.mean([np.sum((a - b) ** 2) for i, a in enumerate(exact) for j, b in enumerate(exact) if i != j])
    gaussians(found, number=1, ratio=2).sum().backward()

    def total(moved: np.ndarray) -> float:
        return float(sum(np.exp(-np.sum((a - b) ** 2) / width) for a in moved for b in moved))

    np.testing.assert_allclose(found.grad, slopes(total, exact), rtol=1e-3, atol=1e-5)
