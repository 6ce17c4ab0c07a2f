import numpy as np
import pytest

from headstart.alignments.bsp import BSP
from tests.alignments.pairs import domain_cost, double, gradient, layers, of_features, pair, slopes, value


def spectral(features: np.ndarray, largest: int) -> float:
    """Squares of singular values are eigenvalues of F F'."""
    return float(np.sum(np.sort(np.linalg.eigvalsh(features @ features.T))[::-1][:largest]))


@pytest.mark.parametrize("largest", [1, 3, 100])
def test_the_loss_is_danns_and_the_squares_of_the_largest_singular_values(largest: int) -> None:
    given, loss = pair(), BSP(spectral=0.3, largest=largest, hidden=5).build(6, 4)
    source, target = double(given.source.features), double(given.target.features)
    expected = domain_cost(layers(loss), source, target) + 0.3 * (spectral(source, largest) + spectral(target, largest))
    assert value(loss, given) == pytest.approx(expected, rel=1e-5)


def test_orthogonal_images_have_their_lengths_as_singular_values() -> None:
    loss = BSP(spectral=1, hidden=5).build(6, 4)
    source, target = np.eye(6)[:3] * [[5.0], [2], [1]] @ np.eye(6), 3 * np.eye(6)[:1]
    without = BSP(spectral=0, hidden=5).build(6, 4)
    without.load_state_dict(loss.state_dict())
    given = of_features(source, target)
    assert value(loss, given) - value(without, given) == pytest.approx(25 + 9, rel=1e-5)


def test_the_penalty_is_descended_and_danns_loss_climbed_by_the_features() -> None:
    given, loss = pair(progress=1), BSP(spectral=0.01, hidden=5).build(6, 4)
    source, target, found = double(given.source.features), double(given.target.features), layers(loss)
    loss(given).backward()
    np.testing.assert_allclose(gradient(given.target.features), slopes(
        lambda moved: 0.01 * spectral(moved, 1) - 0.999909204 * domain_cost(found, source, moved), target),
        rtol=1e-3, atol=1e-5)
    weight, bias = found[0]
    np.testing.assert_allclose(gradient(loss.discriminator[0].weight), slopes(
        lambda moved: domain_cost([(moved, bias), *found[1:]], source, target), weight), rtol=1e-3, atol=1e-6)
