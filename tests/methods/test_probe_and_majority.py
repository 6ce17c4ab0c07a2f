"""The probe against an independent minimisation, and the majority baseline against counting."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression

from headstart.data.dataset import Dataset, Splits
from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Progress, Started
from headstart.logistic import fit_path
from headstart.methods.majority import Majority
from headstart.methods.method import Context
from headstart.methods.probe import Probe
from headstart.model import Model
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import Multilabel
from headstart.types import Sample


class Stored:
    """Stands for the feature store: the id of a sample is its row."""

    def __init__(self, features):
        self.rows = np.asarray(features, np.float32)

    def features(self, backbone, preprocessing, dataset, **more):
        return self.rows[[int(sample.id) for sample in dataset.samples]]


def dataset(labels, *, classes, start=0, weights=None):
    task = "multilabel" if labels and isinstance(labels[0], tuple) else "classification"
    weights = weights if weights is not None else [1.0] * len(labels)
    samples = tuple(Sample(str(start + i), Path("x"), label, weight=w)
                    for i, (label, w) in enumerate(zip(labels, weights, strict=True)))
    return Dataset(samples, tuple(f"c{i}" for i in range(classes)), task, "test")


def scaled(features, train):
    """Centre by the mean of train and divide by one number: the root of its mean variance."""
    return (features - train.mean(0, dtype=float)) / np.sqrt(train.var(0, dtype=float).mean())


def fit(method, features, labels, *, classes, train, weights=None):
    labels = [tuple(x) if isinstance(x, (list, tuple)) else int(x) for x in labels]
    parts = [dataset(labels[:train], classes=classes, weights=weights),
             dataset(labels[train:], classes=classes, start=train)]
    task = Multilabel() if isinstance(labels[0], tuple) else Classification()
    model = Model(SimpleNamespace(width=features.shape[1]), None, parts[0].classes, task, None, temperature=3.0)
    events = []
    fitted = method.fit(model, Splits(*parts, parts[1]), Context(events.append, 0, Stored(features), Path("unused")))
    return fitted, events


def logits(model, features):
    with torch.no_grad():
        return model.head(torch.tensor(features, dtype=torch.float32)).numpy()


def iris(seed=0):
    features, labels = load_iris(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    return features[order], labels[order]


@pytest.mark.parametrize("l2", [1.0, 0.01])
def test_the_solution_equals_a_direct_minimisation_of_the_objective(l2):
    features, labels = iris()
    weights = np.random.default_rng(1).random(150) + 0.5
    standard = scaled(features, features)

    def objective(flat):
        matrix, bias = flat[:12].reshape(3, 4), flat[12:]
        z = standard @ matrix.T + bias
        losses = logsumexp(z, axis=1) - z[np.arange(150), labels]
        return np.average(losses, weights=weights) + l2 / 2 * (matrix**2).sum()

    direct = minimize(objective, np.zeros(15), tol=1e-10).x
    (found,) = fit_path(features, labels, classes=3, weights=weights, penalties=[l2])
    expected = softmax(standard @ direct[:12].reshape(3, 4).T + direct[12:], axis=1)
    np.testing.assert_allclose(softmax(found.logits(features), axis=1), expected, atol=2e-4)


def test_the_folded_head_gives_scikit_learns_logits():
    features, labels = iris()
    standard = scaled(features[:100], features[:100])
    expected = LogisticRegression(C=1 / (0.1 * 100), tol=1e-8, max_iter=1000).fit(standard, labels[:100])
    model, _ = fit(Probe(l2=0.1), features, labels, classes=3, train=100)
    probed = expected.decision_function(scaled(features, features[:100]))
    found = logits(model, features)
    np.testing.assert_allclose(found - found.mean(1, keepdims=True), probed - probed.mean(1, keepdims=True), atol=1e-3)


def test_the_float32_head_on_raw_features_equals_decision_function_on_standardised_ones():
    features, labels = iris()
    features = features.astype(np.float32)
    standard = scaled(features, features)
    # The same solver settings, so that only the folding and the float32 of the head can make a difference.
    same = LogisticRegression(C=10, tol=1e-5, max_iter=1000).fit(standard, labels, sample_weight=np.full(150, 1 / 150))
    several = np.concatenate([features, features[:10]]), np.concatenate([labels, labels[:10]])
    model, _ = fit(Probe(l2=0.1), *several, classes=3, train=150)
    np.testing.assert_allclose(logits(model, features), same.decision_function(standard), atol=1e-5)


def test_digits_are_learnt_deterministically_and_the_events_are_told():
    features, labels = load_digits(return_X_y=True)
    model, events = fit(Probe(), features, labels, classes=10, train=1200)
    again, _ = fit(Probe(), features, labels, classes=10, train=1200)
    assert (logits(model, features[1200:]).argmax(1) == labels[1200:]).mean() > 0.9
    assert torch.equal(model.head.linear.weight, again.head.linear.weight)
    assert model.temperature == 1.0
    assert isinstance(events[0], Started)
    assert isinstance(events[1], Progress)
    assert isinstance(events[-1], Finished)


def test_the_penalty_is_the_one_with_the_lowest_validation_loss_when_each_is_fitted_alone():
    features, labels = iris(3)
    model, _ = fit(Probe(), features, labels, classes=3, train=75)
    losses = {}
    for l2 in np.logspace(1, -5, 13):
        alone, _ = fit(Probe(l2=float(l2)), features, labels, classes=3, train=75)
        z = logits(alone, features[75:]).astype(float)
        losses[l2] = (logsumexp(z, axis=1) - z[np.arange(75), labels[75:]]).mean()
    z = logits(model, features[75:]).astype(float)
    chosen = (logsumexp(z, axis=1) - z[np.arange(75), labels[75:]]).mean()
    assert chosen == pytest.approx(min(losses.values()), abs=2e-3)


def test_two_classes_have_the_log_odds_of_the_binary_regression():
    features, labels = iris()
    features, labels = features[labels > 0], labels[labels > 0] - 1
    standard = scaled(features, features)
    expected = LogisticRegression(C=1 / (0.1 * 100), tol=1e-8).fit(standard, labels).decision_function(standard)
    (found,) = fit_path(features, labels, classes=2, weights=np.ones(100), penalties=[0.1])
    z = found.logits(features)
    np.testing.assert_allclose(z[:, 1] - z[:, 0], expected, atol=1e-3)


def test_a_class_absent_from_train_is_never_predicted_and_its_logit_is_finite():
    features, labels = iris()
    model, _ = fit(Probe(), features, labels, classes=4, train=100)
    z = logits(model, features)
    assert np.isfinite(z).all()
    assert (z.argmax(1) != 3).all()
    assert softmax(z, axis=1)[:100, 3].max() <= 1 / 100


def test_a_weight_of_two_is_the_sample_twice():
    features, labels = iris()
    doubled = fit_path(features, labels, classes=3, weights=np.full(150, 2.0), penalties=[0.1])
    single = fit_path(np.tile(features, (2, 1)), np.tile(labels, 2), classes=3, weights=np.ones(300), penalties=[0.1])
    np.testing.assert_allclose(next(doubled).weights, next(single).weights, atol=1e-4)


def test_balanced_classes_have_the_same_weight_in_all():
    labels = [0] * 50 + [1] * 10 + [2] * 3
    balanced = Probe(class_weight="balanced").weights(dataset(labels, classes=3))
    np.testing.assert_allclose(np.bincount(labels, weights=balanced), 21)


def test_a_constant_feature_has_no_weight():
    features, labels = iris()
    features = np.hstack([features, np.full((150, 1), 0.1)])
    (found,) = fit_path(features, labels, classes=3, weights=np.ones(150), penalties=[0.01])
    np.testing.assert_allclose(found.weights[:, 4], 0, atol=1e-12)


def test_multilabel_is_one_regression_for_each_label():
    features, labels = iris()
    several = [[c for c in (0, 1, 2) if c >= label] for label in labels]  # label 2 is always there
    model, _ = fit(Probe(l2=0.1), features, several, classes=3, train=100)
    z = logits(model, features)
    standard = scaled(features, features[:100])
    expected = LogisticRegression(C=1 / (0.1 * 100), tol=1e-8).fit(standard[:100], labels[:100] <= 1)
    np.testing.assert_allclose(z[:, 1], expected.decision_function(standard), atol=2e-3)
    assert (z[:, 2] > 4).all()


def test_what_the_probe_can_not_do_is_refused():
    features, labels = iris()
    with pytest.raises(DataError, match=r"needs at least 2 classes to tell apart, found: \[c0\] in 100 images"):
        fit(Probe(), features, np.zeros(150, int), classes=3, train=100)
    with pytest.raises(ConfigError, match="probe picks its penalty on the validation split, which is empty"):
        fit(Probe(), features, labels, classes=3, train=150)
    assert fit(Probe(l2=0.1), features, labels, classes=3, train=150)[0].head is not None
    features[7] = np.nan
    with pytest.raises(DataError, match="1 of 100 images have features that are NaN or infinite:\n  7"):
        fit(Probe(), features, labels, classes=3, train=100)


def test_majority_gives_the_class_frequencies_whatever_the_features():
    features, labels = iris()
    model, _ = fit(Majority(), features, labels, classes=4, train=100)
    p = softmax(logits(model, features), axis=1)
    expected = np.bincount(labels[:100], minlength=4) / 100
    np.testing.assert_allclose(p[0, :3], expected[:3], atol=0.005)
    assert 0 < p[0, 3] < 0.01
    np.testing.assert_array_equal(p, np.tile(p[0], (150, 1)))
    weighted, _ = fit(Majority(), features, [0] * 75 + [1] * 75, classes=2, train=100, weights=[1.0] * 75 + [9.0] * 25)
    np.testing.assert_allclose(softmax(logits(weighted, features), axis=1)[0], [0.25, 0.75], atol=1e-6)


def test_majority_of_multilabel_gives_the_rate_of_each_label():
    features, _ = iris()
    several = [[0, 1] if i % 4 == 0 else [1] for i in range(150)]
    model, _ = fit(Majority(), features, several, classes=3, train=100)
    rate = 1 / (1 + np.exp(-logits(model, features)[0]))
    np.testing.assert_allclose(rate, [0.25, 0.995, 0.005], atol=1e-6)


def test_majority_of_nothing_is_refused():
    with pytest.raises(DataError, match="the train split is empty"):
        fit(Majority(), iris()[0], [0, 1], classes=2, train=0)
