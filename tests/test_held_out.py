import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import LeaveOneOut, StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from headstart import held_out as module
from headstart.errors import DataError
from headstart.held_out import divide, held_out, log_losses, reduced

# N samples, D features, C classes

X, Y = load_iris(return_X_y=True)
GROUPS = [f"g{number // 3}" for number in range(150)]
L2 = 0.01


class OneScale(TransformerMixin, BaseEstimator):
    """Centred, and divided by the root of the mean variance."""

    def fit(self, features, labels=None):
        self.mean_, self.scale_ = features.mean(axis=0), np.sqrt(features.var(axis=0).mean())
        return self

    def transform(self, features):
        return (features - self.mean_) / self.scale_


def regression(fitted_on):
    """scikit-learn's at penalty L2, which multiplies the sum of the losses with C instead."""
    return make_pipeline(OneScale(), LogisticRegression(C=1 / (L2 * fitted_on), tol=1e-8, max_iter=10_000))


def wide(count=18, width=60, seed=0):
    """Fewer images than features, two classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return rng.normal(size=(count, width)) + rng.normal(size=(2, width))[labels] + 3, labels


def test_it_equals_scikit_learn_with_the_same_penalty_folds_and_scaling():
    found = held_out(X, Y, classes=3, penalties=[L2], seed=4)
    parts = StratifiedKFold(5, shuffle=True, random_state=4)
    expected = cross_val_predict(regression(120), X, Y, cv=parts, method="predict_proba")
    np.testing.assert_allclose(found.probabilities(), expected, atol=2e-3)
    assert found.l2 == L2
    assert found.losses().mean() == pytest.approx(log_loss(Y, expected), abs=1e-3)


def test_groups_equal_scikit_learn_too():
    found = held_out(X, Y, classes=3, penalties=[L2], groups=GROUPS)
    for rest, left in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(X, Y, GROUPS):
        model = regression(len(rest)).fit(X[rest], Y[rest])
        np.testing.assert_allclose(found.probabilities()[left], model.predict_proba(X[left]), atol=2e-3)


def test_several_labels_equal_a_regression_for_each():
    labels = np.stack([Y == 0, Y != 2, np.arange(150) % 2], axis=1).astype(np.int64)
    found = held_out(X, labels, classes=3, penalties=[L2])
    parts = list(divide(labels, 5, seed=0))
    for c in range(3):
        for rest, left in parts:
            model = regression(len(rest)).fit(X[rest], labels[rest, c])
            expected = model.predict_proba(X[left])[:, 1]
            np.testing.assert_allclose(found.probabilities()[left, c], expected, atol=2e-3)


def test_the_penalty_is_the_one_with_the_lowest_held_out_loss():
    penalties = (10.0, 1.0, 0.1, 0.01, 0.001)
    found = held_out(X, Y, classes=3, penalties=penalties)
    losses = {l2: held_out(X, Y, classes=3, penalties=[l2]).losses().mean() for l2 in penalties}
    assert found.l2 == min(losses, key=losses.__getitem__)
    assert found.losses().mean() == pytest.approx(losses[found.l2], abs=1e-3)


@pytest.mark.parametrize(("features", "labels"), [(X[::12], Y[::12]), wide(12)], ids=["N > D", "N < D"])
def test_a_label_does_not_move_the_answer_for_its_own_image(features, labels):
    """Held out alone, so that the folds are the same whatever the labels are."""
    count = len(labels)
    before = held_out(features, labels, classes=3, folds=count, penalties=[L2]).logits
    for poisoned in range(count):
        other = labels.copy()
        other[poisoned] = (other[poisoned] + 1) % 2
        moved = np.abs(held_out(features, other, classes=3, folds=count, penalties=[L2]).logits - before).max(axis=1)
        assert moved[poisoned] == 0
        assert np.median(moved) > 1e-3


def test_an_image_is_fitted_by_no_fit_that_answers_for_it(monkeypatch):
    seen, marked = [], np.hstack([X, np.arange(150)[:, None]])

    def spy(features, labels, classes, penalties):
        seen.append(set(features[:, 4].astype(int)))
        return original(features, labels, classes, penalties)
    original = module._path
    monkeypatch.setattr(module, "_path", spy)
    held_out(marked, Y, classes=3, penalties=[1.0], groups=GROUPS)
    left = [set(range(150)) - rows for rows in seen]
    assert sorted(row for rows in left for row in rows) == list(range(150))
    assert all(not {GROUPS[row] for row in out} & {GROUPS[row] for row in rows}
               for out, rows in zip(left, seen, strict=True))


@pytest.mark.parametrize("several", [False, True])
def test_fewer_images_than_features_are_rotated_and_nothing_changes(monkeypatch, several):
    features, labels = wide()
    if several:
        labels = np.stack([labels, labels[::-1] * 0 + (np.arange(18) % 3 == 0)], axis=1)
    assert reduced(features).shape == (18, 18)
    short = held_out(features, labels, classes=2)
    fixed = held_out(features, labels, classes=2, penalties=[L2])
    monkeypatch.setattr(module, "reduced", lambda features: features)
    assert held_out(features, labels, classes=2).l2 == short.l2
    expected = held_out(features, labels, classes=2, penalties=[L2])
    np.testing.assert_allclose(fixed.probabilities(), expected.probabilities(), atol=2e-3)


def test_the_rotation_keeps_all_inner_products():
    features = wide()[0]
    centred = features - features.mean(axis=0)
    np.testing.assert_allclose(reduced(features) @ reduced(features).T, centred @ centred.T, atol=1e-9)
    assert reduced(X) is X


def test_a_class_of_one_image_is_named_by_no_fit_without_it():
    labels = np.where(np.arange(30) == 7, 2, np.arange(30) % 2)
    found = held_out(X[:30], labels, classes=3)
    assert np.isfinite(found.logits).all()
    assert found.correct()[7] == 0
    assert found.probabilities()[7, 2] < 0.05


def test_folds_that_show_one_class_name_that_class():
    found = held_out(X[:2], np.array([0, 1]), classes=2)
    assert found.logits.argmax(axis=1).tolist() == [1, 0]
    assert found.correct().tolist() == [0, 0]
    np.testing.assert_allclose(found.probabilities().max(axis=1), 1 / (1 + 1 / 3))


@pytest.mark.parametrize("features", [np.full((20, 3), 0.1), np.full((20, 50), 0.1), np.zeros((20, 50), np.float32)])
def test_constant_features_leave_the_frequencies(features):
    found = held_out(features, np.arange(20) % 4 // 3, classes=2)
    np.testing.assert_allclose(found.probabilities(), np.tile([0.75, 0.25], (20, 1)), atol=0.01)


def test_losses_and_right_answers_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, labels, several = rng.normal(size=(40, 3)), rng.integers(0, 3, 40), rng.integers(0, 2, (40, 3))
    found = module.HeldOut(logits, 1.0, labels)
    assert found.losses().mean() == pytest.approx(log_loss(labels, found.probabilities()))
    assert found.correct().tolist() == (logits.argmax(axis=1) == labels).tolist()
    columns = module.HeldOut(logits, 1.0, several)
    expected = [log_loss(several[:, c], columns.probabilities()[:, c]) for c in range(3)]
    assert log_losses(logits, several).mean() == pytest.approx(np.mean(expected))
    assert columns.correct().mean() == pytest.approx(((columns.probabilities() > 0.5) == several).mean())


@pytest.mark.parametrize("groups", [["one"] * 150, None])
def test_what_can_not_be_divided_is_refused(groups):
    count = 150 if groups else 1
    with pytest.raises(DataError, match="held out: all images are of one group, or there is just one"):
        held_out(X[:count], Y[:count], classes=3, groups=groups)


def test_with_fewer_images_than_folds_each_is_held_out_alone():
    expected = {tuple(left) for _, left in LeaveOneOut().split(X[:4])}
    assert {tuple(left) for _, left in divide(np.array([0, 1, 1, 0]), 10, seed=0)} == expected


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(0, 3), min_size=2, max_size=40), folds=st.integers(2, 8), seed=st.integers(0, 99),
       per_group=st.sampled_from([None, 1, 2, 5]), several=st.booleans())
def test_each_image_is_held_out_once_and_no_group_is_divided(labels, folds, seed, per_group, several):
    values = np.array(labels)
    count = len(values)
    groups = None if per_group is None else [f"g{number % -(-count // per_group)}" for number in range(count)]
    if groups is not None and len(set(groups)) < 2:
        groups = None
    parts = list(divide(np.eye(4, dtype=int)[values] if several else values, folds, seed=seed, groups=groups))
    assert sorted(row for _, left in parts for row in left) == list(range(count))
    for rest, left in parts:
        assert len(rest)
        assert sorted([*rest, *left]) == list(range(count))
        if groups is not None:
            assert not {groups[row] for row in rest} & {groups[row] for row in left}


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=4), folds=st.integers(2, 5))
def test_each_class_is_spread_evenly(counts, folds):
    labels = np.repeat(np.arange(len(counts) + 1), [*counts, 9])
    held = np.array([np.bincount(labels[left], minlength=len(counts) + 1) for _, left in divide(labels, folds, seed=0)])
    assert (held.max(axis=0) - held.min(axis=0) <= 1).all()
