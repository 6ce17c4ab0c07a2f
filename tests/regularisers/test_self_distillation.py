import numpy as np
import pytest
from scipy.special import expit, rel_entr, softmax

from headstart.regularisers.self_distillation import SelfDistillation
from tests.regularisers.steps import double, step

# B images, C classes


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_one_class_an_image_pays_the_divergence_of_two_softmaxes_in_float64(temperature: float) -> None:
    given = step(head=1.0)
    exact = double(given)
    now, mean = exact.logits.detach().numpy(), exact.averaged(exact.images).numpy()
    expected = rel_entr(softmax(mean / temperature, axis=1), softmax(now / temperature, axis=1)).sum(axis=1).mean()
    found = SelfDistillation(strength=0.5, temperature=temperature).penalty(given)
    assert float(found.detach()) == pytest.approx(0.5 * temperature**2 * expected, rel=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_several_labels_an_image_pay_the_divergence_of_coins_in_float64(temperature: float) -> None:
    given = step(head=1.0, several=True)
    exact = double(given)
    now = expit(exact.logits.detach().numpy() / temperature)
    mean = expit(exact.averaged(exact.images).numpy() / temperature)
    expected = np.mean(rel_entr(mean, now) + rel_entr(1 - mean, 1 - now))
    found = SelfDistillation(strength=0.5, temperature=temperature).penalty(given)
    assert float(found.detach()) == pytest.approx(0.5 * temperature**2 * expected, rel=1e-3)
