"""Evidence: values, their resamples, and ranks with intervals."""

import numpy as np
import torch

from headstart.events import silent
from headstart.selection.candidates import Wanted, find_candidates
from headstart.selection.evidence import (
    DEFAULT,
    Evidence,
    Seen,
    bounded,
    judge,
    of_fewer_classes,
    ranks,
    source_probabilities,
)
from tests.selection.small import pool_on


def seen(*, separation: float, count: int = 60, seed: int = 0) -> Seen:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    features = rng.normal(size=(count, 8)).astype(np.float32)
    features[:, 0] += separation * labels
    return Seen(features, labels, 2, None, None)


def evidence(values, losses=None) -> Evidence:
    return Evidence(float(np.mean(values)), np.asarray(values, float), 0.5, (0.4, 0.6), losses)


def test_features_that_tell_the_classes_apart_are_worth_more_by_every_measure():
    for score in (DEFAULT, "linear_probe", "knn", "logme", "gbc"):
        near, far = (judge(seen(separation=s), score=score, gmacs=1.0, seed=0).value for s in (0.3, 4.0))
        assert far > near, score


def test_the_value_lies_within_its_own_resamples():
    """Few images with long features: a resample, which holds some of them twice, looks far better separated."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 5
    few = Seen(rng.normal(size=(60, 200)).astype(np.float32) + labels[:, None] * 0.1, labels, 5, None, None)
    for score in (DEFAULT, "gbc", "logme", "linear_probe"):
        found = judge(few, score=score, gmacs=1.0, seed=0)
        low, high = np.quantile(found.replicates, [0.025, 0.975])
        assert low <= found.value <= high, score


def test_a_larger_model_is_preferred_where_the_features_are_alike():
    small, large = (judge(seen(separation=1.0), score=DEFAULT, gmacs=gmacs, seed=0) for gmacs in (0.3, 3.0))
    assert np.isclose(large.value - small.value, 0.3 * np.log(10))


def test_features_that_are_all_the_same_have_a_finite_value():
    constant = Seen(np.ones((30, 5), np.float32), np.arange(30) % 2, 2, None, None)
    assert np.isfinite(judge(constant, score=DEFAULT, gmacs=1.0, seed=0).value)


def test_the_resamples_are_the_same_for_every_backbone():
    first = judge(seen(separation=1.0), score="linear_probe", gmacs=1.0, seed=0)
    again = judge(seen(separation=1.0), score="linear_probe", gmacs=1.0, seed=0)
    np.testing.assert_array_equal(first.replicates, again.replicates)


def test_candidates_that_are_alike_share_their_places_and_a_clear_winner_has_his_own():
    rng = np.random.default_rng(0)
    clear, alike, twin = (evidence(level + rng.normal(size=500) * 0.1) for level in (5.0, 0.0, 0.0))
    assert ranks([alike, clear, twin]) == [(2, 3), (1, 1), (2, 3)]


def test_none_stands_before_one_whose_probe_is_clearly_better():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=200)
    knows = evidence(1.0 + noise, losses=0.4 + 0.02 * noise)
    large_and_random = evidence(2.0 + noise, losses=0.6 + 0.02 * noise)
    large_and_alike = evidence(1.5 + noise, losses=0.41 + 0.02 * rng.normal(size=200))
    found = bounded([large_and_random, knows, large_and_alike])
    assert found[0].value < found[1].value < found[2].value
    assert found[1:] == [knows, large_and_alike], "what the probe can't tell apart keeps its order"
    np.testing.assert_allclose(large_and_random.replicates - found[0].replicates, 2.0 + noise.mean() - found[0].value)
    assert ranks(found)[0] == (3, 3)
    assert ranks(found)[1][1] < 3


def test_a_named_score_orders_by_itself():
    low, high = (judge(seen(separation=s), score="knn", gmacs=1.0, seed=0) for s in (0.3, 4.0))
    assert bounded([low, high]) == [low, high]


def test_equal_candidates_are_both_first():
    same = np.random.default_rng(0).normal(size=100)
    assert ranks([evidence(same), evidence(same)]) == [(1, 1), (1, 1)]


def test_the_source_s_answers_are_its_classifier_on_the_pooled_features(data, alive):
    pool = pool_on(data)
    backbone, _ = find_candidates(Wanted(backbones=(alive,), sizes=(32,)))[0].build()
    assert source_probabilities(backbone, np.zeros((1, backbone.width), np.float32)) is None
    backbone.keep_classifier(torch.nn.Linear(backbone.width, 7))
    features = pool.features(backbone, np.arange(10), silent)
    expected = backbone.classifier(torch.from_numpy(features)).softmax(1).detach().numpy()
    np.testing.assert_allclose(source_probabilities(backbone, features), expected, atol=1e-6)


def test_of_a_thousand_classes_a_hundred_are_judged_by_all_their_images():
    rng = np.random.default_rng(0)
    labels = np.arange(3000) % 1000
    features = rng.normal(size=(3000, 4)).astype(np.float32)
    few = of_fewer_classes(Seen(features, labels, 1000, None, [str(label) for label in labels]))
    assert (few.classes, len(few.labels), set(few.labels)) == (100, 300, set(range(100)))
    assert all((features == row).all(axis=1).any() for row in few.features)
    assert len(few.groups) == 300
    several = of_fewer_classes(Seen(features, np.eye(1000)[labels], 1000, None, None))
    assert several.labels.shape == (3000, 100)
