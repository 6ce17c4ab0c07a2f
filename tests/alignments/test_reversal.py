import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.alignments.reversal import reverse, rising


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 10))
def test_values_stay_and_their_gradient_turns_round_by_the_factor(factor: float) -> None:
    values = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    turned = reverse(values, factor)
    assert torch.equal(turned, values)
    (turned ** 2).sum().backward()
    np.testing.assert_allclose(values.grad, -factor * 2 * np.array([1.0, -2.0, 3.0]), rtol=1e-6, atol=1e-30)


def test_a_gradient_turned_round_twice_is_the_gradient() -> None:
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    reverse(reverse(values)).sum().backward()
    assert values.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("progress", "factor"), [(0.0, 0.0), (0.5, 0.986614298), (1.0, 0.999909204)])
def test_the_schedule_is_that_of_the_paper(progress: float, factor: float) -> None:
    assert rising(progress) == pytest.approx(factor, abs=1e-9)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_schedule_never_falls(one: float, other: float) -> None:
    assert 0 <= rising(min(one, other)) <= rising(max(one, other)) < 1
