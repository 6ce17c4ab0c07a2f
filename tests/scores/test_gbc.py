import numpy as np
import pytest

from headstart.scores.gbc import GBC
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw, rotation


def test_iris():
    assert GBC()(X, Y) == pytest.approx(-0.230691, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("covariance", ["diagonal", "spherical"])
def test_it_equals_the_formula(shape, seed, covariance):
    features, labels, _ = draw(shape, seed)
    expected = slow.gbc(features, labels, covariance == "spherical")
    assert GBC(covariance=covariance)(features, labels) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("covariance", ["diagonal", "spherical"])
def test_many_features_are_brought_to_principal_components(covariance):
    features, labels, _ = draw((120, 10, 3), 0)
    expected = slow.gbc(slow.pca(features, 4), labels, covariance == "spherical")
    assert GBC(components=4, covariance=covariance)(features, labels) == pytest.approx(expected, rel=1e-8)


def test_it_does_not_see_a_rotation_where_it_is_spherical_or_has_its_own_axes():
    turned = X @ rotation(4)
    for score in (GBC(covariance="spherical"), GBC(components=3)):
        assert score(turned, Y) == pytest.approx(score(X, Y))
    assert GBC()(turned, Y) != pytest.approx(GBC()(X, Y), rel=1e-2)


def test_classes_that_are_alike_overlap_in_full():
    twice, labels = np.vstack([X, X]), np.repeat([0, 1], 150)
    assert GBC()(twice, labels) == pytest.approx(-2)
    assert GBC(components=2)(np.full((9, 5), 0.1), np.arange(9) % 3) == -6
    assert GBC()(np.full((9, 5), 0.1), np.arange(9) % 3) == pytest.approx(-6)
