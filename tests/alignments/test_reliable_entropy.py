import numpy as np
import pytest
import torch
from torch import nn

from headstart.alignments.reliable_entropy import ReliableEntropy
from tests.alignments.pairs import double, entropies, gradient, of_target_logits, pair, slopes, softmax, value


def weighted(logits: np.ndarray, limit: float, kept: np.ndarray, weights: np.ndarray) -> float:
    """The mean over the images that stay of weight times entropy."""
    found = entropies(softmax(logits))
    return float(sum(w * h for w, h, stays in zip(weights, found, kept, strict=True) if stays) / max(1, kept.sum()))


def weights_of(logits: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    found = entropies(softmax(logits))
    return found < limit, np.exp(limit - found)


@pytest.mark.parametrize("share", [0.2, 0.4, 1.0])
def test_the_first_batch_weighs_each_sure_image_by_how_sure_it_is(share: float) -> None:
    given = pair(targets=12)
    logits, limit = double(given.target.logits), share * np.log(4)
    expected = weighted(logits, limit, *weights_of(logits, limit))
    assert value(ReliableEntropy(share=share).build(6, 4), given) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_goes_through_the_weights() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (7, 4))
    given, (kept, weights) = of_target_logits(logits), weights_of(logits, 0.8 * np.log(4))
    ReliableEntropy(share=0.8).build(6, 4)(given).backward()
    np.testing.assert_allclose(gradient(given.target.logits), slopes(
        lambda moved: weighted(moved, 0.8 * np.log(4), kept, weights), logits), rtol=1e-3, atol=1e-6)


def test_answers_that_are_like_the_running_mean_are_left_out() -> None:
    """Two batches by hand: what the second adds to the mean is what of it was new."""
    loss, rng = ReliableEntropy(share=1.0, alike=0.7).build(6, 3), np.random.default_rng(0)
    first, second = rng.normal(0, 2, (6, 3)), rng.normal(0, 2, (8, 3))
    loss(of_target_logits(first))
    mean, said = softmax(first).mean(axis=0), softmax(second)
    np.testing.assert_allclose(loss.mean, mean, rtol=1e-5)
    new = np.array([p @ mean / np.linalg.norm(p) / np.linalg.norm(mean) < 0.7 for p in said])
    assert 0 < new.sum() < 8
    expected = weighted(second, np.log(3), new, np.exp(np.log(3) - entropies(said)))
    assert value(loss, of_target_logits(second)) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(loss.mean, 0.9 * mean + 0.1 * said[new].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(("classes", "alike"), [(2, 0.8944), (10, 0.4), (1000, 0.04)])
def test_by_default_an_answer_is_not_new_a_little_above_the_cosine_of_a_sure_one_with_an_even_mean(
        classes: int, alike: float) -> None:
    assert ReliableEntropy().build(6, classes).alike == pytest.approx(alike, abs=1e-4)
    assert alike > 1 / np.sqrt(classes)


def test_of_many_sure_answers_of_one_class_few_are_new() -> None:
    loss, many = ReliableEntropy().build(6, 10), 9 * np.eye(10)[[0] * 30 + list(range(1, 10))]
    loss(of_target_logits(many))
    mean = softmax(many).mean(axis=0)
    before = loss.mean.clone()
    loss(of_target_logits(many))
    rare = softmax(9 * np.eye(10)[range(1, 10)]).mean(axis=0)
    assert mean[0] > 0.7
    np.testing.assert_allclose(loss.mean, 0.9 * before + 0.1 * rare, rtol=1e-4)


def sure(loss: nn.Module) -> torch.Tensor:
    return loss(of_target_logits(9 * np.eye(3)[[0, 1]]))


def test_where_no_image_stays_the_loss_and_its_gradient_are_zero_and_the_mean_stays() -> None:
    loss = ReliableEntropy().build(6, 3)
    sure(loss)
    before, given = loss.mean.clone(), of_target_logits(np.zeros((4, 3)))
    found = loss(given)
    found.backward()
    assert float(found.detach()) == 0
    assert not gradient(given.target.logits).any()
    assert torch.equal(loss.mean, before)


def test_in_validation_the_mean_does_not_move() -> None:
    loss = ReliableEntropy().build(6, 3).eval()
    sure(loss)
    assert not loss.mean.any()
    assert not loss.seen


def test_the_mean_is_part_of_a_checkpoint() -> None:
    loss, again = ReliableEntropy().build(6, 3), ReliableEntropy().build(6, 3)
    sure(loss)
    again.load_state_dict(loss.state_dict())
    given = of_target_logits(np.array([[3.0, 0, 0], [0, 0, 8.0]]))
    assert value(again, given) == value(loss, given)
