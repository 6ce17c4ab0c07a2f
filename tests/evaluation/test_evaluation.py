"""Intervals, calibration, evaluation and comparison, against simulation, brute force and scikit-learn."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.naive_bayes import GaussianNB

from headstart.errors import ConfigError, DataError
from headstart.evaluation.calibration import fit_temperature, reliability
from headstart.evaluation.comparison import compare, compare_tables, mcnemar
from headstart.evaluation.evaluate import evaluate
from headstart.evaluation.intervals import bootstrap, effective_size, interval, resample
from headstart.probabilities import wilson
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import Multilabel

TASK = Classification()


def drawn(seed=0, *, samples=300, classes=4, strength=1.5):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(0, classes, samples), rng.normal(size=(samples, classes))
    logits[np.arange(samples), labels] += strength
    return logits, labels


def share(values):
    return lambda weights: {"accuracy": weights @ values / weights.sum(axis=1)}


def test_the_bootstrap_covers_the_truth_as_often_as_it_says():
    rng, inside, trials = np.random.default_rng(7), 0, 600
    for trial in range(trials):
        right = (rng.random(150) < 0.8).astype(float)
        found = bootstrap(share(right), 150, resamples=300, seed=trial)["accuracy"]
        bounds = interval("accuracy", right.mean(), found, size=150)
        inside += bounds.low <= 0.8 <= bounds.high
    assert 0.92 <= inside / trials <= 0.98


def test_whole_groups_are_drawn_and_widen_the_interval():
    right = np.repeat(np.random.default_rng(0).random(30) < 0.8, 10).astype(float)
    groups = np.repeat(np.arange(30), 10).tolist()
    for counts in resample(300, 20, seed=0, groups=groups):
        assert (counts.reshape(20, 30, 10) == counts.reshape(20, 30, 10)[:, :, :1]).all()
    alone = bootstrap(share(right), 300, resamples=500, seed=0)["accuracy"]
    together = bootstrap(share(right), 300, resamples=500, seed=0, groups=groups)["accuracy"]
    assert together.std() > 2 * alone.std()
    assert effective_size(300, groups=groups) == pytest.approx(30)


def test_a_perfect_score_does_not_claim_certainty():
    bounds = interval("accuracy", 1.0, np.ones(1000), size=50)
    assert bounds.low == pytest.approx(binomtest(50, 50).proportion_ci(method="wilson").low)
    assert bounds.high == 1.0
    assert wilson(0.3, 40) == pytest.approx(tuple(binomtest(12, 40).proportion_ci(method="wilson")))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    logits, labels = drawn()
    first, again, other = (evaluate(logits, labels, list("abcd"), TASK, seed=s, resamples=100) for s in (1, 1, 2))
    assert first.to_json() == again.to_json()
    assert first.metrics["accuracy"] != other.metrics["accuracy"]


@pytest.mark.parametrize("strength", [0.3, 4.0])
def test_the_temperature_equals_that_of_a_brute_force_grid(strength):
    logits, labels = drawn(samples=500)
    logits = logits * strength
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 601))
    losses = [-log_softmax(logits / t, axis=1)[np.arange(500), labels].mean() for t in grid]
    assert fit_temperature(logits, labels, TASK) == pytest.approx(grid[np.argmin(losses)], rel=0.01)


def test_the_temperature_never_raises_the_loss_and_stays_bounded_on_few_images():
    logits, labels = drawn(samples=6, strength=20)
    assert fit_temperature(logits, labels, TASK) >= 1 / (1 + 6 / 50) - 1e-6
    assert fit_temperature(logits[:0], labels[:0], TASK) == 1.0
    assert fit_temperature(np.zeros((50, 4)), np.arange(50) % 4, TASK) == 1.0


def test_the_temperature_is_no_colder_than_is_allowed():
    logits, labels = drawn(samples=500)
    assert fit_temperature(logits * 0.3, labels, TASK) < 0.9
    assert fit_temperature(logits * 0.3, labels, TASK, coldest=1.0) == pytest.approx(1.0, abs=1e-4)
    hot = fit_temperature(logits * 4, labels, TASK)
    assert hot > 1
    assert fit_temperature(logits * 4, labels, TASK, coldest=1.0) == pytest.approx(hot, rel=1e-4)


def test_reliability_bins_hold_every_image_once():
    logits, labels = drawn()
    p = TASK.probabilities(logits)
    bins = reliability(labels, p, p.argmax(axis=1))["bins"]
    assert len(bins) == 15
    assert sum(b["count"] for b in bins) == 300
    inside = (p.max(axis=1) > bins[9]["low"]) & (p.max(axis=1) <= bins[9]["high"])
    assert bins[9]["accuracy"] == pytest.approx((p.argmax(axis=1) == labels)[inside].mean())


def test_digits_are_evaluated_as_scikit_learn_does():
    images, labels = load_digits(return_X_y=True)
    fitted = GaussianNB(var_smoothing=0.1).fit(images[:900], labels[:900])
    logits = fitted.predict_joint_log_proba(images[900:])
    found = evaluate(logits, labels[900:], [str(d) for d in range(10)], TASK, resamples=200)
    decided = fitted.predict(images[900:])
    assert found.metrics["accuracy"].value == pytest.approx(accuracy_score(labels[900:], decided))
    assert found.metrics["f1_macro"].value == pytest.approx(f1_score(labels[900:], decided, average="macro"))
    assert found.metrics["log_loss"].value == pytest.approx(log_loss(labels[900:], fitted.predict_proba(images[900:])))
    for name, bounds in found.metrics.items():
        assert math.isnan(bounds.low) or bounds.low <= bounds.high, name
    assert np.trace(found.details["confusion"]) == accuracy_score(labels[900:], decided, normalize=False)


def test_a_class_that_is_absent_has_null_metrics_and_json_has_no_nan():
    logits, labels = drawn(classes=3)
    logits = np.hstack([logits, np.full((300, 1), -5.0)])
    found = evaluate(logits, labels, ["a", "b", "c", "rare"], TASK, resamples=50)
    assert found.details["undefined"] == ["rare"]
    assert found.details["per_class"]["rare"] == {"precision": None, "recall": None, "f1": None, "support": 0,
                                                  "auroc": None, "average_precision": None}
    one = evaluate(logits[:5], np.zeros(5, int), ["a", "b", "c", "rare"], TASK, resamples=50)
    assert one.to_json()["auroc"] == {"value": None, "low": None, "high": None}
    json.dumps([one.to_json(), one.details, found.details], allow_nan=False)


def test_multilabel_is_evaluated_and_uncalibrated_error_is_told_apart():
    rng = np.random.default_rng(0)
    labels = (rng.random((200, 3)) < 0.4).astype(np.float32)
    logits = 8 * (labels - 0.5 + rng.normal(size=labels.shape))
    found = evaluate(logits, labels, list("abc"), Multilabel(), temperature=4.0, resamples=50)
    calibrated, plain = (found.metrics[f"expected_calibration_error{end}"].value for end in ("", "_uncalibrated"))
    assert calibrated < plain
    assert found.metrics["f1_micro"].value == pytest.approx(f1_score(labels, logits >= 0, average="micro"))
    json.dumps(found.details, allow_nan=False)


def test_what_can_not_be_evaluated_is_refused():
    with pytest.raises(DataError, match="no image to evaluate on"):
        evaluate(np.zeros((0, 2)), np.zeros(0, int), ["a", "b"], TASK)
    with pytest.raises(DataError, match="1 of 2 images have logits that are NaN or infinite"):
        evaluate(np.array([[1, np.nan], [0, 1]]), np.zeros(2, int), ["a", "b"], TASK)


def test_comparison_tells_a_better_model_from_an_equal_one():
    logits, labels = drawn(strength=2.5)
    worse = drawn(strength=0.5)[0]
    good, bad = TASK.probabilities(logits), TASK.probabilities(worse)
    found = compare(labels, good, bad, task=TASK)
    assert found.value == pytest.approx((good.argmax(1) == labels).mean() - (bad.argmax(1) == labels).mean())
    assert found.low < found.value < found.high
    assert (found.verdict, found.probability_a_better) == ("better", 1.0)
    assert compare(labels, good, bad, task=TASK, metric="log_loss").verdict == "better"
    assert compare(labels, bad, good, task=TASK).verdict == "worse"
    same = compare(labels, good, good, task=TASK)
    assert (same.value, same.probability_a_better, same.verdict) == (0.0, 0.5, "no difference shown")
    assert same.to_json()["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (4, 0), (3, 9), (800, 700)])
def test_mcnemar_equals_the_exact_binomial_test(only_a, only_b):
    count = only_a + only_b
    expected = binomtest(only_a, count, 0.5).pvalue if count else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(expected)


def test_models_are_compared_by_their_own_decisions():
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 10)
    p = np.where(labels > 0, 0.4, 0.2)
    low, half = Multilabel(threshold=(0.3, 0.3)), Multilabel()
    found = compare(labels, p, p, task=half, metric="f1_macro", decisions=(low.decide(p), half.decide(p)))
    assert found.value == 1 - 0
    rows = pd.DataFrame({"id": [f"{n}" for n in range(40)], "split": "test", "probabilities": list(p),
                         "label": [np.flatnonzero(row) for row in labels]})
    tables = [rows.assign(predicted=[np.flatnonzero(row) for row in task.decide(p)]) for task in (low, half)]
    assert compare_tables(*tables, task=half, metric="f1_macro") == found


def test_four_images_of_difference_are_not_called_better():
    labels = np.zeros(300, int)
    good = np.tile([0.9, 0.1], (300, 1))
    bad = good.copy()
    bad[:4] = [0.1, 0.9]
    assert compare(labels, good, bad, task=TASK).verdict == "no difference shown"


def table(p, labels, *, split="test", prefix="i"):
    return pd.DataFrame({"id": [f"{prefix}{n}" for n in range(len(p))], "split": split, "label": list(labels),
                         "predicted": p.argmax(axis=1), "probabilities": list(p)})


def test_tables_are_matched_by_id_and_refused_where_they_differ():
    logits, labels = drawn()
    p, q = TASK.probabilities(logits), TASK.probabilities(drawn(strength=0.5)[0])
    a, b = table(p, labels), table(q, labels)
    assert compare_tables(a, b.sample(frac=1, random_state=0), task=TASK) == compare_tables(a, b, task=TASK)
    assert compare_tables(a, b, task=TASK).value == compare(labels, p, q, task=TASK).value
    with pytest.raises(ConfigError, match="tested on different images; 2 are in one only"):
        compare_tables(a, b.iloc[2:], task=TASK)
    with pytest.raises(ConfigError, match="300 images have another label in a than in b"):
        compare_tables(a, table(q, (labels + 1) % 4), task=TASK)
    with pytest.raises(ConfigError, match="a has 4 classes, b has 3"):
        compare_tables(a, table(q[:, :3], labels), task=TASK)
    with pytest.raises(ConfigError, match="b has no predictions on the test split"):
        compare_tables(a, table(q, labels, split="val"), task=TASK)
    with pytest.raises(ConfigError, match="b predicts some samples twice"):
        compare_tables(a, pd.concat([b, b.iloc[:1]]), task=TASK)
