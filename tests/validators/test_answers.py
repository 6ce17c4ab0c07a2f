"""The validators that read nothing but the answers on the target, against their formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from headstart.validators.batch_nuclear_norm import BatchNuclearNorm
from headstart.validators.diversity import Diversity
from headstart.validators.entropy import Entropy
from headstart.validators.information_maximisation import InformationMaximisation
from headstart.validators.last_epoch import LastEpoch
from headstart.validators.soft_neighbourhood_density import SoftNeighbourhoodDensity
from headstart.validators.source_risk import SourceRisk
from tests.validators.cases import but, evidence

LOGITS = st.tuples(st.integers(2, 12), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-30, 30)))


def soft(logits):
    return np.array([np.exp(row) / np.exp(row).sum() for row in logits])


def seen(logits):
    return but(evidence(), target_logits=logits)


def slow_density(logits, temperature):
    chances, total = soft(logits), 0.0
    for i, row in enumerate(chances):
        others = [other for j, other in enumerate(chances) if j != i]
        near = np.array([row @ other / np.linalg.norm(row) / np.linalg.norm(other) for other in others]) / temperature
        total += entropy(np.exp(near - near.max()))
    return total / len(chances)


@given(LOGITS)
@settings(max_examples=50, deadline=None)
def test_they_equal_their_formulas(logits):
    chances, (count, classes) = soft(logits), logits.shape
    sure, spread = np.mean([entropy(row) for row in chances]), entropy(chances.mean(axis=0))
    near = {"abs": 1e-9}
    assert Entropy()(seen(logits)) == pytest.approx(-sure, **near)
    assert Diversity()(seen(logits)) == pytest.approx(spread, **near)
    assert InformationMaximisation()(seen(logits)) == pytest.approx(spread - sure, **near)
    assert BatchNuclearNorm()(seen(logits)) == pytest.approx(
        np.linalg.norm(chances, "nuc") / np.sqrt(min(count, classes) * count), **near)
    assert SoftNeighbourhoodDensity()(seen(logits)) == pytest.approx(slow_density(logits, 0.05), **near)


@given(LOGITS)
@settings(max_examples=50, deadline=None)
def test_they_keep_to_their_ranges(logits):
    count, classes = logits.shape
    most = np.log(classes) + 1e-9
    assert -most <= Entropy()(seen(logits)) <= 0
    assert 0 <= InformationMaximisation()(seen(logits)) <= Diversity()(seen(logits)) + 1e-9 <= most + 1e-9
    assert 0 < BatchNuclearNorm()(seen(logits)) <= 1
    assert 0 <= SoftNeighbourhoodDensity()(seen(logits)) <= np.log(count - 1) + 1e-9


def test_dense_clusters_of_answers_have_many_equally_near_neighbours():
    # Three clusters of 20 copies each: an image has 19 neighbours at cosine 1, and 40 far away.
    clusters = 50 * np.eye(3)[np.arange(60) % 3]
    assert SoftNeighbourhoodDensity()(seen(clusters)) == pytest.approx(np.log(19), abs=1e-5)
    noise = np.random.default_rng(0).normal(size=(60, 3))
    assert SoftNeighbourhoodDensity()(seen(clusters)) > SoftNeighbourhoodDensity()(seen(clusters + 60 * noise)) - 1


def test_blocks_and_a_hot_temperature_change_nothing_but_the_sharpness():
    logits = np.random.default_rng(0).normal(size=(1100, 3))
    hot = SoftNeighbourhoodDensity(temperature=1e6)
    assert hot(seen(logits)) == pytest.approx(np.log(1099), abs=1e-6)
    assert SoftNeighbourhoodDensity()(seen(logits[:530])) == pytest.approx(slow_density(logits[:530], 0.05))


def test_of_many_images_some_are_compared():
    logits = np.repeat(np.random.default_rng(0).normal(size=(50, 3)), 2, axis=0)
    few = SoftNeighbourhoodDensity(most=50)
    assert few(seen(logits)) == pytest.approx(
        SoftNeighbourhoodDensity()(seen(logits[np.linspace(0, 99, 50).astype(int)])))


def test_source_risk_is_the_cross_entropy_and_the_last_epoch_the_epoch():
    given = evidence(epoch=7)
    right = soft(given.source_logits)[np.arange(50), given.source_labels]
    assert SourceRisk()(given) == pytest.approx(np.log(right).mean())
    assert LastEpoch()(given) == 7
