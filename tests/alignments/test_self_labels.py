from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.alignments.self_labels import SelfLabels
from tests.alignments.pairs import double, gradient, of_target_logits, pair, slopes, softmax, value


def cross_entropy(logits: np.ndarray, labels: torch.Tensor) -> float:
    return float(np.mean([-np.log(p[label]) for p, label in zip(softmax(logits), labels.tolist(), strict=True)]))


@pytest.mark.parametrize("targets", [7, 1, 2])
def test_the_loss_is_the_cross_entropy_with_the_labels_that_came_with_the_batch(targets: int) -> None:
    given = pair(targets=targets)
    expected = cross_entropy(double(given.target.logits), given.pseudo)
    assert value(SelfLabels().build(6, 4), given) == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_that_of_central_differences() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (7, 4))
    given = of_target_logits(logits)
    SelfLabels().build(6, 4)(given).backward()
    np.testing.assert_allclose(gradient(given.target.logits), slopes(
        lambda moved: cross_entropy(moved, given.pseudo), logits), rtol=1e-3, atol=1e-6)


def test_before_there_are_labels_nothing_is_learned() -> None:
    given = replace(pair(), pseudo=None)
    found = SelfLabels().build(6, 4)(given)
    found.backward()
    assert float(found.detach()) == 0
    assert not gradient(given.target.features).any()


def test_its_strength_is_the_papers_and_it_asks_for_the_labels() -> None:
    assert SelfLabels().strength == 0.3
    assert SelfLabels.uses == ("pseudo",)
