from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from headstart.alignments.alignment import Pair, View
from headstart.alignments.fixmatch import FixMatch
from tests.alignments.pairs import double, gradient, of_target_logits, pair, softmax, value


def both(weak: list[list[float]], strong: list[list[float]]) -> Pair:
    logits = torch.tensor(strong, requires_grad=True)
    return replace(of_target_logits(np.array(weak)), strong=View(torch.zeros(len(strong), 6), logits))


@settings(max_examples=30, deadline=None)
@drawn(st.integers(0, 1000), st.floats(0.26, 0.99))
def test_the_loss_is_a_loop_over_the_sure_images_divided_by_all(seed: int, threshold: float) -> None:
    given, total = pair(targets=9, seed=seed), 0.0
    for weak, strong in zip(softmax(double(given.target.logits)), softmax(double(given.strong.logits)), strict=True):
        if max(weak) >= threshold:
            total -= np.log(strong[np.argmax(weak)])
    assert value(FixMatch(threshold=threshold).build(6, 4), given) == pytest.approx(total / 9, rel=1e-4, abs=1e-6)


def test_an_image_below_the_threshold_teaches_nothing_but_counts() -> None:
    """Probabilities 0.96, 0.94 and 0.5 of the weak view; the strong one is undecided, so a label costs ln 2."""
    given = both([[np.log(0.96 / 0.04), 0.0], [np.log(0.94 / 0.06), 0.0], [0.0, 0.0]], [[0.0, 0.0]] * 3)
    loss = FixMatch().build(6, 2)
    assert value(loss, given) == pytest.approx(np.log(2) / 3)
    loss(given).backward()
    np.testing.assert_allclose(gradient(given.strong.logits), np.array([[-0.5, 0.5], [0, 0], [0, 0]]) / 3)


def test_where_no_image_is_sure_the_loss_is_zero_and_so_is_its_gradient() -> None:
    given = both([[0.0, 0.0]], [[5.0, 0.0]])
    found = FixMatch().build(6, 2)(given)
    found.backward()
    assert float(found.detach()) == 0
    assert not gradient(given.strong.logits).any()


def test_no_gradient_goes_to_the_weak_view() -> None:
    given = both([[9.0, 0.0]], [[0.0, 1.0]])
    FixMatch().build(6, 2)(given).backward()
    assert given.target.logits.grad is None
    assert gradient(given.strong.logits).all()
