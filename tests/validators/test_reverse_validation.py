"""Whether the answers on the target lead back to what is right on the source."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from scipy.stats import hmean
from sklearn.linear_model import Ridge
from sklearn.metrics import cohen_kappa_score

from headstart.validators.consistency import Consistency, spread
from headstart.validators.neighbour_agreement import NeighbourAgreement
from headstart.validators.reverse_validation import ReverseValidation
from headstart.validators.weighted_reverse_validation import WeightedReverseValidation
from tests.validators.cases import but, evidence


def slow(seen, penalty=1.0):
    """Cohen's kappa of scikit-learn's ridge regression of one-hot answers, on the source's images."""
    target = seen.target_features - seen.target_features.mean(axis=0)
    scale = target.std()
    source = np.concatenate([seen.train_features, seen.source_features])
    labels = np.concatenate([seen.train_labels, seen.source_labels])
    told = np.eye(seen.target_logits.shape[1])[seen.target_logits.argmax(axis=1)]
    fit = Ridge(alpha=penalty * len(target)).fit(target / scale, told)  # features of mean 0: the intercept is the mean
    return cohen_kappa_score(fit.predict((source - source.mean(axis=0)) / scale).argmax(axis=1), labels)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(2, 80), st.sampled_from([0.1, 1.0, 7.0]))
def test_it_is_the_kappa_of_a_ridge_regression_that_learned_the_answers(seed, images, width, penalty):
    seen = evidence((images, 30, 40, width, 3), seed)
    assert ReverseValidation(penalty=penalty)(seen) == pytest.approx(slow(seen, penalty), abs=1e-9)


def domains(names, *, shift=5.0, apart=8.0, count=90):
    """Three groups in both domains, the target's moved; its group k gets the answer names[k]."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    pictures = [rng.normal(size=(count, 6)) + apart * np.eye(6)[labels] for _ in range(3)]
    return but(evidence((count, count, count, 6, 3)), source_features=pictures[0], source_labels=labels,
               train_features=pictures[1], train_labels=labels, target_features=pictures[2] + shift,
               target_logits=9.0 * np.eye(3)[np.array(names)[labels]])


def test_right_names_lead_back_whatever_the_shift():
    assert ReverseValidation()(domains([0, 1, 2])) == 1
    assert Consistency()(domains([0, 1, 2])) == 1


def test_tidy_groups_under_swapped_names_deceive_their_neighbours_and_not_the_way_back():
    seen = domains([1, 0, 2])
    assert NeighbourAgreement()(seen) == 1
    assert ReverseValidation()(seen) < 0.1
    assert Consistency()(seen) < 0.2


def test_lines_through_the_groups_are_told_by_their_neighbours():
    seen = domains([0, 1, 2])
    noisy = np.random.default_rng(1).random(90) < 0.3
    said = np.where(noisy, np.random.default_rng(2).integers(0, 3, 90), np.arange(90) % 3)
    torn = but(seen, target_logits=9.0 * np.eye(3)[said])
    assert ReverseValidation()(torn) == 1
    assert Consistency()(torn) < 0.85


def test_one_answer_for_all_leads_nowhere():
    seen = domains([1, 1, 1])
    assert ReverseValidation()(seen) == 0
    assert Consistency()(seen) == 0


def test_the_mean_is_the_harmonic_one():
    seen = domains([0, 1, 1])
    noisy = np.random.default_rng(1).random(90) < 0.1
    said = np.where(noisy, 0, np.array([0, 1, 1])[np.arange(90) % 3])
    seen = but(seen, target_logits=3.0 * np.eye(3)[said])
    chances = np.exp(seen.target_logits)
    shares = (chances / chances.sum(axis=1, keepdims=True)).mean(axis=0)
    effective = [np.exp(scipy_entropy(part)) for part in (shares, np.bincount(seen.source()[1]))]
    found = [NeighbourAgreement()(seen), ReverseValidation()(seen), effective[0] / (0.9 * effective[1])]
    assert 0.2 < min(found) < max(found) < 0.99
    assert Consistency()(seen) == pytest.approx(hmean(found))


def test_answers_that_give_up_a_class_are_told_by_their_spread():
    """Two of three groups have run into one another; the shares of the source's classes are even."""
    seen = domains([0, 1, 1])
    assert NeighbourAgreement()(seen) == 1
    merged = np.exp(-(1 / 3 * np.log(1 / 3) + 2 / 3 * np.log(2 / 3))) / (0.9 * 3)  # nine tenths of three are enough
    assert spread(seen) == pytest.approx(merged, abs=1e-3)
    assert Consistency()(seen) == pytest.approx(hmean([1, ReverseValidation()(seen), merged]), abs=1e-3)


def test_answers_spread_wider_than_the_labels_are_no_better_for_it():
    seen = domains([0, 1, 2])
    rows = np.flatnonzero(np.arange(90) % 3 < 2)
    two = but(seen, source_features=seen.source_features[rows], source_labels=seen.source_labels[rows],
              train_features=seen.train_features[rows], train_labels=seen.train_labels[rows])
    assert spread(two) == 1


def test_of_a_target_with_two_of_three_classes_the_weighted_way_back_prefers_the_right_answers():
    seen = domains([0, 1, 2])
    rows = np.arange(90) % 3 < 2
    few = but(seen, target_features=seen.target_features[rows], target_logits=seen.target_logits[rows])
    third = np.random.default_rng(3).random(rows.sum()) < 1 / 3
    spread = but(few, target_logits=np.where(third[:, None], 9.0 * np.eye(3)[2], few.target_logits))
    assert WeightedReverseValidation()(few) == 1
    assert WeightedReverseValidation()(spread) < 0.9
    assert WeightedReverseValidation()(seen) == ReverseValidation()(seen) == 1
