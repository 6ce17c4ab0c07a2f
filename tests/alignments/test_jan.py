import numpy as np
import pytest

from headstart.alignments.jan import JAN
from tests.alignments.pairs import double, of_features, pair, softmax, value


def joint_discrepancy(features: np.ndarray, probabilities: np.ndarray, sources: int, spread: float) -> float:
    """The squared MMD under the product of both kernels, pair by pair of images with their signs and shares."""
    count = len(features)
    apart = [np.sum((features[i] - features[j]) ** 2) for i in range(count) for j in range(count) if i != j]
    widths = [np.mean(apart) * factor for factor in (0.25, 0.5, 1, 2, 4)]
    share = [1 / sources] * sources + [-1 / (count - sources)] * (count - sources)
    total = 0.0
    for i in range(count):
        for j in range(count):
            of_features = np.mean([np.exp(-np.sum((features[i] - features[j]) ** 2) / width) for width in widths])
            of_answers = np.exp(-np.sum((probabilities[i] - probabilities[j]) ** 2) / spread)
            total += share[i] * share[j] * of_features * of_answers
    return total


@pytest.mark.parametrize(("sources", "targets"), [(5, 7), (1, 1), (6, 2)])
@pytest.mark.parametrize("spread", [1.68, 0.5])
def test_the_loss_is_the_quadratic_form_of_a_product_of_kernels(sources: int, targets: int, spread: float) -> None:
    given = pair(sources, targets)
    features = np.concatenate([double(given.source.features), double(given.target.features)])
    probabilities = softmax(np.concatenate([double(given.source.logits), double(given.target.logits)]))
    expected = joint_discrepancy(features, probabilities, sources, spread)
    assert value(JAN(spread=spread).build(6, 4), given) == pytest.approx(expected, abs=2e-6)


def test_the_same_images_twice_cost_nothing() -> None:
    features = np.random.default_rng(0).normal(size=(5, 6))
    assert value(JAN().build(6, 4), of_features(features, features)) == pytest.approx(0, abs=1e-6)
