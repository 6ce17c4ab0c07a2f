import numpy as np
import pytest
import torch

from headstart.alignments.mme import MME
from tests.alignments.pairs import double, entropies, gradient, layers, pair, slopes, softmax, value


def entropy(weight: np.ndarray, bias: np.ndarray, features: np.ndarray) -> float:
    return float(np.mean(entropies(softmax(features @ weight.T + bias))))


def test_the_loss_is_the_targets_entropy_below_zero() -> None:
    given = pair()
    expected = -entropy(*layers(given.head)[0], double(given.target.features))
    assert value(MME().build(6, 4), given) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_head_raises_the_entropy_and_the_features_lower_it(progress: float) -> None:
    given = pair(progress=progress)
    features, (weight, bias) = double(given.target.features), layers(given.head)[0]
    MME().build(6, 4)(given).backward()
    np.testing.assert_allclose(gradient(given.target.features), slopes(
        lambda moved: entropy(weight, bias, moved), features), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(gradient(given.head.weight), -slopes(
        lambda moved: entropy(moved, bias, features), weight), rtol=1e-3, atol=1e-6)


def test_the_head_is_applied_to_float32_features_whatever_the_network_computed_in() -> None:
    given, seen = pair(), []
    given.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
    MME().build(6, 4)(given)
    assert seen == [torch.float32]


def test_its_strength_is_the_papers() -> None:
    assert MME().strength == 0.1
