import numpy as np
import pytest
import torch

from headstart.averages.swa import SWA


def test_the_mean_is_the_plain_mean_in_float64() -> None:
    weights = np.random.default_rng(0).standard_normal((40, 7)).cumsum(axis=0)
    mean = [torch.tensor(weights[0], dtype=torch.float32)]
    for taken in range(1, len(weights)):
        SWA().update(mean, [torch.tensor(weights[taken], dtype=torch.float32)], taken)
        np.testing.assert_allclose(mean[0], weights[:taken + 1].mean(axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("start", "epochs"), [(0.0, [1, 2, 3, 4, 5, 6, 7, 8]), (0.5, [5, 6, 7, 8]), (0.7, [6, 7, 8]),
                                               (0.99, [8])])
def test_the_ends_of_the_epochs_after_the_start_are_taken_in(start: float, epochs: list[int]) -> None:
    """8 epochs of 5 steps."""
    taken = [step for step in range(1, 41) if SWA(start=start).due(step, steps=5, total=40)]
    assert taken == [5 * epoch for epoch in epochs]


def test_the_rate_is_constant_from_the_start_on() -> None:
    average = SWA(start=0.5, factor=0.3)
    assert [average.rate(progress, 0.8) for progress in (0.0, 0.49, 0.5, 0.9)] == [0.8, 0.8, 0.3, 0.3]
