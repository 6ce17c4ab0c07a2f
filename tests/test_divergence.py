"""The divergence between soft answers, against SciPy in float64."""

import numpy as np
import pytest
import torch
from scipy.special import expit, rel_entr, softmax

from headstart.divergence import soft_loss


def logits(seed, *, scale=3.0, rows=7, classes=5):
    return np.random.default_rng(seed).standard_normal((rows, classes)) * scale


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_one_class_an_image_has_the_divergence_of_two_softmaxes(temperature):
    student, teacher = logits(0), logits(1)
    p, q = softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1)
    found = soft_loss(torch.tensor(student), torch.tensor(teacher), temperature=temperature, several=False)
    np.testing.assert_allclose(found.numpy(), temperature**2 * rel_entr(p, q).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_several_labels_have_the_mean_divergence_of_two_coins(temperature):
    student, teacher = logits(2), logits(3)
    p, q = expit(teacher / temperature), expit(student / temperature)
    expected = (rel_entr(p, q) + rel_entr(1 - p, 1 - q)).mean(axis=1)
    found = soft_loss(torch.tensor(student), torch.tensor(teacher), temperature=temperature, several=True)
    np.testing.assert_allclose(found.numpy(), temperature**2 * expected, rtol=1e-4)


def test_the_gradient_is_the_difference_of_the_softened_answers_and_none_goes_to_the_teacher():
    student, teacher = (torch.tensor(logits(seed), requires_grad=True) for seed in (4, 5))
    soft_loss(student, teacher, temperature=4.0, several=False).sum().backward()
    p, q = softmax(logits(5) / 4, axis=1), softmax(logits(4) / 4, axis=1)
    np.testing.assert_allclose(student.grad.numpy(), 4 * (q - p), atol=1e-5)
    assert teacher.grad is None


@pytest.mark.parametrize("several", [False, True])
def test_certain_answers_give_finite_losses_and_equal_ones_give_none(several):
    sure = torch.tensor([[300.0, -300.0, 0.0]])
    assert bool(torch.isfinite(soft_loss(-sure, sure, temperature=1.0, several=several)).all())
    assert float(soft_loss(sure, sure, temperature=1.0, several=several)) == 0.0
