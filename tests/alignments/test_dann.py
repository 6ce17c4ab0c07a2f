import numpy as np
import pytest

from headstart.alignments.dann import DANN
from tests.alignments.pairs import domain_cost, double, gradient, layers, pair, slopes, value

PROGRESS = pytest.mark.parametrize(("progress", "factor"), [(0.0, 0.0), (0.5, 0.986614298), (1.0, 0.999909204)])


@PROGRESS
def test_the_loss_is_the_discriminators_whatever_the_progress(progress: float, factor: float) -> None:
    given, loss = pair(progress=progress), DANN(hidden=5).build(6, 4)
    expected = domain_cost(layers(loss), double(given.source.features), double(given.target.features))
    assert value(loss, given) == pytest.approx(expected, rel=1e-5)


@PROGRESS
def test_the_features_climb_what_the_discriminator_descends(progress: float, factor: float) -> None:
    given, loss = pair(progress=progress), DANN(hidden=5).build(6, 4)
    source, target, found = double(given.source.features), double(given.target.features), layers(loss)
    loss(given).backward()
    np.testing.assert_allclose(gradient(given.source.features), -factor * slopes(
        lambda moved: domain_cost(found, moved, target), source), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(gradient(given.target.features), -factor * slopes(
        lambda moved: domain_cost(found, source, moved), target), rtol=1e-3, atol=1e-6)
    weight, bias = found[0]
    np.testing.assert_allclose(gradient(loss.discriminator[0].weight), slopes(
        lambda moved: domain_cost([(moved, bias), *found[1:]], source, target), weight), rtol=1e-3, atol=1e-6)
