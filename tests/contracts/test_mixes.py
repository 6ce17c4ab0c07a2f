"""What every mix promises."""

import pytest
import torch

from headstart.errors import ConfigError
from headstart.mixes.mix import MIXES, Mix

every_mix = pytest.mark.parametrize("mix", [part() for part in MIXES.all().values()], ids=MIXES.names())
# B images, C classes


def batch(count: int, *, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, one-hot targets and weights, all different."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, 16, 20, generator=generator).contiguous(memory_format=torch.channels_last)
    return images, torch.eye(classes)[torch.arange(count) % classes], torch.rand(count, generator=generator) + 0.5


def mixed(mix: Mix, seed: int, *arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    return mix(*arguments)


@every_mix
def test_shapes_types_and_memory_layout_stay(mix: Mix) -> None:
    given = batch(5)
    for before, after in zip(given, mixed(mix, 0, *given), strict=True):
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert mixed(mix, 0, *given)[0].is_contiguous(memory_format=torch.channels_last)


@every_mix
def test_the_seed_decides_everything(mix: Mix) -> None:
    given = batch(5)
    first, again, other = (mixed(mix, seed, *given) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])


@every_mix
def test_the_given_batch_is_left_alone(mix: Mix) -> None:
    given = batch(5)
    copies = [tensor.clone() for tensor in given]
    mixed(mix, 0, *given)
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))


@every_mix
def test_a_single_image_stays_as_it_is(mix: Mix) -> None:
    given = batch(1)
    assert all(torch.equal(a, b) for a, b in zip(given, mixed(mix, 0, *given), strict=True))


@every_mix
@pytest.mark.parametrize("seed", range(10))
def test_no_label_and_no_weight_is_lost_or_made(mix: Mix, seed: int) -> None:
    images, targets, weights = batch(6)
    _, after, carried = mixed(mix, seed, images, targets, weights)
    torch.testing.assert_close(after.sum(dim=1), torch.ones(6))
    torch.testing.assert_close((carried[:, None] * after).sum(dim=0), (weights[:, None] * targets).sum(dim=0))
    torch.testing.assert_close(carried.sum(), weights.sum())
    assert ((after >= 0) & (after <= 1)).all()


@every_mix
@pytest.mark.parametrize("seed", range(5))
def test_an_image_of_weight_0_brings_no_label(mix: Mix, seed: int) -> None:
    images, targets, _ = batch(6)
    weights = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])  # class 2 is that of the third and the sixth image
    _, after, carried = mixed(mix, seed, images, targets, weights)
    assert (carried[:, None] * after)[:, 2].abs().max() == 0
    assert torch.isfinite(after).all()
    alone = mixed(mix, seed, images, targets, torch.zeros(6))
    assert torch.isfinite(alone[1]).all()
    assert alone[2].abs().max() == 0


@every_mix
@pytest.mark.parametrize("seed", range(5))
def test_the_loss_of_a_mix_is_the_mix_of_the_weighted_losses(mix: Mix, seed: int) -> None:
    """Cross-entropy, linear in the targets, on answers that do not depend on the image, in float64."""
    images, targets, weights = batch(6)
    log_likely = torch.log_softmax(torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64), dim=0)
    _, after, carried = mixed(mix, seed, images, targets, weights)
    alone = -(weights.double() * (targets.double() @ log_likely)).sum()
    torch.testing.assert_close(-(carried.double() * (after.double() @ log_likely)).sum(), alone, rtol=1e-5, atol=1e-6)


@every_mix
@pytest.mark.parametrize("seed", range(10))
def test_labels_and_weights_have_the_share_of_the_pixels(mix: Mix, seed: int) -> None:
    """Images that are their own weight everywhere: the mean pixel and the weight must move together."""
    _, targets, weights = batch(4)
    images = weights[:, None, None, None].expand(4, 1, 16, 20).clone()
    pixels, _, carried = mixed(mix, seed, images, targets, weights)
    torch.testing.assert_close(pixels.double().mean(dim=(1, 2, 3)).float(), carried)


@every_mix
def test_several_labels_an_image_stay_within_0_and_1(mix: Mix) -> None:
    images, _, weights = batch(4)
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    _, after, carried = mixed(mix, 0, images, targets, weights)
    assert ((after >= 0) & (after <= 1 + 1e-6)).all()
    torch.testing.assert_close((carried[:, None] * after).sum(dim=0), (weights[:, None] * targets).sum(dim=0))


@every_mix
@pytest.mark.parametrize("alpha", [0.001, 10])
def test_the_extremes_of_alpha_give_numbers(mix: Mix, alpha: float) -> None:
    extreme = type(mix)(alpha=alpha)
    for seed in range(50):
        assert all(torch.isfinite(tensor).all() for tensor in mixed(extreme, seed, *batch(2)))


@every_mix
def test_a_word_and_its_settings_make_the_mix(mix: Mix) -> None:
    assert MIXES.parse(MIXES.plain(mix)) == mix
    with pytest.raises(ConfigError, match="alpha"):
        MIXES.parse({"mix": mix.part_name, "alpha": 0})
