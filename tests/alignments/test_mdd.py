import numpy as np
import pytest
import torch

from headstart.alignments.mdd import MDD, log_other
from tests.alignments.pairs import double, gradient, layers, pair, slopes, softmax, value


def disparity(weight: np.ndarray, bias: np.ndarray, source: np.ndarray, target: np.ndarray, said: list[np.ndarray],
              margin: float) -> float:
    """margin * mean -log q(y) on the source, plus mean -log(1 - q(y)) on the target, y being what the head said."""
    on_source = [-np.log(q[y]) for q, y in zip(softmax(source @ weight.T + bias), said[0], strict=True)]
    on_target = [-np.log(1 - q[y]) for q, y in zip(softmax(target @ weight.T + bias), said[1], strict=True)]
    return float(margin * np.mean(on_source) + np.mean(on_target))


@pytest.mark.parametrize("margin", [4.0, 1.0, 0.5])
def test_the_loss_is_the_margin_disparity(margin: float) -> None:
    given, loss = pair(), MDD(margin=margin).build(6, 4)
    said = [double(one.logits).argmax(axis=1) for one in (given.source, given.target)]
    expected = disparity(*layers(loss)[0], double(given.source.features), double(given.target.features), said, margin)
    assert value(loss, given) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("progress", "factor"), [(0.0, 0.0), (0.5, 0.986614298), (1.0, 0.999909204)])
@pytest.mark.parametrize("reversal", [0.1, 1.0])
def test_the_features_climb_what_the_adversary_descends(progress: float, factor: float, reversal: float) -> None:
    given, loss = pair(progress=progress), MDD(reversal=reversal).build(6, 4)
    source, target, (weight, bias) = double(given.source.features), double(given.target.features), layers(loss)[0]
    said = [double(one.logits).argmax(axis=1) for one in (given.source, given.target)]
    loss(given).backward()
    np.testing.assert_allclose(gradient(given.source.features), -reversal * factor * slopes(
        lambda moved: disparity(weight, bias, moved, target, said, 4), source), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(gradient(given.target.features), -reversal * factor * slopes(
        lambda moved: disparity(weight, bias, source, moved, said, 4), target), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(gradient(loss.adversary.weight), slopes(
        lambda moved: disparity(moved, bias, source, target, said, 4), weight), rtol=1e-3, atol=1e-6)


def test_the_head_is_not_touched() -> None:
    given = pair()
    MDD().build(6, 4)(given).backward()
    assert all(one.grad is None for one in given.head.parameters())


def test_the_log_of_all_other_classes_is_finite_where_a_probability_rounds_to_1() -> None:
    logits = torch.tensor([[0.0, 100.0], [0.0, 0.0]], requires_grad=True)
    found = log_other(logits, torch.tensor([1, 1]))
    assert found.tolist() == pytest.approx([-100, np.log(0.5)])
    found.sum().backward()
    np.testing.assert_allclose(logits.grad, [[1, -1], [0.5, -0.5]])
