from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.alignments.alignment import View
from headstart.alignments.cdan import CDAN
from tests.alignments.pairs import double, entropies, gradient, layers, pair, perceptron, slopes, softmax, value

FACTOR = 0.986614298
"""Of the reversal, half way."""
ENTROPY = pytest.mark.parametrize("entropy", [False, True])


def products(features: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Class by class, the features times the probability of the class."""
    return np.array([[p * f for p in row for f in one] for one, row in zip(features, softmax(logits), strict=True)])


def cost(found: list, views: list[tuple[np.ndarray, np.ndarray]], entropy: bool) -> float:
    total = 0.0
    for sign, (joint, logits) in zip((-1, 1), views, strict=True):
        costs = np.log1p(np.exp(sign * perceptron(found, joint)[:, 0]))
        weights = 1 + np.exp(-entropies(softmax(logits))) if entropy else np.ones(len(logits))
        total += np.sum(costs * weights / weights.sum()) / 2
    return float(total)


@ENTROPY
def test_the_loss_is_the_weighted_cross_entropy_of_outer_products(entropy: bool) -> None:
    given, loss = pair(), CDAN(entropy=entropy, hidden=5).build(6, 4)
    views = [(double(one.features), double(one.logits)) for one in (given.source, given.target)]
    expected = cost(layers(loss), [(products(*one), one[1]) for one in views], entropy)
    assert value(loss, given) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_to_the_features_is_turned_round_and_that_of_the_discriminator_is_not() -> None:
    given, loss = pair(), CDAN(entropy=False, hidden=5).build(6, 4)
    given = replace(given, target=View(given.target.features, given.target.logits.detach()))
    found, logits = layers(loss), double(given.target.logits)
    source = products(double(given.source.features), double(given.source.logits)), double(given.source.logits)
    target = double(given.target.features)
    loss(given).backward()
    np.testing.assert_allclose(gradient(given.target.features), -FACTOR * slopes(
        lambda moved: cost(found, [source, (products(moved, logits), logits)], False), target), rtol=1e-3, atol=1e-6)
    weight, bias = found[0]
    np.testing.assert_allclose(gradient(loss.discriminator[0].weight), slopes(
        lambda moved: cost([(moved, bias), *found[1:]], [source, (products(target, logits), logits)], False), weight),
        rtol=1e-3, atol=1e-6)


def test_the_gradient_to_the_logits_is_that_of_the_weights_alone_turned_round() -> None:
    given, loss = pair(), CDAN(hidden=5).build(6, 4)
    logits = given.target.logits.detach().requires_grad_()
    exact = double(logits)
    joint = products(double(given.target.features), exact)
    costs = np.log1p(np.exp(perceptron(layers(loss), joint)[:, 0]))
    sum_of_weights = np.sum(1 + np.exp(-entropies(softmax(exact))))
    loss(replace(given, target=View(given.target.features, logits))).backward()
    np.testing.assert_allclose(gradient(logits), -FACTOR * slopes(lambda moved: float(np.sum(
        costs * (1 + np.exp(-entropies(softmax(moved)))) / sum_of_weights / 2)), exact), rtol=1e-3, atol=1e-6)


def test_without_entropy_no_gradient_goes_to_the_logits() -> None:
    given = pair()
    logits = given.target.logits.detach().requires_grad_()
    CDAN(entropy=False, hidden=5).build(6, 4)(replace(given, target=View(given.target.features, logits))).backward()
    assert logits.grad is None


def test_sure_images_count_up_to_twice_as_much_as_unsure_ones() -> None:
    loss = CDAN().build(6, 4)
    weights = loss.weights(View(torch.zeros(2, 6), torch.tensor([[100.0, 0, 0, 0], [0.0, 0, 0, 0]])), 1.0)
    assert weights.tolist() == pytest.approx([2, 1 + 1 / 4])


@pytest.mark.parametrize(("width", "classes", "inputs"), [(256, 16, 4096), (257, 16, 100)])
def test_a_product_of_more_than_4096_values_is_a_random_one(width: int, classes: int, inputs: int) -> None:
    given, loss = pair(width=width, classes=classes), CDAN(hidden=5, projected=100).build(width, classes)
    assert loss.discriminator[0].in_features == inputs
    assert len(list(loss.parameters())) == 6
    loss(given).backward()
    assert given.target.features.grad.abs().sum() > 0


def test_the_random_product_is_that_of_two_fixed_projections() -> None:
    given, loss = pair(width=1025), CDAN(hidden=5, projected=9).build(1025, 4)
    drawn = {name.rpartition(".")[2]: double(one) for name, one in loss.named_buffers()}
    assert {name: one.shape for name, one in drawn.items()} == {"of_features": (1025, 9), "of_probabilities": (4, 9)}
    views = [(double(one.features), double(one.logits)) for one in (given.source, given.target)]
    joint = [(features @ drawn["of_features"]) * (softmax(logits) @ drawn["of_probabilities"]) / 3
             for features, logits in views]
    expected = cost(layers(loss), [(one, logits) for one, (_, logits) in zip(joint, views, strict=True)], True)
    assert value(loss, given) == pytest.approx(expected, rel=1e-4)


def test_dot_products_of_random_products_are_near_those_of_outer_products() -> None:
    torch.manual_seed(0)
    product = CDAN(projected=5000).build(1025, 4).product
    features, probabilities = torch.randn(2, 1025), torch.rand(2, 4)
    features[1] += features[0]
    one, other = product(features, probabilities)
    expected = torch.dot(*features) * torch.dot(*probabilities)
    assert float(torch.dot(one, other)) == pytest.approx(float(expected), rel=0.1)
