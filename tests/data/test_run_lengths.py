"""Run lengths: back to the same mask, and intersections as counting pixels gives them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headstart.data.mask_crops import pasted
from headstart.data.masks import rle_of
from headstart.data.regions import decoded
from headstart.data.run_lengths import area, compressed, encoded, overlap

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@given(MASKS)
@settings(deadline=None)
def test_decoding_gives_the_mask_back(mask: np.ndarray) -> None:
    found = encoded(mask)
    assert np.array_equal(decoded(found), mask)
    assert area(found) == mask.sum()
    assert rle_of({"size": [found.height, found.width], "counts": list(found.counts)}, mask.shape) == found
    assert rle_of({"size": list(mask.shape), "counts": compressed(found)}, mask.shape) == found
    assert all(found.counts[1:]), "no run but the first is empty"


@given(MASKS, st.integers(0, 4), st.integers(0, 4))
@settings(deadline=None)
def test_a_part_lies_where_its_corner_says(mask: np.ndarray, row: int, column: int) -> None:
    size = row + mask.shape[0] + 2, column + mask.shape[1]
    whole = np.zeros(size, bool)
    whole[row:row + mask.shape[0], column:column + mask.shape[1]] = mask
    assert np.array_equal(decoded(encoded(mask, (row, column), size)), whole)


@given(arrays.arrays(bool, (5, 7, 6)), arrays.arrays(bool, (5,)))
@settings(deadline=None)
def test_overlap_is_that_of_the_pixels(masks: np.ndarray, crowd: np.ndarray) -> None:
    found = overlap([encoded(mask) for mask in masks], [encoded(mask) for mask in masks[::-1]], crowd)
    for k, one in enumerate(masks):
        for g, other in enumerate(masks[::-1]):
            union = one.sum() if crowd[g] else (one | other).sum()
            assert found[k, g] == pytest.approx((one & other).sum() / union if union else 0)


def test_no_masks_overlap_nothing() -> None:
    assert overlap([], [encoded(np.ones((2, 2), bool))], np.array([False])).shape == (0, 1)
    assert overlap([encoded(np.ones((2, 2), bool))], [], np.zeros(0, bool)).shape == (1, 0)


def test_a_square_of_ones_fills_its_box_and_half_of_it_half() -> None:
    full = decoded(pasted(np.ones((28, 28)), np.array([2.0, 3.0, 12.0, 9.0]), (20, 30)))
    expected = np.zeros((20, 30), bool)
    expected[3:9, 2:12] = True
    assert np.array_equal(full, expected)
    left = np.zeros((28, 28))
    left[:, :14] = 1
    assert decoded(pasted(left, np.array([2.0, 3.0, 12.0, 9.0]), (20, 30))).sum() == 30
    assert not decoded(pasted(np.zeros((28, 28)), np.array([2.0, 3.0, 12.0, 9.0]), (20, 30))).any()


def test_a_pasted_square_is_what_torchvision_pastes_but_for_the_edge() -> None:
    import torch
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((1, 1, 4, 4)).astype(np.float32))
    square = torch.nn.functional.interpolate(coarse, size=(28, 28), mode="bicubic").clamp(0, 1)
    box = np.array([10.0, 5.0, 70.0, 55.0])
    theirs = paste_masks_in_image(square, torch.from_numpy(box[None]).float(), (64, 80))[0, 0].numpy() >= 0.5
    mine = decoded(pasted(square[0, 0].numpy(), box, (64, 80)))
    assert (mine & theirs).sum() / (mine | theirs).sum() > 0.95
