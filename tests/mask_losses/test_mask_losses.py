"""Every mask loss against an independent form of it: the library's, scikit-learn's counts, or the paper's in loops."""

import math

import numpy as np
import pytest
import segmentation_models_pytorch.losses as library
import torch
from torch.nn import functional

from headstart.errors import ConfigError
from headstart.mask_losses.boundary import Boundary, signed_distances
from headstart.mask_losses.cross_entropy import CrossEntropy
from headstart.mask_losses.dice import Dice
from headstart.mask_losses.focal import Focal
from headstart.mask_losses.lovasz import Lovasz
from headstart.mask_losses.mask_loss import MASK_LOSSES, ChosenMaskLosses, total
from headstart.mask_losses.tversky import Tversky
from headstart.part import Part
from headstart.types import IGNORED

CLASSES = 4
ALL = sorted(MASK_LOSSES.names())


def example(seed: int = 0, *, ignored: float = 0.2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, CLASSES, 9, 7, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, CLASSES, (3, 9, 7), generator=generator)
    targets[torch.rand(3, 9, 7, generator=generator) < ignored] = IGNORED
    return logits, targets


def ones() -> torch.Tensor:
    return torch.ones(CLASSES, dtype=torch.float64)


@pytest.mark.parametrize("name", ALL)
def test_ignored_pixels_change_nothing_and_an_image_of_them_alone_costs_nothing(name: str) -> None:
    loss = MASK_LOSSES.get(name)()
    logits, targets = example()
    targets[2] = IGNORED
    found = loss(logits, targets, ones())
    assert found.shape == (3,)
    assert float(found[2]) == 0
    changed = logits.clone()
    changed.movedim(1, -1)[targets == IGNORED] += 5
    assert torch.allclose(loss(changed, targets, ones()), found)


@pytest.mark.parametrize("name", ALL)
def test_the_right_answer_costs_less_than_a_wrong_one_and_gradients_are_finite(name: str) -> None:
    loss = MASK_LOSSES.get(name)()
    _, targets = example(ignored=0)
    right = 9.0 * functional.one_hot(targets, CLASSES).movedim(-1, 1).double()
    wrong = 9.0 * functional.one_hot((targets + 1) % CLASSES, CLASSES).movedim(-1, 1).double()
    right.requires_grad_()
    assert bool((loss(right, targets, ones()) < loss(wrong, targets, ones())).all())
    loss(right, targets, ones()).sum().backward()
    assert right.grad is not None
    assert bool(torch.isfinite(right.grad).all())


def test_cross_entropy_and_focal_without_gamma_are_torchs_mean_over_the_counted_pixels() -> None:
    logits, targets = example()
    weights = torch.tensor([0.5, 1, 2, 4], dtype=torch.float64)
    expected = torch.stack([functional.cross_entropy(one[None], target[None], weights, ignore_index=IGNORED)
                            for one, target in zip(logits, targets, strict=True)])
    assert torch.allclose(CrossEntropy()(logits, targets, weights), expected)
    assert torch.allclose(Focal(gamma=0)(logits, targets, weights), expected)


def test_focal_weighs_each_pixel_by_its_doubt() -> None:
    logits, targets = example(ignored=0)
    log_p = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
    expected = (-((1 - log_p.exp()) ** 3) * log_p).mean(dim=(1, 2))
    assert torch.allclose(Focal(gamma=3)(logits, targets, ones()), expected)


def by_hand(logits: torch.Tensor, targets: torch.Tensor, alpha: float, beta: float, smooth: float) -> list[float]:
    """The Tversky loss in loops over pixels."""
    losses = []
    for one, target in zip(logits.softmax(1).numpy(), targets.numpy(), strict=True):
        values = []
        for label in range(CLASSES):
            tp = fp = fn = 0.0
            for row, column in np.ndindex(target.shape):
                if target[row, column] == IGNORED:
                    continue
                p, hit = float(one[label, row, column]), target[row, column] == label
                tp, fp, fn = tp + p * hit, fp + p * (not hit), fn + (1 - p) * hit
            if (target == label).any():
                values.append(1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth))
        losses.append(sum(values) / len(values))
    return losses


