import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from headstart.held_out import held_out
from headstart.scores.linear_probe import LinearProbe
from tests.scores.cases import X, Y, draw, several


def test_iris_is_as_scikit_learn_finds_it_with_the_same_penalty_and_folds():
    l2 = held_out(X, Y, classes=3).l2
    parts = StratifiedKFold(5, shuffle=True, random_state=0)
    scaled = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean())
    said = cross_val_predict(LogisticRegression(C=1 / (l2 * 120), max_iter=5000), scaled, Y, cv=parts)
    assert LinearProbe()(X, Y) == pytest.approx((said == Y).mean(), abs=1e-9)
    assert (said == Y).mean() > 0.95


def test_both_measures_are_means_over_the_images():
    for measure in ("accuracy", "log_likelihood"):
        terms = LinearProbe(measure=measure).each(X[::3], Y[::3])
        assert terms.shape == (50,)
        assert LinearProbe(measure=measure)(X[::3], Y[::3]) == pytest.approx(terms.mean())
    assert -0.4 < terms.mean() < 0


def test_several_labels_are_sigmoids_with_one_penalty():
    labels = several(Y)[:, :3]
    found = held_out(X, labels, classes=3)
    alone = [held_out(X, labels[:, c:c + 1], classes=1, penalties=[found.l2]) for c in range(3)]
    # Another label means other folds, and those move the mean a little.
    expected = np.mean([one.correct().mean() for one in alone])
    score = LinearProbe()(X, several(Y))
    assert score == pytest.approx(found.correct().mean())
    assert score == pytest.approx(expected, abs=0.03)


def test_many_images_are_thinned_evenly_over_the_classes():
    labels = np.repeat([0, 1], [900, 100])
    features = np.random.default_rng(0).normal(size=(1000, 3)) + 3 * np.eye(3)[labels]
    few = LinearProbe(most=200)
    assert few.each(features, labels).shape == (200,)
    assert few(features, labels) == pytest.approx(LinearProbe()(features, labels), abs=0.03)


def test_of_many_classes_some_are_asked():
    features, labels, _ = draw((300, 6, 30), 0, apart=8)
    few = LinearProbe(most_classes=3)
    chosen = np.isin(labels, [0, 14, 29])
    assert few.each(features, labels).shape == (chosen.sum(),)
    assert few(features, labels) == LinearProbe()(features[chosen], labels[chosen])
