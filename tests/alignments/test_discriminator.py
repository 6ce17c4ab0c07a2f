import numpy as np
import pytest
import torch

from headstart.alignments.discriminator import discriminator, domain_loss
from tests.alignments.pairs import domain_cost, layers


def test_the_loss_is_the_mean_of_both_domains_cross_entropies() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(3, 6)), rng.normal(size=(8, 6))
    network = discriminator(6, 5)
    found = domain_loss(*(network(torch.as_tensor(values, dtype=torch.float32)) for values in (source, target)))
    assert float(found.detach()) == pytest.approx(domain_cost(layers(network), source, target), rel=1e-5)


def test_where_nothing_can_be_told_the_loss_is_ln_2() -> None:
    assert float(domain_loss(torch.zeros(3, 1), torch.zeros(9, 1))) == pytest.approx(np.log(2))


def test_the_loss_falls_where_the_source_is_above_zero_and_the_target_below() -> None:
    right, wrong = torch.full((2, 1), 30.0), torch.full((2, 1), -30.0)
    assert float(domain_loss(right, wrong)) == pytest.approx(0, abs=1e-9)
    assert float(domain_loss(wrong, right)) == pytest.approx(30)
