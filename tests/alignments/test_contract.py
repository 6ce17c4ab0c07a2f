"""What every alignment promises."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from headstart.alignments.alignment import ALIGNMENTS, Alignment, Pair, View
from headstart.alignments.cdan import CDAN
from headstart.alignments.dan import DAN
from headstart.alignments.fixmatch import FixMatch
from tests.alignments.pairs import pair

VARIANTS = {"dan of logits": DAN(logits=True), "cdan without entropy": CDAN(entropy=False),
            "fixmatch of all": FixMatch(threshold=0)}
CHOICES = {**{name: part() for name, part in ALIGNMENTS.all().items()}, **VARIANTS}
every_alignment = pytest.mark.parametrize("alignment", CHOICES.values(), ids=CHOICES.keys())
every_size = pytest.mark.parametrize(("sources", "targets"), [(1, 1), (1, 2), (2, 1), (3, 9), (8, 2)])


def built(alignment: Alignment, given: Pair, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return alignment.build(given.source.features.shape[1], given.source.logits.shape[1])


def views(given: Pair) -> dict[str, View]:
    return {name: getattr(given, name) for name in ("source", "target", "strong", "reference")}


def extreme(given: Pair, change: Callable[[torch.Tensor], torch.Tensor]) -> Pair:
    """Return the pair with other features in all views."""
    changed = {}
    for name, old in views(given).items():
        leaf = change(old.features.detach()).requires_grad_()
        changed[name] = View(leaf, given.head(leaf))
    return replace(given, **changed)


def rounded(given: Pair) -> Pair:
    """Return the pair as a network under autocast gives it."""
    cast = {name: View(old.features.bfloat16(), old.logits.bfloat16()) for name, old in views(given).items()}
    return replace(given, **cast)


def as_float32(given: Pair) -> Pair:
    return replace(given, **{name: View(old.features.float(), old.logits.float())
                             for name, old in views(given).items()})


@every_alignment
@every_size
def test_the_loss_is_one_finite_float32_number_with_finite_gradients(alignment: Alignment, sources: int,
                                                                     targets: int) -> None:
    given = pair(sources, targets)
    module = built(alignment, given)
    found = module(given)
    assert found.shape == ()
    assert found.dtype == torch.float32
    assert torch.isfinite(found)
    found.backward()
    everything = [*module.parameters(), *given.head.parameters(), *(one.features for one in views(given).values())]
    assert all(torch.isfinite(one.grad).all() for one in everything if one.grad is not None)


@every_alignment
def test_the_gradient_reaches_the_features_of_the_target(alignment: Alignment) -> None:
    given = pair(12, 16)
    built(alignment, given)(given).backward()
    trained = given.strong if "strong" in alignment.uses else given.target
    assert trained.features.grad.abs().sum() > 0


@every_alignment
def test_the_reference_is_frozen(alignment: Alignment) -> None:
    given = pair()
    built(alignment, given)(given).backward()
    assert given.reference.features.grad is None


@every_alignment
def test_no_parameter_of_its_own_is_left_without_a_gradient(alignment: Alignment) -> None:
    given = pair(12, 16)
    module = built(alignment, given)
    module(given).backward()
    assert [name for name, one in module.named_parameters() if one.grad is None or not one.grad.abs().sum() > 0] == []


@every_alignment
@pytest.mark.parametrize("change", [torch.zeros_like, torch.ones_like, lambda x: 1000 * x, lambda x: 1e-20 * x],
                         ids=["zero", "equal", "large", "tiny"])
def test_extreme_features_keep_the_loss_and_its_gradients_finite(alignment: Alignment, change: Callable) -> None:
    given = extreme(pair(), change)
    module = built(alignment, given)
    found = module(given)
    found.backward()
    assert torch.isfinite(found)
    everything = [*module.parameters(), *given.head.parameters(), *(one.features for one in views(given).values())]
    assert all(torch.isfinite(one.grad).all() for one in everything if one.grad is not None)


@every_alignment
@pytest.mark.parametrize("gap", [1.0, 20.0, 60.0, 90.0, 200.0])
def test_sure_answers_keep_the_gradients_finite(alignment: Alignment, gap: float) -> None:
    """Every image is of the first class, beyond what float32 can tell from 1."""
    given = pair()
    logits = {name: (gap * torch.eye(4)[torch.zeros(len(old.logits), dtype=torch.long)]).requires_grad_()
              for name, old in views(given).items()}
    sure = replace(given, **{name: View(old.features, logits[name]) for name, old in views(given).items()})
    built(alignment, given)(sure).backward()
    assert all(torch.isfinite(one.grad).all() for one in logits.values() if one.grad is not None)


@every_alignment
def test_bfloat16_views_under_autocast_are_computed_in_float32(alignment: Alignment) -> None:
    given = rounded(pair())
    with torch.autocast("cpu", torch.bfloat16):
        found = built(alignment, given)(given)
    assert found.dtype == torch.float32
    # Built anew: some remember what they saw.
    torch.testing.assert_close(found, built(alignment, given)(as_float32(given)), rtol=0, atol=0)


@every_alignment
def test_the_generator_decides_alone(alignment: Alignment) -> None:
    given = pair()
    first, again = built(alignment, given), built(alignment, given)
    torch.testing.assert_close(first(given), again(given), rtol=0, atol=0)
    torch.testing.assert_close(first.state_dict(), again.state_dict(), rtol=0, atol=0)


@every_alignment
def test_a_build_with_parameters_is_another_one_each_time(alignment: Alignment) -> None:
    given = pair()
    first, other = built(alignment, given, seed=0), built(alignment, given, seed=1)
    assert first is not other
    weights = zip(first.parameters(), other.parameters(), strict=True)
    assert all(not torch.equal(a, b) for a, b in weights)


@every_alignment
def test_the_strength_is_left_to_the_caller(alignment: Alignment) -> None:
    given = pair()
    stronger = alignment.model_copy(update={"strength": 17.0})
    torch.testing.assert_close(built(alignment, given)(given), built(stronger, given)(given), rtol=0, atol=0)


@every_alignment
def test_the_order_of_the_images_does_not_count(alignment: Alignment) -> None:
    given = pair()
    turned = {name: View(old.features.flip(0), old.logits.flip(0)) for name, old in views(given).items()}
    labels = {name: getattr(given, name).flip(0) for name in ("labels", "pseudo")}
    first, other = built(alignment, given), built(alignment, given)
    torch.testing.assert_close(first(given), other(replace(given, **labels, **turned)), rtol=1e-4, atol=1e-6)


@every_alignment
def test_what_it_does_not_use_it_does_not_need(alignment: Alignment) -> None:
    given = pair()
    bare = replace(given, **{name: None for name in ("strong", "reference", "pseudo") if name not in alignment.uses})
    assert torch.isfinite(built(alignment, given)(bare))


@pytest.mark.parametrize("name", [name for name, part in ALIGNMENTS.all().items()
                                  if {"strong", "reference"} & set(part.uses)])
def test_what_it_uses_it_asks_for(name: str) -> None:
    """`pseudo` is not there before the first validation, which is no mistake."""
    given = replace(pair(), strong=None, reference=None)
    with pytest.raises(AssertionError, match="the learner gives what `uses` names"):
        built(ALIGNMENTS.get(name)(), given)(given)


@pytest.mark.parametrize("name", [name for name, part in ALIGNMENTS.all().items() if part.sourceless])
def test_what_reads_nothing_of_the_source_needs_none(name: str) -> None:
    given = pair()
    alone = replace(given, source=None, labels=None, reference=None)
    first, other = built(ALIGNMENTS.get(name)(), given), built(ALIGNMENTS.get(name)(), given)
    torch.testing.assert_close(first(given), other(alone), rtol=0, atol=0)


@every_alignment
def test_it_comes_back_from_plain_values(alignment: Alignment) -> None:
    assert ALIGNMENTS.parse(ALIGNMENTS.plain(alignment)) == alignment