def test_tversky_and_dice_are_their_formulas_pixel_by_pixel() -> None:
    logits, targets = example()
    tversky = Tversky(alpha=0.3, beta=0.7, smooth=0.5)(logits, targets, ones())
    assert np.allclose(tversky.numpy(), by_hand(logits, targets, 0.3, 0.7, 0.5), atol=1e-6)
    dice = Dice(smooth=1)(logits, targets, ones())
    assert np.allclose(dice.numpy(), by_hand(logits, targets, 0.5, 0.5, 0.5), atol=1e-6)


def test_dice_is_the_librarys_on_one_image_that_shows_all_classes() -> None:
    logits, targets = example(ignored=0)
    for one, target in zip(logits, targets, strict=True):
        theirs = library.DiceLoss("multiclass", smooth=0.0)(one[None], target[None])
        assert float(Dice(smooth=0)(one[None], target[None], ones())) == pytest.approx(float(theirs), abs=1e-6)


def test_lovasz_is_the_librarys_and_at_hard_answers_the_jaccard_loss() -> None:
    logits, targets = example()
    theirs = library.LovaszLoss("multiclass", per_image=True, ignore_index=IGNORED)(logits.float(), targets)
    assert float(Lovasz()(logits, targets, ones()).mean()) == pytest.approx(float(theirs), abs=1e-5)
    answers = torch.randint(0, CLASSES, targets.shape, generator=torch.Generator().manual_seed(3))
    hard = 60.0 * functional.one_hot(answers, CLASSES).movedim(-1, 1).double()
    for found, answer, target in zip(Lovasz()(hard, targets, ones()), answers, targets, strict=True):
        counted = target != IGNORED
        losses = [1 - float(((answer == c) & (target == c) & counted).sum()
                            / (((answer == c) | (target == c)) & counted).sum()) for c in target[counted].unique()]
        assert float(found) == pytest.approx(sum(losses) / len(losses), abs=1e-6)


def test_signed_distances_count_from_the_edge_of_the_class() -> None:
    target = np.zeros((1, 5), np.int64)
    target[0, 1:3] = 1
    diagonal = math.hypot(1, 5)
    assert np.allclose(signed_distances(target, [1])[0], np.array([[1, -1, -1, 1, 2]]) / diagonal)
    assert not signed_distances(np.ones((3, 3), np.int64), [1]).any()


def test_boundary_is_the_mean_of_probability_times_distance() -> None:
    logits, targets = example()
    found = Boundary()(logits, targets, ones())
    for one, target, loss in zip(logits.softmax(1), targets, found, strict=True):
        counted = (target != IGNORED).numpy()
        shown = sorted(set(target.numpy()[counted].tolist()))
        distances = signed_distances(target.numpy(), shown)
        means = [float((one[label].numpy() * distances[place])[counted].mean()) for place, label in enumerate(shown)]
        assert float(loss) == pytest.approx(sum(means) / len(means), abs=1e-9)


def test_a_sum_of_losses_weighs_them() -> None:
    logits, targets = example()
    parts = (CrossEntropy(weight=2), Dice(weight=0.5))
    expected = 2 * CrossEntropy()(logits, targets, ones()) + 0.5 * Dice()(logits, targets, ones())
    assert torch.allclose(total(parts, logits, targets, ones()), expected)


class Chosen(Part):
    losses: ChosenMaskLosses = ()


@pytest.mark.parametrize(("value", "names"), [
    ("dice", ["dice"]), ("cross_entropy,lovasz", ["cross_entropy", "lovasz"]),
    ([{"mask_loss": "tversky", "alpha": 0.4}, "boundary"], ["tversky", "boundary"])])
def test_losses_are_chosen_by_name_or_with_settings(value: object, names: list[str]) -> None:
    found = Chosen.parse({"losses": value})
    assert [loss.part_name for loss in found.losses] == names
    assert Chosen.parse(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(("value", "said"), [("dicee", 'unknown mask_loss "dicee". Did you mean "dice"'),
                                             ("", "name one loss")])
def test_what_is_no_loss_is_refused(value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Chosen.parse({"losses": value})
