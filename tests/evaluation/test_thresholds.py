"""Thresholds per class give the best F1 that any would, and move from 0.5 only for a gain."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from headstart.evaluation.thresholds import choose_thresholds
from headstart.tasks.multilabel import Multilabel


def f1(labels, scores, threshold, weights=None):
    return f1_score(labels, scores >= threshold, sample_weight=weights, zero_division=0)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weighted", [False, True])
def test_f1_is_that_of_trying_every_score(seed, weighted):
    rng = np.random.default_rng(seed)
    labels = (rng.random((40, 3)) < [0.5, 0.2, 0.05]).astype(int)
    labels[0], labels[1] = 1, 0
    # Two digits, so that scores tie; the ends are among them.
    scores = np.round(np.clip(0.4 * labels + rng.normal(0.3, 0.3, (40, 3)), 0, 1), 2)
    weights = rng.integers(1, 5, 40).astype(float) if weighted else None
    found = choose_thresholds(labels, scores, weights=weights)
    for c, threshold in enumerate(found):
        every = [f1(labels[:, c], scores[:, c], t, weights) for t in np.unique(scores[:, c]) if t > 0]
        assert f1(labels[:, c], scores[:, c], threshold, weights) == pytest.approx(max(every), abs=1e-12)
        assert 0 < threshold < 1


@pytest.mark.parametrize("seed", range(8))
def test_of_equally_good_thresholds_the_one_nearest_half_is_taken(seed):
    """Brute force over a fine grid that holds every way to divide the scores."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 12)
    labels[:2] = 0, 1
    scores = np.round(rng.random(12), 1) * 0.8 + 0.1
    found = choose_thresholds(labels[:, None], scores[:, None])[0]
    middles = (np.unique(scores)[1:] + np.unique(scores)[:-1]) / 2
    grid = [0.5, scores.min() / 2, *middles]
    best = max(f1(labels, scores, t) for t in grid)
    nearest = min(abs(t - 0.5) for t in grid if f1(labels, scores, t) >= best - 1e-12)
    assert abs(found - 0.5) == pytest.approx(nearest, abs=1e-12)


def test_half_stays_where_nothing_is_better():
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.1, 0.9], [0.1, 0.2, 0.8], [0.8, 0.1, 0.7], [0.3, 0.2, 0.6]])
    # Divided rightly by 0.5; always there; never there.
    assert choose_thresholds(labels, scores) == (0.5, 0.5, 0.5)


def test_a_rare_label_with_low_scores_is_found():
    labels = np.array([0] * 18 + [1] * 2)[:, None]
    scores = np.array([0.01] * 18 + [0.05, 0.07])[:, None]
    assert choose_thresholds(labels, scores) == (pytest.approx(0.03),)


def test_a_score_that_says_nothing_gives_every_image_the_label():
    """F1 of always is 2 * 1/4 / (1 + 1/4), of never 0."""
    threshold = choose_thresholds(np.array([[1], [0], [0], [0]]), np.full((4, 1), 0.25))[0]
    assert threshold == 0.125


@pytest.mark.parametrize("scores", [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 5e-324],
                                    [np.nextafter(1, 0), 1.0], [0.3, np.nextafter(0.3, 1)]])
def test_thresholds_of_scores_at_the_ends_are_ones_that_a_model_can_have(scores):
    labels = np.array([[0], [1]])
    chosen = choose_thresholds(labels, np.array(scores)[:, None])
    task = Multilabel(threshold=chosen)
    again = Multilabel.parse(json.loads(task.model_dump_json()))
    assert again == task
    possible = [f1([0, 1], np.array(scores), t) for t in (*scores, 0.5) if 0 < t < 1]
    assert f1([0, 1], np.array(scores), chosen[0]) >= max(possible, default=0)


def test_samples_without_weight_do_not_count():
    labels, scores = np.array([[1], [0], [1]]), np.array([[0.9], [0.4], [0.1]])
    assert choose_thresholds(labels, scores, weights=np.array([1.0, 1.0, 0.0])) == (0.5,)
    assert choose_thresholds(labels, scores, weights=np.array([1.0, 0.0, 1.0])) == (0.5,)
