import numpy as np
import pytest

from headstart.distances.by_class import by_class
from headstart.distances.coral import Coral
from headstart.distances.frechet import Frechet
from headstart.errors import DataError

RNG = np.random.default_rng(0)
CENTRES = 10 * np.eye(4)


def draw(labels, shift=0.0):
    return CENTRES[labels] + RNG.normal(size=(len(labels), 4)) + shift


def test_another_mix_of_classes_is_no_distance_within_classes():
    one, two = np.repeat([0, 1, 2], [90, 60, 30]), np.repeat([0, 1, 2], [30, 60, 90])
    first, second = draw(one), draw(two)
    found = by_class(Frechet(), first, one, second, two, rng=RNG)
    assert list(found.classes) == [0, 1, 2]
    assert abs(found.mean) < 0.5 < Frechet()(first, second, rng=RNG).value
    assert by_class(Frechet(), first, one, second + 2, two, rng=RNG).mean == pytest.approx(16, rel=0.2)


def test_it_is_the_mean_over_the_classes_that_both_sets_show_twice():
    one, two = np.array([0, 0, 0, 1, 2, 2, 3, 3]), np.array([3, 3, 3, 0, 0, 1, 1, 2])
    first, second = draw(one), draw(two)
    found = by_class(Coral(), first, one, second, two, rng=RNG)
    expected = [Coral()(first[one == c], second[two == c], rng=RNG) for c in (0, 3)]
    assert found.classes == dict(zip((0, 3), expected, strict=True))
    assert found.mean == pytest.approx((expected[0].value + expected[1].value) / 2)


def test_sets_that_share_no_class_are_refused():
    with pytest.raises(DataError, match=r"no class has 2 images in both sets.* Label more images"):
        by_class(Coral(), draw([0, 0, 1]), np.array([0, 0, 1]), draw([1, 1, 0]), np.array([1, 1, 0]), rng=RNG)


def test_each_image_needs_a_label():
    with pytest.raises(DataError, match="3 and 2 images with 3 and 3 labels"):
        by_class(Coral(), np.zeros((3, 2)), np.zeros(3), np.zeros((2, 2)), np.zeros(3), rng=RNG)
