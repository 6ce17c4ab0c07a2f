"""Overlap of boxes, against pixels that are counted and laws that hold of every two boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.metrics.boxes.overlap import overlaps

whole = st.integers(0, 20)
corners = st.tuples(whole, whole, whole, whole).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])))


def overlap(a, b, **settings):
    return float(overlaps(np.array([a], float), np.array([b], float), **settings)[0, 0])


def drawn(box):
    pixels = np.zeros((20, 20), bool)
    pixels[box[1]:box[3], box[0]:box[2]] = True
    return pixels


@given(corners, corners)
def test_overlap_is_that_of_counted_pixels(a, b):
    both, either = (drawn(a) & drawn(b)).sum(), (drawn(a) | drawn(b)).sum()
    assert overlap(a, b) == pytest.approx(both / either if either else 0.0, abs=1e-12)


@given(corners, corners)
def test_against_a_crowd_only_the_detection_is_the_whole(a, b):
    both, own = (drawn(a) & drawn(b)).sum(), drawn(a).sum()
    assert overlap(a, b, crowd=np.array([True])) == pytest.approx(both / own if own else 0.0, abs=1e-12)


@given(corners, corners, st.tuples(st.floats(-50, 50), st.floats(-50, 50)), st.floats(0.1, 10))
def test_overlap_is_symmetric_and_knows_neither_place_nor_scale(a, b, shift, scale):
    moved = [scale * np.array(box) + np.tile(shift, 2) for box in (a, b)]
    assert overlap(a, b) == pytest.approx(overlap(b, a), abs=1e-12)
    assert overlap(*moved) == pytest.approx(overlap(a, b), abs=1e-6)


@given(corners.filter(lambda c: c[2] > c[0] and c[3] > c[1]))
def test_a_box_overlaps_itself_fully(box):
    assert overlap(box, box) == 1.0
