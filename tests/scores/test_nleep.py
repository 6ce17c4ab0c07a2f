import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from headstart.scores.nleep import NLEEP
from tests.scores import slow
from tests.scores.cases import X, Y, draw


def reference(features, labels, *, kept, components, kind):
    points = slow.pca(features, kept)
    points /= points[:, 0].std()
    mixture = GaussianMixture(components, covariance_type=kind, random_state=0).fit(points)
    return slow.leep(mixture.predict_proba(points), labels)


def test_it_is_leep_on_the_posteriors_of_a_mixture_over_the_principal_components():
    expected = reference(X, Y, kept=1, components=15, kind="full")  # the first one holds 92% of the variance
    assert NLEEP()(X, Y) == pytest.approx(expected, rel=1e-3)


def test_covariances_are_diagonal_where_a_gaussian_has_fewer_images_than_components():
    features, labels, _ = draw((60, 40, 2), 0)
    kept = int((np.cumsum(np.linalg.svd(features - features.mean(0))[1]**2) / (60 * features.var(0).sum())
                < 0.8).sum()) + 1
    expected = reference(features, labels, kept=kept, components=10, kind="diag")
    assert kept > 6
    assert NLEEP()(features, labels) == pytest.approx(expected, rel=1e-3)


def test_posteriors_are_probabilities_of_no_more_gaussians_than_half_the_images():
    features, labels, _ = draw((50, 4, 10), 0)
    found = NLEEP().posteriors(features, labels)
    assert found.shape == (50, 25)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_features_that_part_the_classes_score_above_those_that_do_not():
    labels = np.arange(200) % 4
    noise = np.random.default_rng(0).normal(size=(200, 8))
    apart = noise + 6 * np.eye(8)[labels]
    assert NLEEP()(apart, labels) > -0.05 > -0.3 > NLEEP()(noise, labels)


def test_few_images_fit_the_mixture_and_all_are_asked():
    labels = np.arange(1000) % 4
    features = np.random.default_rng(0).normal(size=(1000, 4)) + 6 * np.eye(4)[labels]
    few = NLEEP(most=200)
    assert few.each(features, labels).shape == (1000,)
    assert few(features, labels) == pytest.approx(NLEEP()(features, labels), abs=0.02)
