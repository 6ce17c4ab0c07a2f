"""What every average promises: the mean is that of the loop on paper, taken when it is due, and made of its name."""

import copy

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from headstart.averages.average import AVERAGES, Average
from headstart.averages.ema import EMA
from headstart.averages.swa import SWA
from headstart.configuration import to_yaml
from headstart.errors import ConfigError
from headstart.methods.finetune import Finetune
from headstart.training.averaging import Averaging

every_average = pytest.mark.parametrize("average", [part() for part in AVERAGES.all().values()], ids=AVERAGES.names())
STEPS, TOTAL = 5, 60
"""Steps in an epoch, and in all."""


def ema_on_paper(course: np.ndarray, average: EMA) -> np.ndarray:
    mean = course[0]
    for taken in range(1, len(course)):
        keep = min(average.decay, (1 + taken) / (10 + taken))
        mean = keep * mean + (1 - keep) * course[taken]
    return mean


def swa_on_paper(course: np.ndarray, average: SWA) -> np.ndarray:
    ends = course[STEPS - 1::STEPS]
    late = [end for number, end in enumerate(ends, start=1) if number * STEPS > average.start * TOTAL]
    return np.sum(late, axis=0) / len(late)


ON_PAPER = {"ema": (ema_on_paper, {"decay": 0.9}), "swa": (swa_on_paper, {"start": 0.3, "factor": 0.5})}
"""For each average a loop of its own in float64, over the weights after each step; and settings that are no default."""


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).requires_grad_(True)


def floats(module: nn.Module) -> np.ndarray:
    return np.concatenate([tensor.double().numpy().ravel() for tensor in module.state_dict().values()
                           if tensor.is_floating_point()])


def walk(average: Average, *, scale: float = 0.1, total: int = TOTAL) -> tuple[np.ndarray, Averaging, nn.Module]:
    """Move a network so many steps; return its weights after each (float64 [total, weights]) and what was averaged."""
    generator, moving = torch.Generator().manual_seed(0), network()
    averaging, course, taken = Averaging(moving, average), [], 0
    for step in range(1, total + 1):
        with torch.no_grad():
            for tensor in moving.state_dict().values():
                tensor.add_((torch.randn(tensor.shape, generator=generator) * scale).to(tensor.dtype))
        course.append(floats(moving))
        taken = averaging.step(step, taken, steps=STEPS, total=total)
    return np.stack(course), averaging, moving


@pytest.mark.parametrize("name", AVERAGES.names())
@pytest.mark.parametrize("own", [False, True], ids=["defaults", "settings"])
def test_the_mean_equals_the_loop_on_paper(name: str, own: bool) -> None:
    loop, settings = ON_PAPER[name]
    average = AVERAGES.parse({"average": name, **(settings if own else {})})
    course, averaging, _ = walk(average)
    np.testing.assert_allclose(floats(averaging.averaged), loop(course, average), rtol=1e-5, atol=1e-5)


@every_average
def test_weights_that_stand_still_are_their_own_mean(average: Average) -> None:
    course, averaging, _ = walk(average, scale=0.0)
    np.testing.assert_allclose(floats(averaging.averaged), course[0], rtol=1e-6)


@every_average
def test_the_mean_lies_within_what_the_weights_were(average: Average) -> None:
    course, averaging, _ = walk(average)
    mean = floats(averaging.averaged)
    assert (mean >= course.min(axis=0) - 1e-6).all()
    assert (mean <= course.max(axis=0) + 1e-6).all()
    assert not np.allclose(mean, course[-1])


@every_average
def test_only_the_mean_moves(average: Average) -> None:
    moving = network()
    averaging, before = Averaging(moving, average), copy.deepcopy(moving.state_dict())
    averaging.step(TOTAL, 3, steps=STEPS, total=TOTAL)
    assert all(torch.equal(tensor, before[name]) for name, tensor in moving.state_dict().items())
    assert not any(p.requires_grad for p in averaging.averaged.parameters())
    assert not averaging.averaged.training


@every_average
def test_whole_numbers_are_left_out_of_the_mean(average: Average) -> None:
    _, averaging, _ = walk(average)
    assert averaging.averaged.state_dict()["1.num_batches_tracked"].dtype == torch.int64


@every_average
@pytest.mark.parametrize(("steps", "total"), [(1, 1), (1, 7), (5, 60), (7, 7)])
def test_the_weights_of_the_last_step_are_taken_in_and_the_answer_is_the_same_each_time(average: Average, steps: int,
                                                                                       total: int) -> None:
    due = [average.due(step, steps=steps, total=total) for step in range(1, total + 1)]
    assert due[-1]
    assert [average.due(step, steps=steps, total=total) for step in range(1, total + 1)] == due
    assert {type(answer) for answer in due} == {bool}


@every_average
def test_a_rate_is_a_share_of_the_highest(average: Average) -> None:
    for progress in np.linspace(0, 1, 21):
        for factor in np.linspace(0, 1, 11):
            assert 0 <= average.rate(float(progress), float(factor)) <= 1
    plan = Finetune(average=average)
    assert max(plan.rate(step, TOTAL) for step in range(TOTAL)) > 0.5


@every_average
def test_a_mean_taken_up_again_goes_on_to_the_same_bits(average: Average) -> None:
    _, averaging, moving = walk(average)
    other = Averaging(network(), average)
    other.restore({name: tensor.clone() for name, tensor in averaging.tensors().items()})
    other.network = moving
    assert averaging.step(TOTAL, 20, steps=STEPS, total=TOTAL) == other.step(TOTAL, 20, steps=STEPS, total=TOTAL) == 21
    assert all(torch.equal(a, b) for a, b in zip(averaging.tensors().values(), other.tensors().values(), strict=True))


@pytest.mark.parametrize("name", AVERAGES.names())
def test_a_word_and_its_settings_make_the_average(name: str) -> None:
    for settings in ({}, ON_PAPER[name][1]):
        average = AVERAGES.parse({"average": name, **settings})
        assert AVERAGES.parse(AVERAGES.plain(average)) == average
        plan = Finetune.parse({"average": yaml.safe_load(to_yaml(AVERAGES.plain(average)))})
        assert plan.average == average
        assert Finetune.parse(plan.model_dump(mode="json")) == plan
    assert AVERAGES.parse(name) == AVERAGES.parse({"average": name}) == Finetune(average=name).average
    assert AVERAGES.parse({"average": name, **ON_PAPER[name][1]}) != AVERAGES.parse(name)
    with pytest.raises(ConfigError, match="unknown setting"):
        Finetune.parse({"average": {"average": name, "no_such": 1}})


@every_average
def test_every_setting_says_what_it_does(average: Average) -> None:
    assert [key for key, setting in type(average).model_fields.items() if not setting.description] == []
