"""Rare classes: what they weigh, how often they are drawn, and what is refused."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from headstart.data.dataset import Dataset
from headstart.errors import ConfigError, DataError
from headstart.training.imbalance import BETA, prior, refuse, sampling_probabilities, train_weights
from headstart.types import Sample

LABELS = [0] * 90 + [1] * 9 + [2]


def dataset(labels=LABELS, weights=None, classes=("a", "b", "c"), task="classification"):
    weights = weights if weights is not None else [1.0] * len(labels)
    samples = tuple(Sample(str(n), b"".join, label, weight=weight)  # type: ignore[arg-type]
                    for n, (label, weight) in enumerate(zip(labels, weights, strict=True)))
    return Dataset(samples, classes, task, "table")


SEVERAL = dataset([(0,), (0, 1), (0,), ()], classes=("a", "b", "c"), task="multilabel")


def test_without_class_weights_the_samples_own_weights_stay_scaled_to_mean_1():
    found = train_weights(dataset([0, 0, 1], [1, 2, 3]), "none")
    np.testing.assert_allclose(found, [0.5, 1, 1.5], rtol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(train_weights(SEVERAL, "none"), np.ones(4))


def test_balanced_weights_are_those_of_scikit_learn():
    expected = compute_sample_weight("balanced", LABELS)
    np.testing.assert_allclose(train_weights(dataset(), "balanced"), expected / expected.mean(), rtol=1e-6)


def test_balanced_classes_weigh_the_same_whatever_their_samples_weigh():
    weights = np.random.default_rng(0).uniform(0, 3, len(LABELS))
    found = train_weights(dataset(weights=weights.tolist()), "balanced").astype(float)
    np.testing.assert_allclose(np.bincount(LABELS, found), [100 / 3] * 3, rtol=1e-5)
    np.testing.assert_allclose(found[:90] / found[0], weights[:90] / weights[0], rtol=1e-5)


def test_effective_weights_follow_the_geometric_sum():
    counts = np.bincount(LABELS)
    # (1 - beta^n) / (1 - beta) = 1 + beta + ... + beta^(n - 1)
    expected = np.array([1 / sum(BETA ** k for k in range(n)) for n in counts])[LABELS]
    np.testing.assert_allclose(train_weights(dataset(), "effective"), expected / expected.mean(), rtol=1e-5)


def test_effective_weights_lie_between_none_and_balanced_for_large_classes():
    large = dataset([0] * 20_000 + [1] * 2_000, classes=("a", "b"))
    ratio = {kind: float(w[-1] / w[0]) for kind in ("none", "balanced", "effective")
             for w in [train_weights(large, kind)]}
    assert ratio["none"] == 1
    assert ratio["balanced"] == pytest.approx(10, rel=1e-5)
    assert ratio["effective"] == pytest.approx(1 / (1 - BETA ** 2_000), rel=1e-4)


def test_a_class_of_weight_0_and_a_class_without_images_do_no_harm():
    found = dataset([0, 0, 1], [1, 1, 0])
    np.testing.assert_allclose(train_weights(found, "balanced"), [1.5, 1.5, 0])
    np.testing.assert_allclose(sampling_probabilities(found, "balanced"), [0.5, 0.5, 0])
    np.testing.assert_allclose(prior(found), [3 / 4, 1 / 8, 1 / 8])


def test_weights_that_are_all_0_are_refused():
    for work in (lambda d: train_weights(d, "none"), lambda d: sampling_probabilities(d, "balanced"), prior):
        with pytest.raises(DataError, match="every image of the train split has weight 0"):
            work(dataset([0, 1], [0, 0]))


def test_balanced_sampling_draws_classes_alike_and_samples_by_their_weights():
    assert sampling_probabilities(dataset(), "natural") is None
    weights = np.random.default_rng(1).uniform(0.1, 3, len(LABELS))
    found = sampling_probabilities(dataset(weights=weights.tolist()), "balanced")
    np.testing.assert_allclose(np.bincount(LABELS, found), [1 / 3] * 3)
    np.testing.assert_allclose(found[90:99] / found[90], weights[90:99] / weights[90], rtol=1e-6)
    assert found.dtype == np.float64


def test_what_was_drawn_by_weight_is_not_weighted_again():
    weighted = dataset([0, 0, 1], [1, 2, 3])
    np.testing.assert_array_equal(train_weights(weighted, "none", sampling="balanced"), np.ones(3))


def test_prior_of_one_class_an_image_is_its_share():
    np.testing.assert_allclose(prior(dataset()), [0.9, 0.09, 0.01], rtol=1e-6)
    np.testing.assert_allclose(prior(dataset([0, 1], [1, 3], classes=("a", "b"))), [0.25, 0.75])


def test_prior_of_labels_keeps_half_an_image_from_0_and_1():
    np.testing.assert_allclose(prior(SEVERAL), [0.75, 0.25, 0.125])
    everywhere = dataset([(0,), (0,)], classes=("a", "b"), task="multilabel")
    np.testing.assert_allclose(prior(everywhere), [0.75, 0.25])


@pytest.mark.parametrize("work", [
    lambda: train_weights(SEVERAL, "balanced"), lambda: train_weights(SEVERAL, "effective"),
    lambda: sampling_probabilities(SEVERAL, "balanced")])
def test_class_weights_of_multilabel_data_are_refused_since_they_would_do_nothing(work):
    with pytest.raises(ConfigError, match=r"(balanced|effective): an image of a multilabel data set has no one class"):
        work()


@pytest.mark.parametrize(("settings", "named"), [
    ({"class_weights": "balanced", "sampling": "balanced"}, "class_weights and sampling both"),
    ({"class_weights": "none", "sampling": "balanced", "uses_prior": True}, "sampling and loss both"),
    ({"class_weights": "effective", "sampling": "natural", "uses_prior": True}, "class_weights and loss both"),
])
def test_an_imbalance_is_corrected_once(settings, named):
    with pytest.raises(ConfigError, match=named):
        refuse("classification", **settings)


def test_one_correction_is_welcome():
    for class_weights, sampling, uses_prior in (("effective", "natural", False), ("none", "balanced", False),
                                                ("none", "natural", True)):
        refuse("classification", class_weights=class_weights, sampling=sampling, uses_prior=uses_prior)
    refuse("multilabel", class_weights="none", sampling="natural", uses_prior=True)
