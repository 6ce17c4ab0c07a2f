import numpy as np
import pytest
from torch import nn

from headstart.alignments.alignment import Pair
from headstart.alignments.mcd import MCD
from tests.alignments.pairs import double, gradient, layers, pair, slopes, softmax, value

PROGRESS = pytest.mark.parametrize(("progress", "factor"), [(0.0, 0.0), (0.5, 0.986614298), (1.0, 0.999909204)])


def answers(classifier: nn.Module, features: np.ndarray) -> np.ndarray:
    (weight, bias), = layers(classifier)
    return softmax(features @ weight.T + bias)


def disagreement(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean([abs(p - q) for one, other in zip(first, second, strict=True)
                          for p, q in zip(one, other, strict=True)]))


def learned(loss: nn.Module, given: Pair, features: np.ndarray) -> float:
    return -float(np.mean([np.log(p[label]) for p, label in
                           zip(answers(loss.second, features), given.labels, strict=True)]))


@PROGRESS
def test_the_loss_is_the_second_classifiers_less_the_disagreement(progress: float, factor: float) -> None:
    given, loss = pair(progress=progress), MCD().build(6, 4)
    target = double(given.target.features)
    expected = (learned(loss, given, double(given.source.features))
                - factor * disagreement(answers(given.head, target), answers(loss.second, target)))
    assert value(loss, given) == pytest.approx(expected, rel=1e-5)


@PROGRESS
def test_the_features_narrow_what_the_classifiers_widen(progress: float, factor: float) -> None:
    given, loss = pair(progress=progress), MCD().build(6, 4)
    target, (weight, bias) = double(given.target.features), layers(given.head)[0]
    loss(given).backward()
    second = answers(loss.second, target)
    np.testing.assert_allclose(gradient(given.target.features), factor * slopes(
        lambda moved: disagreement(answers(given.head, moved), answers(loss.second, moved)), target), atol=1e-6)
    np.testing.assert_allclose(gradient(given.head.weight), -factor * slopes(
        lambda moved: disagreement(softmax(target @ moved.T + bias), second), weight), atol=1e-6)


def test_the_second_classifier_learns_the_source_with_the_features_and_widens_the_disagreement() -> None:
    given, loss = pair(progress=1), MCD().build(6, 4)
    source, target = double(given.source.features), double(given.target.features)
    head, (weight, bias) = answers(given.head, target), layers(loss)[0]
    loss(given).backward()

    def cost(moved: np.ndarray) -> float:
        right = softmax(source @ moved.T + bias)[np.arange(len(source)), given.labels]
        return float(-np.mean(np.log(right))) - 0.999909204 * disagreement(head, softmax(target @ moved.T + bias))

    np.testing.assert_allclose(gradient(loss.second.weight), slopes(cost, weight), atol=1e-6)
    np.testing.assert_allclose(gradient(given.source.features), slopes(
        lambda moved: learned(loss, given, moved), source), atol=1e-6)
