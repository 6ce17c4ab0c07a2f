import numpy as np
import pytest
import torch

from headstart.averages.ema import EMA


def course(steps: int) -> np.ndarray:
    """Weights of some steps: float64 [steps, 7]."""
    return np.random.default_rng(0).standard_normal((steps, 7)).cumsum(axis=0)


def averaged(average: EMA, weights: np.ndarray) -> torch.Tensor:
    """The mean after all steps; the first one is a plain copy, as the learner makes it."""
    mean = [torch.tensor(weights[0, :3], dtype=torch.float32), torch.tensor(weights[0, 3:], dtype=torch.float32)]
    for taken in range(1, len(weights)):
        row = torch.tensor(weights[taken], dtype=torch.float32)
        average.update(mean, [row[:3], row[3:]], taken)
    return torch.cat(mean)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_mean_is_the_recursion_in_float64(decay: float) -> None:
    weights = course(200)
    expected = weights[0]
    for taken in range(1, len(weights)):
        d = min(decay, (1 + taken) / (10 + taken))
        expected = d * expected + (1 - d) * weights[taken]
    np.testing.assert_allclose(averaged(EMA(decay=decay), weights), expected, rtol=1e-4, atol=1e-4)


def test_once_warm_the_mean_is_the_geometric_sum() -> None:
    """With d constant: d^n m0 + (1 - d) * sum d^(n - k) w_k, no recursion in sight."""
    decay, weights = 0.1, course(60)  # (1 + t) / (10 + t) is above 0.1 from the first step on
    powers = decay ** np.arange(len(weights) - 1, -1, -1.0)
    expected = powers[0] * weights[0] + (1 - decay) * (powers[1:, None] * weights[1:]).sum(axis=0)
    np.testing.assert_allclose(averaged(EMA(decay=decay), weights), expected, rtol=1e-4, atol=1e-4)


def test_a_steady_mean_keeps_its_decay_from_the_first_step_on() -> None:
    decay, weights = 0.9, course(60)
    powers = decay ** np.arange(len(weights) - 1, -1, -1.0)
    expected = powers[0] * weights[0] + (1 - decay) * (powers[1:, None] * weights[1:]).sum(axis=0)
    np.testing.assert_allclose(averaged(EMA(decay=decay, begin="steady"), weights), expected, rtol=1e-4, atol=1e-4)


def test_every_step_is_taken_in_and_the_schedule_is_left_alone() -> None:
    assert all(EMA().due(step, steps=7, total=70) for step in range(1, 71))
    assert EMA().rate(0.9, 0.123) == 0.123


def test_weights_that_stand_still_are_their_own_mean() -> None:
    weights = np.tile(course(1), (50, 1))
    np.testing.assert_allclose(averaged(EMA(), weights), weights[0], rtol=1e-6)
