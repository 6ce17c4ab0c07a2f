import numpy as np
import pytest
import torch

from headstart.alignments.adda import ADDA
from tests.alignments.pairs import domain_cost, double, gradient, layers, pair, perceptron, slopes, value


def inverted(found: list, target: np.ndarray) -> float:
    """Cross-entropy of the target's images against the label of the source."""
    return float(np.mean(np.log1p(np.exp(-perceptron(found, target)[:, 0]))))


def test_the_loss_is_the_discriminators_and_the_encoders() -> None:
    given, loss = pair(), ADDA(hidden=5).build(6, 4)
    reference, target, found = double(given.reference.features), double(given.target.features), layers(loss)
    assert value(loss, given) == pytest.approx(domain_cost(found, reference, target) + inverted(found, target))


def test_the_encoder_learns_inverted_labels_alone() -> None:
    given, loss = pair(), ADDA(hidden=5).build(6, 4)
    found = layers(loss)
    loss(given).backward()
    np.testing.assert_allclose(gradient(given.target.features), slopes(
        lambda moved: inverted(found, moved), double(given.target.features)), rtol=1e-3, atol=1e-6)


def test_the_discriminator_learns_to_tell_them_apart_alone() -> None:
    given, loss = pair(), ADDA(hidden=5).build(6, 4)
    reference, target, found = double(given.reference.features), double(given.target.features), layers(loss)
    loss(given).backward()
    weight, bias = found[0]
    np.testing.assert_allclose(gradient(loss.discriminator[0].weight), slopes(
        lambda moved: domain_cost([(moved, bias), *found[1:]], reference, target), weight), rtol=1e-3, atol=1e-6)


def test_nothing_of_the_network_learns_but_through_the_targets_features() -> None:
    given = pair()
    ADDA(hidden=5).build(6, 4)(given).backward()
    assert all(one.grad is None for one in [given.source.features, given.reference.features, *given.head.parameters()])
    assert ADDA.uses == ("reference",)
    assert not ADDA.learns_source


def test_the_progress_does_not_count() -> None:
    loss = ADDA(hidden=5).build(6, 4)
    torch.testing.assert_close(loss(pair(progress=0)), loss(pair(progress=1)), rtol=0, atol=0)
