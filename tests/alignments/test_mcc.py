import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.alignments.mcc import MCC
from tests.alignments.pairs import double, entropies, gradient, of_target_logits, pair, slopes, softmax, value


def confusion(logits: np.ndarray, temperature: float, weights: np.ndarray | None = None) -> float:
    """The paper's equations, entry by entry."""
    p = softmax(logits / temperature)
    if weights is None:
        weights = image_weights(logits, temperature)
    (count, classes), total = p.shape, 0.0
    for j in range(classes):
        row = [sum(p[i, j] * weights[i] * p[i, k] for i in range(count)) for k in range(classes)]
        total += sum(row[k] / sum(row) for k in range(classes) if k != j)
    return total / classes


def image_weights(logits: np.ndarray, temperature: float) -> np.ndarray:
    raw = 1 + np.exp(-entropies(softmax(logits / temperature)))
    return len(logits) * raw / raw.sum()


@pytest.mark.parametrize("temperature", [2.5, 1.0])
@pytest.mark.parametrize("targets", [7, 1, 2])
def test_the_loss_is_the_papers(temperature: float, targets: int) -> None:
    given = pair(targets=targets)
    expected = confusion(double(given.target.logits), temperature)
    assert value(MCC(temperature=temperature).build(6, 4), given) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_goes_through_the_weights_of_the_images() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (7, 4))
    given, weights = of_target_logits(logits), image_weights(logits, 2.5)
    MCC().build(6, 4)(given).backward()
    np.testing.assert_allclose(gradient(given.target.logits), slopes(
        lambda moved: confusion(moved, 2.5, weights), logits), rtol=1e-3, atol=1e-6)


def test_sure_answers_of_every_class_have_no_confusion() -> None:
    assert value(MCC().build(6, 4), of_target_logits(1000 * np.eye(4))) == pytest.approx(0, abs=1e-6)


def test_answers_that_say_nothing_have_the_most() -> None:
    assert value(MCC().build(6, 4), of_target_logits(np.zeros((7, 4)))) == pytest.approx(3 / 4)


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    """Each row is divided by its sum: nine images of a class without doubt do not hide that of the tenth."""
    logits = np.array([[1000.0, 0, 0]] * 9 + [[0.0, 500, 500]])
    assert value(MCC().build(6, 3), of_target_logits(logits)) == pytest.approx((0 + 0.5 + 0.5) / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 5), st.floats(0, 50))
def test_the_loss_is_a_share(seed: int, targets: int, classes: int, spread: float) -> None:
    logits = np.random.default_rng(seed).normal(0, spread, (targets, classes))
    assert -1e-6 <= value(MCC().build(6, classes), of_target_logits(logits)) <= 1
