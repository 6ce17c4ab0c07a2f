"""Every loss: the right shape, no NaN however sure the answer, lowest where the answer is right, the same from YAML."""

import pytest
import torch
import yaml
from torch.nn import functional

from headstart.configuration import to_yaml
from headstart.errors import ConfigError
from headstart.losses.loss import LOSSES, Loss
from headstart.methods.finetune import Finetune

# B images, C classes

PAIRS = [(name, task) for name, part in LOSSES.all().items() for task in part.tasks]
PRIOR = torch.tensor([0.7, 0.2, 0.07, 0.03])
FIELDS = {"focal": {"gamma": 3.5}, "generalised_cross_entropy": {"q": 0.3}, "logit_adjusted": {"tau": 0.5},
          "symmetric_cross_entropy": {"alpha": 6.0, "beta": 0.1}}
"""Settings that are not the defaults, for what has some."""


def cost(loss: Loss, task: str, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor = PRIOR
         ) -> torch.Tensor:
    return (loss.softmax if task == "classification" else loss.sigmoid)(logits, targets, prior)


def one_hot(labels: list[int]) -> torch.Tensor:
    return functional.one_hot(torch.tensor(labels), 4).float()


TARGETS = {"classification": [one_hot([0, 3, 1]), torch.full((3, 4), 0.25)],
           "multilabel": [one_hot([0, 3, 1]), torch.full((3, 4), 0.25), torch.zeros(3, 4), torch.ones(3, 4)]}


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def pair(request) -> tuple[Loss, str]:
    name, task = request.param
    return LOSSES.get(name)(), task


def test_a_loss_names_tasks_that_there_are():
    assert {task for _, task in PAIRS} <= {"classification", "multilabel"}
    assert {name for name, _ in PAIRS} == set(LOSSES.names())


def test_a_cost_is_one_float32_number_a_sample(pair):
    torch.manual_seed(0)
    logits, soft = torch.randn(5, 4), torch.rand(5, 4).softmax(1)
    found = cost(*pair, logits, soft)
    assert found.shape == (5,)
    assert found.dtype == torch.float32
    alone = torch.cat([cost(*pair, logits[row:row + 1], soft[row:row + 1]) for row in range(5)])
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize("size", [0.0, 1.0, 20.0, 90.0, 1e4, 1e6])
def test_value_and_gradient_stay_finite_however_sure_the_answer(pair, size):
    for targets in TARGETS[pair[1]]:
        logits = (size * torch.tensor([[1.0, -1, -1, -1], [-1, -1, -1, 1], [1, -1, 0, 0.5]])).requires_grad_()
        found = cost(*pair, logits, targets)
        found.sum().backward()
        assert torch.isfinite(found).all()
        assert torch.isfinite(logits.grad).all()


def test_a_step_down_the_gradient_turns_to_the_right_answer(pair):
    for label in range(4):
        logits = torch.zeros(1, 4, requires_grad=True)
        cost(*pair, logits, one_hot([label])).sum().backward()
        others = [c for c in range(4) if c != label]
        assert logits.grad[0, label] < 0
        assert (logits.grad[0, others] > 0).all()


def test_the_right_answer_costs_least(pair):
    targets = one_hot([0, 1, 2, 3])
    right, unsure, wrong = (cost(*pair, size * (2 * targets - 1), targets) for size in (10.0, 0.0, -10.0))
    assert (right < unsure).all()
    assert (unsure < wrong).all()
    assert (cost(*pair, 40 * (2 * targets - 1), targets) < 1e-6).all()


def test_the_order_of_the_classes_does_not_matter(pair):
    torch.manual_seed(1)
    logits, targets, order = torch.randn(6, 4), torch.rand(6, 4).softmax(1), [2, 0, 3, 1]
    torch.testing.assert_close(cost(*pair, logits, targets),
                               cost(*pair, logits[:, order], targets[:, order], PRIOR[order]))


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_loss_is_the_same_from_yaml(name):
    for settings in ({}, FIELDS.get(name, {})):
        loss = LOSSES.parse({"loss": name, **settings})
        plan = Finetune.parse({"loss": yaml.safe_load(to_yaml(LOSSES.plain(loss)))})
        assert plan.loss == loss
        assert Finetune.parse(plan.model_dump(mode="json")) == plan
    assert Finetune.parse({"loss": name}).loss == LOSSES.get(name)()
    with pytest.raises(ConfigError, match="unknown setting"):
        Finetune.parse({"loss": {"loss": name, "no_such": 1}})


@pytest.mark.parametrize("name", LOSSES.names())
def test_a_task_that_a_loss_can_not_do_is_refused_with_those_that_can(name):
    for task in LOSSES.get(name).tasks:
        LOSSES.get(name)().check(task)
    with pytest.raises(ConfigError, match=rf"loss {name} can't do depth. Losses that can: "):
        LOSSES.get(name)().check("depth")
