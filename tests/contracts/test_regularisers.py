"""What every regulariser promises."""

from dataclasses import replace

import pytest
import torch

from headstart.errors import ConfigError
from headstart.regularisers.regulariser import REGULARISERS, Regulariser
from tests.regularisers.steps import step

every_regulariser = pytest.mark.parametrize("regulariser", [part() for part in REGULARISERS.all().values()],
                                            ids=REGULARISERS.names())
every_task = pytest.mark.parametrize("several", [False, True], ids=["one class", "several labels"])


def tensors(module: torch.nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


@every_regulariser
@every_task
def test_a_penalty_is_one_positive_float32_number_once_weights_have_moved(regulariser: Regulariser,
                                                                          several: bool) -> None:
    found = regulariser.penalty(step(several=several))
    assert found.shape == ()
    assert found.dtype == torch.float32
    assert 0 < float(found.detach()) < float("inf")


@every_regulariser
@every_task
def test_nothing_is_to_pay_where_nothing_has_moved(regulariser: Regulariser, several: bool) -> None:
    assert float(regulariser.penalty(step(by=0.0, several=several, head=1.0)).detach()) == pytest.approx(0, abs=1e-6)


@every_regulariser
@pytest.mark.parametrize("scope", ["all", "last-2", "head", "norm-only"])
def test_gradients_reach_what_trains_and_nothing_else(regulariser: Regulariser, scope: str) -> None:
    given = step(scope=scope)
    found = regulariser.penalty(given)
    (found + given.logits.sum()).backward()
    for name, parameter in given.network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()
    for other in (given.reference, given.averaged):
        assert not any(p.requires_grad or p.grad is not None for p in other.parameters())


@every_regulariser
def test_the_networks_are_left_as_they_are(regulariser: Regulariser) -> None:
    given = step()
    networks = (given.network, given.reference, given.averaged)
    before = [tensors(network) for network in networks]
    modes = [[module.training for module in network.modules()] for network in networks]
    regulariser.penalty(given).backward()
    for network, expected in zip(networks, before, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(network), expected, strict=True))
    assert [[module.training for module in network.modules()] for network in networks] == modes


@every_regulariser
def test_strength_is_a_factor(regulariser: Regulariser) -> None:
    given = step()
    once, thrice, none = (float(regulariser.model_copy(update={"strength": factor}).penalty(given).detach())
                          for factor in (1.0, 3.0, 0.0))
    assert thrice == pytest.approx(3 * once, rel=1e-5)
    assert none == 0


@every_regulariser
def test_a_step_towards_less_penalty_undoes_the_move(regulariser: Regulariser) -> None:
    given = step()
    found = regulariser.penalty(given)
    found.backward()
    slope = sum(float(p.grad.square().sum()) for p in given.network.parameters() if p.grad is not None)
    with torch.no_grad():
        for parameter in given.network.parameters():
            if parameter.grad is not None:
                parameter.sub_(1e-2 * float(found) / slope * parameter.grad)
    features, logits = given.network.features_and_logits(given.images)
    after = regulariser.penalty(replace(given, features=features, logits=logits))
    assert float(after.detach()) < float(found.detach())


@every_regulariser
def test_it_names_what_it_needs_of_a_step(regulariser: Regulariser) -> None:
    assert set(regulariser.uses) <= {"reference", "averaged", "importance"}


@every_regulariser
def test_a_word_and_its_settings_make_the_regulariser(regulariser: Regulariser) -> None:
    assert REGULARISERS.parse(REGULARISERS.plain(regulariser)) == regulariser
    with pytest.raises(ConfigError, match="strength"):
        REGULARISERS.parse({"regulariser": regulariser.part_name, "strength": -1})
