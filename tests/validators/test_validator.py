import warnings

import numpy as np
import pytest

from headstart.errors import ConfigError, DataError
from headstart.validators.validator import VALIDATORS
from tests.validators.cases import but, evidence

NAMES = VALIDATORS.names()
SIZES = {"many": (200, 90, 120, 6, 5), "more features than images": (20, 15, 30, 200, 3), "two each": (2, 2, 2, 5, 2),
         "one class": (12, 9, 20, 4, 1), "a thousand classes": (40, 30, 50, 6, 1000), "one feature": (30, 20, 20, 1, 3)}
OF_ANSWERS = ["batch_nuclear_norm", "diversity", "entropy", "information_maximisation", "soft_neighbourhood_density"]


def score(name, given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return VALIDATORS.get(name)()(given)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_it_is_a_finite_number(name, sizes):
    found = score(name, evidence(sizes))
    assert isinstance(found, float)
    assert np.isfinite(found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("logits", [0.0, 5000.0])
def test_features_and_answers_that_collapsed_are_a_finite_number(name, logits):
    given = evidence((30, 20, 25, 6, 4))
    fallen = but(given, **{field: np.full_like(getattr(given, field), 0.1)
                           for field in ("target_features", "source_features", "train_features")},
                 target_logits=np.tile([logits, 0, 0, 0], (30, 1)), source_logits=np.tile([logits, 0, 0, 0], (20, 1)))
    assert np.isfinite(score(name, fallen))


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_the_classes_and_a_constant_in_the_logits_mean_nothing(name):
    given, order = evidence(), np.array([2, 0, 3, 1])
    renamed = but(given, target_logits=given.target_logits[:, order] + 40, source_logits=given.source_logits[:, order],
                  source_labels=np.argsort(order)[given.source_labels],
                  train_labels=np.argsort(order)[given.train_labels])
    assert score(name, renamed) == pytest.approx(score(name, given), rel=1e-6)


@pytest.mark.parametrize("name", OF_ANSWERS)
def test_the_order_of_the_target_means_nothing(name):
    given, order = evidence(), np.random.default_rng(0).permutation(60)
    mixed = but(given, target_logits=given.target_logits[order], target_features=given.target_features[order])
    assert score(name, mixed) == pytest.approx(score(name, given))


@pytest.mark.parametrize("name", ["batch_nuclear_norm", "entropy", "information_maximisation"])
def test_a_model_that_parts_the_target_better_is_better(name):
    found = [score(name, evidence((300, 50, 70, 8, 4), target_apart=apart)) for apart in (0.0, 1.0, 3.0, 9.0)]
    assert found == sorted(found)


@pytest.mark.parametrize("name", ["deep_embedded_validation", "source_risk"])
def test_a_model_that_is_right_more_often_on_the_source_is_better(name):
    found = [score(name, evidence((100, 300, 100, 8, 4), source_apart=apart)) for apart in (0.0, 1.0, 3.0, 9.0)]
    assert found == sorted(found)


@pytest.mark.parametrize("name", ["batch_nuclear_norm", "diversity", "information_maximisation"])
def test_a_model_that_answers_one_class_only_is_worse(name):
    given = evidence(target_apart=9.0)
    crowded = but(given, target_logits=np.tile([9.0, 0, 0, 0], (60, 1)))
    assert score(name, crowded) < score(name, given)


@pytest.mark.parametrize("name", OF_ANSWERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_answers_that_are_no_numbers_are_refused(name, bad):
    given = evidence()
    broken = given.target_logits.copy()
    broken[3, 1] = bad
    with pytest.raises(DataError, match=f"{name}: some logits are NaN or infinite: the model has diverged"):
        score(name, but(given, target_logits=broken))


@pytest.mark.parametrize("name", ["deep_embedded_validation", "source_risk"])
def test_answers_on_the_source_that_are_no_numbers_are_refused(name):
    with pytest.raises(DataError, match=f"{name}: some logits are NaN"):
        score(name, but(evidence(), source_logits=np.full((50, 4), np.nan)))


@pytest.mark.parametrize("name", OF_ANSWERS)
def test_no_target_is_refused(name):
    with pytest.raises(DataError, match=rf"{name}: needs logits of at least one image, one row each; got \(0, 4\)"):
        score(name, but(evidence(), target_logits=np.zeros((0, 4))))


def test_a_wrong_name_gets_the_nearest():
    with pytest.raises(ConfigError, match=r'unknown validator "entropi".* Did you mean "entropy"'):
        VALIDATORS.get("entropi")


def test_a_validator_that_others_are_made_of_is_asked_once_of_the_same_evidence(monkeypatch):
    asked, part = [], VALIDATORS.get("neighbour_agreement")
    answer = part.__call__
    monkeypatch.setattr(part, "__call__", lambda self, seen: asked.append(seen) or answer(self, seen))
    given = evidence()
    assert given.verdict("consistency") == pytest.approx(score("consistency", evidence()))
    asked.clear()
    assert given.verdict("neighbour_agreement") == answer(part(), given)
    assert not asked
    assert but(given, epoch=4).verdict("neighbour_agreement") == answer(part(), given)
    assert len(asked) == 1
