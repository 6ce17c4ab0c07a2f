import numpy as np
import pytest

from headstart.errors import DataError
from headstart.validators.deep_embedded_validation import DeepEmbeddedValidation, controlled
from headstart.validators.source_risk import SourceRisk
from tests.validators.cases import but, evidence


def shifted(seed, *, count=1500, shift=1.0):
    """A model that is right where the first feature is below 0.5; the target has larger ones.

    Returns the evidence and the model's true error on the target.
    """
    rng = np.random.default_rng(seed)
    source, train, target = (rng.normal(size=(count, 3)) for _ in range(3))
    target[:, 0] += shift
    labels = rng.integers(0, 2, count)
    wrong = source[:, 0] > 0.5
    said = np.where(wrong, 1 - labels, labels)
    given = but(evidence(), source_features=source, train_features=train, target_features=target,
                source_logits=4 * np.eye(2)[said], source_labels=labels, target_logits=np.zeros((count, 2)))
    return given, float((target[:, 0] > 0.5).mean())


def test_it_foresees_the_error_on_the_target_which_the_source_hides():
    found, true, plain = [], [], []
    for seed in range(4):
        given, error = shifted(seed)
        found.append(-DeepEmbeddedValidation(loss="error")(given))
        true.append(error)
        plain.append(np.mean(given.source_logits.argmax(1) != given.source_labels))
    assert np.mean(found) == pytest.approx(np.mean(true), abs=0.05)
    assert np.mean(true) - np.mean(plain) > 0.3


def test_where_nothing_shifts_it_is_the_source_risk():
    given, _ = shifted(0, shift=0.0)
    assert DeepEmbeddedValidation()(given) == pytest.approx(SourceRisk()(given), rel=0.05)
    collapsed = but(given, source_features=np.ones((1500, 3)), train_features=np.ones((1500, 3)),
                    target_features=np.ones((1500, 3)))
    assert DeepEmbeddedValidation()(collapsed) == pytest.approx(SourceRisk()(given))


def test_the_control_variate_by_hand():
    losses, weights = np.array([1.0, 0.0, 2.0]), np.array([0.5, 1.0, 3.0])
    weighted = losses * weights
    factor = -np.cov(weighted, weights)[0, 1] / weights.var(ddof=1)
    assert controlled(losses, weights) == pytest.approx(weighted.mean() + factor * (weights.mean() - 1))
    # Constant loss: what the weights miss on average is put right, exactly.
    assert controlled(np.full(3, 0.7), weights) == pytest.approx(0.7)
    assert controlled(losses, np.full(3, 2.0)) == pytest.approx(2.0)


def test_it_takes_away_noise():
    rng = np.random.default_rng(0)
    plain, better = [], []
    for _ in range(200):
        weights = rng.exponential(size=100)
        losses = (rng.random(100) < 0.3).astype(float)
        plain.append((weights * losses).mean())
        better.append(controlled(losses, weights))
    assert np.mean(better) == pytest.approx(0.3, abs=0.01)
    assert np.std(better) < 0.95 * np.std(plain)


def test_domains_that_do_not_overlap_are_a_finite_number():
    given, _ = shifted(0, count=60, shift=1e4)
    assert np.isfinite(DeepEmbeddedValidation()(given))


@pytest.mark.parametrize("field", ["train_features", "target_features"])
def test_too_few_images_are_refused(field):
    given = evidence()
    with pytest.raises(DataError, match=r"finite features of two images .*\(1\).*source_risk"):
        DeepEmbeddedValidation()(but(given, **{field: getattr(given, field)[:1]}))
    with pytest.raises(DataError, match="deep_embedded_validation: needs finite features"):
        DeepEmbeddedValidation()(but(given, **{field: getattr(given, field) * np.nan}))


def test_of_many_images_some_are_learned_from():
    given, error = shifted(0)
    assert -DeepEmbeddedValidation(loss="error", most=200)(given) == pytest.approx(error, abs=0.12)
