"""Every metric against scikit-learn, on plain samples and on the repeated samples of a bootstrap."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from headstart.errors import ConfigError
from headstart.metrics import METRICS, compute, metric, names_for


def draw(seed, *, samples=60, classes=5, ties=False, absent=False):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - absent, samples)
    logits = rng.normal(size=(samples, classes))
    logits[np.arange(samples), labels] += 1
    if ties:
        logits = np.round(logits)
    p = np.exp(logits)
    return labels, p / p.sum(axis=1, keepdims=True)


def draw_multilabel(seed, *, samples=60, classes=4, ties=False):
    rng = np.random.default_rng(seed)
    labels = (rng.random((samples, classes)) < 0.4).astype(int)
    p = 1 / (1 + np.exp(-(2 * labels - 1 + rng.normal(size=labels.shape))))
    return labels, np.round(p, 1) if ties else p


def guo(claimed, right):
    """ECE by its definition, bin by bin."""
    total = 0.0
    for b in range(15):
        inside = (claimed > b / 15) & (claimed <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - claimed[inside].mean())
    return total


def averages(labels, decided, names, only=None):
    out = {}
    for average in names:
        found = sk.precision_recall_fscore_support(labels, decided, average=average, labels=only,
                                                   zero_division=0)
        out |= {f"{n}_{average}": v for n, v in zip(("precision", "recall", "f1"), found[:3], strict=True)}
    return out


def one_vs_rest(truth, p):
    seen = [c for c in range(truth.shape[1]) if truth[:, c].any()]
    mixed = [c for c in seen if truth[:, c].sum() < len(truth)]
    return {"auroc": np.mean([sk.roc_auc_score(truth[:, c], p[:, c]) for c in mixed]),
            "average_precision": np.mean([sk.average_precision_score(truth[:, c], p[:, c]) for c in seen])}


def reference(labels, p):
    decided, classes = p.argmax(axis=1), p.shape[1]
    truth = np.eye(classes)[labels]
    return {
        "accuracy": sk.accuracy_score(labels, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, decided),
        **averages(labels, decided, ("macro", "micro", "weighted")), **one_vs_rest(truth, p),
        "log_loss": sk.log_loss(labels, p, labels=range(classes)), "brier": ((p - truth) ** 2).sum(axis=1).mean(),
        "cohen_kappa": sk.cohen_kappa_score(labels, decided), "mcc": sk.matthews_corrcoef(labels, decided),
        "expected_calibration_error": guo(p.max(axis=1), decided == labels),
    }


def reference_multilabel(labels, p):
    decided, columns = (p >= 0.5).astype(int), range(labels.shape[1])
    occurs = [c for c in columns if labels[:, c].any() or decided[:, c].any()]
    return {
        "subset_accuracy": sk.accuracy_score(labels, decided), "hamming_loss": sk.hamming_loss(labels, decided),
        **averages(labels, decided, ("micro", "weighted", "samples")),
        **averages(labels, decided, ("macro",), occurs), **one_vs_rest(labels, p),
        "log_loss": np.mean([sk.log_loss(labels[:, c], p[:, c], labels=[0, 1]) for c in columns]),
        "brier": np.mean([sk.brier_score_loss(labels[:, c], p[:, c]) for c in columns]),
        "expected_calibration_error": guo(p.ravel(), labels.ravel()),
    }


def check(found, expected, row=0):
    assert expected.keys() <= found.keys()
    for name, value in expected.items():
        assert found[name][row] == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize("options", [{}, {"classes": 2}, {"ties": True}, {"absent": True}, {"samples": 7}])
def test_classification_metrics_equal_scikit_learn_on_samples_and_on_resamples(options):
    labels, p = draw(3, **options)
    counts = np.random.default_rng(1).multinomial(len(labels), np.ones(len(labels)) / len(labels), size=4)
    found, resampled = compute(labels, p), compute(labels, p, weights=counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(found, reference(labels, p))
        for row, count in enumerate(counts):
            again = np.repeat(np.arange(len(labels)), count)
            check(resampled, reference(labels[again], p[again]), row)


@pytest.mark.parametrize("options", [{}, {"ties": True}, {"classes": 1}, {"samples": 8}])
def test_multilabel_metrics_equal_scikit_learn_on_samples_and_on_resamples(options):
    labels, p = draw_multilabel(5, **options)
    counts = np.random.default_rng(2).multinomial(len(labels), np.ones(len(labels)) / len(labels), size=4)
    if options.get("classes") == 1:
        labels_2, p_2 = np.repeat(labels, 2, axis=1), np.repeat(p, 2, axis=1)  # scikit-learn takes one column as binary
    else:
        labels_2, p_2 = labels, p
    resampled = compute(labels_2, p_2, weights=counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(compute(labels_2, p_2), reference_multilabel(labels_2, p_2))
        for row, count in enumerate(counts):
            again = np.repeat(np.arange(len(labels)), count)
            check(resampled, reference_multilabel(labels_2[again], p_2[again]), row)


def test_uneven_sample_weights_equal_those_of_scikit_learn():
    labels, p = draw(8, classes=3)
    weights = np.random.default_rng(0).random(len(labels)) + 0.1
    found, decided = compute(labels, p, weights=weights), p.argmax(axis=1)
    assert found["accuracy"][0] == pytest.approx(sk.accuracy_score(labels, decided, sample_weight=weights))
    assert found["mcc"][0] == pytest.approx(sk.matthews_corrcoef(labels, decided, sample_weight=weights))
    assert found["log_loss"][0] == pytest.approx(sk.log_loss(labels, p, sample_weight=weights))
    auroc = [sk.roc_auc_score(labels == c, p[:, c], sample_weight=weights) for c in range(3)]
    assert found["auroc"][0] == pytest.approx(np.mean(auroc))


def test_top_k_accuracy_equals_scikit_learn():
    labels, p = draw(4, classes=8)
    found = compute(labels, p)
    for k in (3, 5):
        assert found[f"top_{k}_accuracy"][0] == pytest.approx(sk.top_k_accuracy_score(labels, p, k=k))


def test_binary_brier_is_twice_scikit_learns():
    labels, p = draw(2, classes=2)
    assert compute(labels, p)["brier"][0] == pytest.approx(2 * sk.brier_score_loss(labels, p[:, 1]))


def test_a_certain_and_wrong_answer_has_a_finite_log_loss_as_in_scikit_learn():
    labels, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert compute(labels, p)["log_loss"][0] == pytest.approx(sk.log_loss(labels, p))


def test_what_is_undefined_is_nan():
    labels, p = np.zeros(4, int), np.tile([0.9, 0.1], (4, 1))
    found = compute(labels, p)
    assert np.isnan(found["auroc"][0])
    assert np.isnan(found["cohen_kappa"][0])
    assert np.isnan(compute(labels, p, weights=np.zeros((1, 4)))["accuracy"][0])


def test_an_unknown_metric_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r'unknown metric "acuracy"\. Did you mean "accuracy"'):
        metric("acuracy")
    labels, p = draw(0)
    with pytest.raises(ConfigError, match='"hamming_loss" does not exist for classification with 5 classes'):
        compute(labels, p, names=["hamming_loss"])


def test_top_k_is_named_only_where_it_says_something():
    assert "top_3_accuracy" not in names_for("classification", 3)
    assert "top_3_accuracy" in names_for("classification", 4)
    assert "top_5_accuracy" not in names_for("classification", 5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), samples=st.integers(1, 30), classes=st.integers(2, 7), ties=st.booleans())
def test_metrics_stay_in_their_range_and_ignore_the_order_of_samples(seed, samples, classes, ties):
    labels, p = draw(seed, samples=samples, classes=classes, ties=ties)
    shuffled = np.random.default_rng(seed).permutation(samples)
    found, again = compute(labels, p), compute(labels[shuffled], p[shuffled])
    for name, (value,) in found.items():
        assert np.isnan(value) or METRICS[name].low - 1e-12 <= value <= METRICS[name].high + 1e-12, name
        assert again[name][0] == pytest.approx(value, abs=1e-9, nan_ok=True), name
