import numpy as np
import pytest

from headstart.scores.parc import PARC
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw, several


def test_iris_with_exact_ties():
    assert PARC()(X, Y) == pytest.approx(slow.parc(X, np.eye(3)[Y]), abs=1e-8)
    assert PARC()(X, Y) == pytest.approx(58.679784, abs=1e-5)


def test_iris_without_them_is_the_number_that_is_passed_around():
    """Rounding, 0 here and 2.2e-16 there, parts pairs of the same two labels, and the ranks follow it."""
    assert slow.naive_parc(X, Y) == pytest.approx(61.217010, abs=1e-5)
    assert len(np.unique(np.corrcoef(np.eye(3)[Y]))) > 2


@pytest.mark.parametrize("name", ["many images", "few images", "two classes", "30 classes"])
@pytest.mark.parametrize("seed", range(2))
def test_it_equals_the_formula(name, seed):
    features, labels, _ = draw(SHAPES[name], seed)
    expected = slow.parc(features, np.eye(labels.max() + 1)[labels])
    assert PARC()(features, labels) == pytest.approx(expected, abs=1e-8)


def test_many_features_may_be_brought_to_principal_components():
    features, labels, _ = draw((30, 10, 3), 0)
    expected = slow.parc(slow.pca(features, 4), np.eye(3)[labels])
    # An axis has no sign, and standardised rows with one axis turned correlate otherwise: the axes are ours.
    turned = [slow.parc(slow.pca(features, 4) * signs, np.eye(3)[labels])
              for signs in np.array(np.meshgrid(*[[1, -1]] * 4)).reshape(4, -1).T]
    assert min(abs(PARC(components=4)(features, labels) - value) for value in turned) < 1e-8
    assert expected in turned


def test_one_feature_has_no_correlation():
    assert PARC()(X[:, :1], Y) == 0


def test_a_constant_feature_is_left_out_though_its_mean_is_off_by_rounding():
    odd = np.full((150, 1), 0.1)
    assert odd.std() > 0
    assert PARC()(np.hstack([X, odd]), Y) == pytest.approx(PARC()(X, Y))


def test_several_labels_are_compared_as_rows():
    labels = several(Y)
    rows = labels[:, :3]
    rows[rows.min(axis=1) == rows.max(axis=1)] = [1, 0, 0]
    assert PARC()(X, rows) == pytest.approx(slow.parc(X, rows), abs=1e-8)


def test_a_single_label_counts_as_two_classes():
    one = (Y == 1).astype(np.int64)
    assert PARC()(X, one[:, None]) == PARC()(X, one)


def test_many_images_are_thinned_evenly_over_the_classes():
    features, labels, _ = draw((900, 6, 3), 0)
    assert PARC(most=300)(features, labels) == pytest.approx(PARC()(features, labels), abs=3)
