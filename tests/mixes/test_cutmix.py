import numpy as np
import pytest
import torch

from headstart.mixes.cutmix import CutMix

# B images, C classes


def pasted(seed: int, *, alpha: float = 1.0) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Return which pixels of each image came from the one before it [B, H, W], the targets and the weights."""
    images = torch.arange(4.0)[:, None, None, None].expand(4, 3, 14, 19).clone()
    torch.manual_seed(seed)
    after, targets, weights = CutMix(alpha=alpha)(images, torch.eye(4), torch.tensor([1.0, 2.0, 4.0, 8.0]))
    assert all(torch.equal(after[:, 0], after[:, c]) for c in (1, 2))
    before = np.roll(np.arange(4), 1)[:, None, None]
    taken = after[:, 0].numpy() == before
    assert (taken | (after[:, 0].numpy() == np.arange(4)[:, None, None])).all()
    return taken, targets, weights


@pytest.mark.parametrize("seed", range(25))
def test_what_is_pasted_is_one_box_the_same_in_every_image(seed: int) -> None:
    taken, _, _ = pasted(seed)
    assert (taken == taken[0]).all()
    rows, columns = np.nonzero(taken[0])
    if len(rows):
        assert (np.ptp(rows) + 1) * (np.ptp(columns) + 1) == len(rows)


@pytest.mark.parametrize("seed", range(25))
def test_labels_and_weights_are_mixed_by_the_pixels_that_were_pasted(seed: int) -> None:
    """By the count after the box was cut off at the border, not by the share that was drawn."""
    taken, targets, weights = pasted(seed)
    share = taken[0].sum() / taken[0].size
    plain, weight = np.eye(4), np.array([1.0, 2.0, 4.0, 8.0])
    mixed = (1 - share) * weight + share * np.roll(weight, 1)
    label = (1 - share) * weight[:, None] * plain + share * np.roll(weight[:, None] * plain, 1, axis=0)
    np.testing.assert_allclose(targets.numpy(), label / mixed[:, None], atol=1e-6)
    np.testing.assert_allclose(weights.numpy(), mixed, atol=1e-5)


def test_boxes_come_in_all_sizes_and_reach_the_border() -> None:
    boxes = [pasted(seed)[0][0] for seed in range(60)]
    shares = [box.mean() for box in boxes]
    assert min(shares) < 0.1
    assert max(shares) > 0.5
    assert any(box[0].any() for box in boxes)
    assert any(box[:, -1].any() for box in boxes)
    assert any(box.any() and not box[0].any() and not box[-1].any() for box in boxes)
