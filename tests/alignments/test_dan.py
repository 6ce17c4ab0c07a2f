import numpy as np
import pytest
import torch

from headstart.alignments.dan import DAN
from tests.alignments.pairs import double, of_features, pair, value


def discrepancy(source: np.ndarray, target: np.ndarray, kernels: int, ratio: float) -> float:
    """The squared MMD by loops over pairs of images, the kernel a mean of Gaussians."""
    joint = np.concatenate([source, target])
    apart = [np.sum((joint[i] - joint[j]) ** 2) for i in range(len(joint)) for j in range(len(joint)) if i != j]
    widths = [np.mean(apart) * ratio ** (step - kernels // 2) for step in range(kernels)]

    def mean(some: np.ndarray, others: np.ndarray) -> float:
        return float(np.mean([np.exp(-np.sum((a - b) ** 2) / width) for a in some for b in others for width in widths]))

    return mean(source, source) + mean(target, target) - 2 * mean(source, target)


@pytest.mark.parametrize(("sources", "targets"), [(5, 7), (1, 1), (6, 2)])
@pytest.mark.parametrize(("kernels", "ratio"), [(5, 2.0), (1, 2.0), (4, 1.5)])
def test_the_loss_is_the_quadratic_form_of_a_double_loop(sources: int, targets: int, kernels: int,
                                                         ratio: float) -> None:
    given = pair(sources, targets)
    expected = discrepancy(double(given.source.features), double(given.target.features), kernels, ratio)
    assert value(DAN(kernels=kernels, ratio=ratio).build(6, 4), given) == pytest.approx(expected, abs=2e-6)


def test_the_logits_are_added_where_asked_for() -> None:
    given = pair()
    expected = sum(discrepancy(double(a), double(b), 5, 2) for a, b in [
        (given.source.features, given.target.features), (given.source.logits, given.target.logits)])
    assert value(DAN(logits=True).build(6, 4), given) == pytest.approx(expected, abs=2e-6)


def test_the_same_images_twice_cost_nothing() -> None:
    features = np.random.default_rng(0).normal(size=(5, 6))
    assert value(DAN().build(6, 4), of_features(features, features)) == pytest.approx(0, abs=1e-6)


def test_a_step_down_the_gradient_brings_two_clouds_nearer() -> None:
    rng = np.random.default_rng(0)
    given = of_features(rng.normal(0, 1, (20, 6)), rng.normal(2, 1, (20, 6)))
    DAN().build(6, 4)(given).backward()
    towards_source = given.source.features.mean(dim=0) - given.target.features.mean(dim=0)
    assert torch.dot(given.target.features.grad.sum(dim=0), towards_source) < 0
