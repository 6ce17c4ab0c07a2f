"""How much answers hang on weights: against the closed form of a linear classifier, and gradients taken one by one."""

import copy

import numpy as np
import pytest
import torch

from headstart.methods.finetune import Finetune
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import Multilabel
from headstart.training.importance import fisher
from headstart.training.network import Network
from tests.training.small import Events, context, model, plan, splits

HEAD = ("head.linear.weight", "head.linear.bias")


def network():
    made = Network(model().backbone, model().head, plan())
    with torch.no_grad():
        made.head.linear.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(2))
    return made.eval()


def images(count=5):
    return torch.randn(count, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def batches(count=5):
    """The same in batches of two at most."""
    return lambda: images(count).flatten(0, 1).split(2)


@pytest.mark.parametrize("task", [Classification(), Multilabel()], ids=["classification", "multilabel"])
def test_of_a_linear_head_it_is_the_mean_square_of_the_error_times_the_feature(task):
    start = network()
    found = fisher(start, task, HEAD, batches())
    weight, bias = 0.0, 0.0
    for image in images():
        features, logits = (part.detach().double().numpy()[0] for part in start.features_and_logits(image))
        if task.part_name == "multilabel":
            error = (1 / (1 + np.exp(-logits)) - (logits > 0)) / len(logits)
        else:
            error = np.exp(logits) / np.exp(logits).sum() - np.eye(len(logits))[logits.argmax()]
        weight, bias = weight + np.outer(error, features) ** 2 / 5, bias + error ** 2 / 5
    np.testing.assert_allclose(found[HEAD[0]].numpy(), weight, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(found[HEAD[1]].numpy(), bias, rtol=1e-4, atol=1e-9)


def test_of_the_backbone_it_is_the_mean_square_of_gradients_taken_one_by_one():
    start, task = network(), Classification()
    names = [name for name, _ in start.backbone.named_parameters(prefix="backbone")]
    found = fisher(start, task, names, batches(3))
    expected = {name: np.zeros(found[name].shape) for name in names}
    for image in images(3):
        own = copy.deepcopy(start).double()
        own.requires_grad_(True)
        logits = own(image.double())
        torch.nn.functional.cross_entropy(logits, logits.argmax(dim=1)).backward()
        for name, parameter in own.named_parameters():
            if name in expected and parameter.grad is not None:
                expected[name] += parameter.grad.numpy() ** 2 / 3
    assert set(found) == set(names)
    for name in names:
        largest = max(1e-12, float(expected[name].max()))
        np.testing.assert_allclose(found[name].numpy() / largest, expected[name] / largest, atol=1e-3)


def test_the_network_stays_as_it_was():
    start = network()
    before = {name: value.clone() for name, value in start.state_dict().items()}
    trains = [parameter.requires_grad for parameter in start.parameters()]
    fisher(start, Classification(), HEAD, batches())
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert [parameter.requires_grad for parameter in start.parameters()] == trains
    assert all(parameter.grad is None for parameter in start.parameters())


def test_batch_norm_takes_the_statistics_of_the_images_where_it_takes_those_of_what_it_sees():
    start, shifted = network(), copy.deepcopy(network())
    for module in shifted.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.add_(50.0)
    plain, same = (fisher(part, Classification(), HEAD, batches(), restated=True) for part in (start, shifted))
    assert all(torch.allclose(plain[name], same[name], rtol=1e-3) for name in HEAD)
    other = fisher(shifted, Classification(), HEAD, batches())
    assert not torch.allclose(plain[HEAD[0]], other[HEAD[0]], rtol=1e-3)


@pytest.mark.parametrize("scope", ["head", "last-1"])
def test_a_training_of_any_scope_takes_the_regulariser(scope, tmp_path):
    parts, start = splits(tmp_path / "images"), model()
    plan = Finetune.parse({"epochs": 1, "batch_size": 4, "scope": scope, "regularisers": ["ewc"]})
    assert plan.fit(start, parts, context(tmp_path / "run", Events())) is not start


@pytest.mark.parametrize("count", [1, 2])
def test_one_image_has_no_statistics_and_is_seen_in_those_that_are_there(count):
    start = network()
    found = fisher(start, Classification(), HEAD, batches(count), restated=True)
    plain = fisher(start, Classification(), HEAD, batches(count))
    assert torch.equal(found[HEAD[0]], plain[HEAD[0]]) is (count == 1)
