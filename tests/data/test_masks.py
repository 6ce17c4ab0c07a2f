import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.data.masks import (
    BadMask,
    area_of_polygons,
    box_of_polygons,
    box_of_rle,
    polygons_of,
    rle_of,
    runs_of_text,
)
from headstart.types import Rle


def text_of(runs: list[int]) -> str:
    """COCO's compressed form, from its definition: groups of five bits of a difference, with a sign."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            text += chr(48 + group + (32 if more else 0))
    return text


# Written by pycocotools 2.0.11 (mask.encode) for masks of 40 x 60, and the runs that they stand for.
WRITTEN = [
    ('i21gT14\\lN000l61SI000000000000000c=',
     [89, 1, 1175, 5, 35, 5, 35, 5, 255, 6, 34, 6, 34, 6, 34, 6, 34, 6, 34, 6, 34, 6, 34, 6, 34, 6, 469]),
    ('ZR16R1000M3000000000000a3NQd0',
     [1098, 6, 34, 6, 34, 6, 31, 9, 31, 9, 31, 9, 31, 9, 31, 9, 31, 9, 31, 9, 144, 7, 785]),
    ('f]18P10e4MUKL=0000000n>',
     [1462, 8, 32, 8, 181, 5, 26, 1, 39, 1, 39, 1, 39, 1, 39, 1, 517]),
]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=40))
def test_compressed_runs_come_back(runs: list[int]) -> None:
    assert runs_of_text(text_of(runs), most=5000) == runs


@pytest.mark.parametrize(("text", "runs"), WRITTEN)
def test_text_that_pycocotools_wrote_is_read(text: str, runs: list[int]) -> None:
    assert runs_of_text(text, most=2400) == runs


@given(st.text(max_size=30))
def test_any_text_is_runs_or_a_bad_mask(text: str) -> None:
    with contextlib.suppress(BadMask):
        assert all(0 <= run <= 100 for run in runs_of_text(text, most=100))


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_the_box_of_a_mask_is_that_of_its_pixels(height: int, width: int, data: st.DataObject) -> None:
    pixels = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    runs, last = [0], False
    for pixel in pixels:
        if pixel != last:
            runs.append(0)
            last = pixel
        runs[-1] += 1
    rle = rle_of({"size": [height, width], "counts": runs}, (height, width))
    places = [(number // height, number % height) for number, pixel in enumerate(pixels) if pixel]
    if not places:
        with pytest.raises(BadMask, match="empty"):
            box_of_rle(rle)
        return
    xs, ys = zip(*places, strict=True)
    assert box_of_rle(rle) == (min(xs), min(ys), max(xs) + 1, max(ys) + 1)


def test_outlines_have_a_box_and_an_area() -> None:
    (square,) = polygons_of([[0, 0, 10, 0, 10, 10, 0, 10]], (20, 20))
    assert box_of_polygons([square]) == (0, 0, 10, 10)
    assert area_of_polygons([square]) == 100
    assert area_of_polygons([(0, 0, 4, 0, 0, 3)]) == 6


def test_outlines_may_leave_the_picture_by_its_own_size() -> None:
    assert polygons_of([[-20, 0, 40, 0, 5, 40]], (20, 20))
    with pytest.raises(BadMask, match="far out"):
        polygons_of([[-21, 0, 40, 0, 5, 40]], (20, 20))


def test_run_lengths_are_values() -> None:
    assert rle_of({"size": [2, 2], "counts": [4]}, None) == Rle(2, 2, (4,))
