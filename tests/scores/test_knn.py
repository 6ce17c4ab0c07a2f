from dataclasses import replace

import numpy as np
import pytest

from headstart import neighbours
from headstart.errors import DataError
from headstart.scores import knn
from headstart.scores.knn import KNN
from headstart.scores.linear_probe import LinearProbe
from headstart.selection.evidence import Seen, _of_score
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw


def test_iris():
    assert KNN()(X, Y) == pytest.approx(slow.knn(X, Y), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("k", [1, 5, 100])
def test_it_equals_the_formula(shape, k):
    features, labels, _ = draw(shape, 0)
    k = min(k, len(labels) - 1)
    assert KNN(k=k)(features, labels) == pytest.approx(slow.knn(features, labels, k), abs=1e-12)


def test_blocks_change_nothing(monkeypatch):
    features, labels, _ = draw((90, 4, 3), 0)
    features[40:] = features[:50].round(1)
    expected = KNN().each(features, labels)
    monkeypatch.setattr(knn, "QUERIES", 7)
    monkeypatch.setattr(neighbours, "BLOCK", 11)
    np.testing.assert_array_equal(KNN().each(features, labels), expected)


def test_more_neighbours_than_images_are_all_others():
    features, labels, _ = draw((12, 4, 2), 0)
    assert KNN(k=500)(features, labels) == KNN(k=11)(features, labels)


def test_an_image_is_no_neighbour_of_itself():
    places, found = neighbours.nearest(X, X, X.mean(axis=0), 149, apart=(np.arange(150), np.arange(150)))[::-1]
    assert not (places == np.arange(150)[:, None]).any()
    assert (np.diff(found, axis=1) <= 0).all()
    assert all(len(set(row)) == 149 for row in places)


def test_of_copies_the_earlier_ones_come_first():
    copies = np.tile([[1.0, 0.0], [0.0, 1.0]], (5, 1))
    places = neighbours.nearest(copies, copies[[4]], copies.mean(axis=0), 3, apart=(np.arange(10), np.array([4])))[1]
    assert places.tolist() == [[0, 2, 6]]


def test_few_are_asked_evenly_over_the_classes_and_all_answer():
    labels = np.repeat([0, 1], [900, 100])
    features = np.random.default_rng(0).normal(size=(1000, 3)) + 4 * np.eye(3)[labels]
    assert KNN(most=100).each(features, labels).shape == (100,)
    assert KNN(most=100)(features, labels) == pytest.approx(KNN()(features, labels), abs=0.05)


def grouped():
    """Return pairs of near copies, each pair with a label of its own drawing: nothing is to be learned across pairs."""
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(60, 80)), 2, axis=0) + rng.normal(scale=1e-3, size=(120, 80))
    return features, np.repeat(rng.permutation(np.arange(60) % 2), 2), [f"patient {row // 2}" for row in range(120)]


def test_images_of_ones_own_group_are_not_asked():
    features, labels, groups = grouped()
    assert KNN(k=1)(features, labels) == 1
    expected = slow.knn(features, labels, 3, groups=groups)
    assert KNN(k=3)(features, labels, None, groups) == pytest.approx(expected, abs=1e-12)
    assert 0.2 < expected < 0.8


def test_one_group_leaves_none_to_ask():
    with pytest.raises(DataError, match="all images are of one group"):
        KNN()(X, Y, None, ["a"] * 150)


@pytest.mark.parametrize("score", [KNN(), LinearProbe()])
def test_a_ranking_holds_groups_out_together(score):
    features, labels, groups = grouped()
    seen = Seen(features, labels, 2, None, groups)
    alone, together = (_of_score(score, one, 0)[0] for one in (replace(seen, groups=None), seen))
    assert alone > together + 0.2
