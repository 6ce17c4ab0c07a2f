"""Outlines are exact: drawn again they give the same pixels, whatever the mask."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label as connected

from headstart.data.drawing import paint
from headstart.data.outlines import Outline, outlines_of
from headstart.types import Instance

BOX = (0.0, 0.0, 1.0, 1.0)
MASKS = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(lambda shape: arrays(bool, shape))


def filled(ring: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    canvas = np.zeros(shape, bool)
    paint(canvas, Instance(0, BOX, polygons=(tuple(ring.ravel().tolist()),)), 1)
    return canvas


def drawn_again(found: list[Outline], shape: tuple[int, ...]) -> np.ndarray:
    canvas = np.zeros(shape, bool)
    for one in found:
        part = filled(one.outer, shape)
        for hole in one.holes:
            inside = filled(hole, shape)
            assert part[inside].all()  # a hole lies in its outline, and no two overlap
            part &= ~inside
        assert not canvas[part].any()
        canvas |= part
    return canvas


def area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


@given(region=MASKS)
@settings(max_examples=300, deadline=None)
def test_drawn_again_any_mask_is_the_same(region: np.ndarray) -> None:
    found = outlines_of(region)
    assert np.array_equal(drawn_again(found, region.shape), region)
    patches, count = connected(region)
    assert len(found) == count
    for number, one in enumerate(found, 1):
        assert np.array_equal(filled(one.joined(), region.shape), patches == number)


@given(region=MASKS)
@settings(max_examples=200, deadline=None)
def test_rings_are_simple_and_turn_as_they_should(region: np.ndarray) -> None:
    for one in outlines_of(region):
        assert area(one.outer) > 0  # clockwise with y downwards
        for ring in (one.outer, *one.holes):
            assert len({tuple(corner) for corner in ring.tolist()}) == len(ring)  # no corner twice
            steps = np.roll(ring, -1, axis=0) - ring
            assert ((steps == 0).sum(axis=1) == 1).all()  # along rows and columns
            assert ((steps[:, 0] == 0) != (np.roll(steps, 1, axis=0)[:, 0] == 0)).all()  # no corner on a straight line
            assert ring.tolist()[0] == min(ring.tolist(), key=lambda corner: (corner[1], corner[0]))
        assert all(area(hole) < 0 for hole in one.holes)


def test_a_frame_has_a_hole_and_an_island_is_a_patch_of_its_own() -> None:
    region = np.zeros((7, 7), bool)
    region[0:7, 0:7] = True
    region[1:6, 1:6] = False
    region[3, 3] = True
    frame, island = outlines_of(region)
    assert frame.outer.tolist() == [[0, 0], [7, 0], [7, 7], [0, 7]]
    assert [hole.tolist() for hole in frame.holes] == [[[1, 1], [1, 6], [6, 6], [6, 1]]]
    assert (island.outer.tolist(), island.holes) == ([[3, 3], [4, 3], [4, 4], [3, 4]], ())
    assert np.array_equal(filled(frame.joined(), region.shape) | filled(island.outer, region.shape), region)


@pytest.mark.parametrize(("rows", "rings"), [
    (["10", "01"], [0, 0]),  # two patches that meet in a corner
    (["111", "101", "110"], [1]),  # one patch around a pixel that meets the outside in a corner: a hole
    (["1"], [0]), (["0"], [])])
def test_pixels_that_meet_in_a_corner(rows: list[str], rings: list[int]) -> None:
    region = np.array([[letter == "1" for letter in row] for row in rows])
    assert [len(one.holes) for one in outlines_of(region)] == rings


def test_four_million_pixels_with_thousands_of_patches_take_seconds() -> None:
    rng = np.random.default_rng(0)
    region = np.kron(rng.random((250, 250)) < 0.4, np.ones((8, 8), bool)) & (rng.random((2000, 2000)) < 0.995)
    began = time.monotonic()
    found = outlines_of(region)
    assert time.monotonic() - began < 20
    assert len(found) > 3000
    assert sum(area(one.outer) + sum(map(area, one.holes)) for one in found) == region.sum()
