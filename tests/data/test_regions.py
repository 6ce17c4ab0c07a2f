"""Regions hold the pixels that other libraries say they hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from headstart.data.regions import decoded, extents, rectangle, region_of, resized
from headstart.types import Instance, Rle

BOX = (0.0, 0.0, 1.0, 1.0)


@given(seed=st.integers(0, 10_000), height=st.integers(1, 30), width=st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_run_lengths_are_decoded_as_coco_does(seed: int, height: int, width: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    flat = np.concatenate([[False], mask.T.ravel(), [True]])
    edges = np.flatnonzero(flat[1:-1] != flat[:-2])
    counts = np.diff([0, *edges, mask.size]).tolist()
    assert np.array_equal(decoded(Rle(height, width, tuple(counts))), mask)
    theirs = coco.decode(coco.frPyObjects({"size": [height, width], "counts": counts}, height, width))
    assert np.array_equal(decoded(Rle(height, width, tuple(counts))), theirs.astype(bool))


@given(left=st.floats(0, 20), top=st.floats(0, 20), wide=st.floats(0, 20), high=st.floats(0, 20))
@settings(max_examples=50, deadline=None)
def test_an_outline_that_is_a_box_holds_the_pixels_of_the_box(left: float, top: float, wide: float, high: float
                                                              ) -> None:
    right, bottom = left + wide, top + high
    corners = (left, top, right, top, right, bottom, left, bottom)
    found = region_of(Instance(0, BOX, polygons=(corners,)), (40, 44), (40, 44))
    expected = rectangle((left, top, right, bottom), (40, 44))
    assert np.array_equal(np.zeros_like(expected) if found is None else found, expected)


def test_a_hole_and_a_second_part_are_seen() -> None:
    """A bow tie of one outline has two halves; a second outline is another part."""
    bow, part = (0, 0, 10, 10, 10, 0, 0, 10), (12, 0, 16, 0, 16, 4, 12, 4)
    found = region_of(Instance(0, BOX, polygons=(bow, part)), (10, 20), (10, 20))
    assert found is not None
    assert found[5, 1]
    assert found[5, 8]
    assert not found[1, 5]
    assert found[:4, 12:16].all()
    assert not found[:, 16:].any()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_outlines_agree_with_coco_but_for_their_edge(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
    radii = rng.uniform(20, 40, 12)
    points = np.stack([50 + radii * np.cos(angles), 48 + radii * np.sin(angles)], axis=1)
    found = region_of(Instance(0, BOX, polygons=(tuple(points.ravel()),)), (100, 96), (100, 96))
    theirs = coco.decode(coco.frPyObjects([points.ravel().tolist()], 100, 96))[..., 0].astype(bool)
    perimeter = np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum()
    assert found is not None
    assert (found != theirs).sum() <= perimeter


def test_masks_shrink_with_their_picture() -> None:
    mask = np.zeros((20, 40), bool)
    mask[4:12, 8:24] = True
    assert extents(resized(mask, (10, 20))[None])[0].tolist() == [4, 2, 12, 6]
    outline = (8.0, 4.0, 24.0, 4.0, 24.0, 12.0, 8.0, 12.0)
    found = region_of(Instance(0, BOX, polygons=(outline,)), (10, 20), (20, 40))
    assert found is not None
    assert extents(found[None])[0].tolist() == [4, 2, 12, 6]


@pytest.mark.parametrize("found", [
    Instance(0, BOX), Instance(0, BOX, polygons=((0.1, 0.1, 0.2, 0.1, 0.2, 0.2),)),
    Instance(0, BOX, rle=Rle(4, 4, (16,))), Instance(0, BOX, rle=Rle(5, 5, (0, 25)))])
def test_what_holds_no_pixel_or_is_of_another_picture_is_no_mask(found: Instance) -> None:
    assert region_of(found, (4, 4), (4, 4)) is None


def test_extents_are_edges() -> None:
    regions = np.zeros((2, 6, 8), bool)
    regions[0, 2:5, 3] = True
    assert extents(regions).tolist() == [[3, 2, 4, 5], [0, 0, 8, 6]]
