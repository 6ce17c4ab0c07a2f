"""Outlines and run lengths drawn as masks: the rule, the order, and agreement with COCO's own."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from headstart.data.dataset import Dataset
from headstart.data.drawing import drawn, paint
from headstart.data.fingerprint import fingerprint
from headstart.data.masks import BadMask
from headstart.data.pixel_classes import pixel_classes, relabelled
from headstart.data.run_lengths import encoded
from headstart.types import IGNORED, Instance, MaskShapes, Rle, Sample
from tests.pictures import picture

BOX = (0.0, 0.0, 1.0, 1.0)


def square(label: int, left: float, top: float, right: float, bottom: float, *, crowd: bool = False) -> Instance:
    return Instance(label, BOX, crowd, polygons=((left, top, right, top, right, bottom, left, bottom),))


def test_smaller_objects_lie_over_larger_ones_and_crowds_below_all() -> None:
    small, large, crowd = square(1, 2, 2, 4, 4), square(2, 0, 0, 6, 6), square(1, 0, 0, 3, 8, crowd=True)
    expected = np.zeros((8, 8), np.uint8)
    expected[:, :3] = IGNORED
    expected[:6, :6] = 2
    expected[2:4, 2:4] = 1
    for objects in ((small, large, crowd), (crowd, large, small)):
        assert np.array_equal(drawn(MaskShapes(objects, (8, 8), 0)), expected)


def test_of_equal_ones_the_later_lies_above() -> None:
    both = square(1, 0, 0, 4, 4), square(2, 2, 0, 6, 4)
    assert drawn(MaskShapes(both, (4, 6), 0))[0].tolist() == [1, 1, 2, 2, 2, 2]
    assert drawn(MaskShapes(both[::-1], (4, 6), 0))[0].tolist() == [1, 1, 1, 1, 2, 2]


def test_outlines_and_run_lengths_are_drawn_alike() -> None:
    region = np.random.default_rng(0).random((9, 7)) < 0.3
    assert np.array_equal(drawn(MaskShapes((Instance(3, BOX, rle=encoded(region)),), (9, 7), 0)) == 3, region)
    with pytest.raises(BadMask, match="a mask of 4x4 pixels in a picture of 7x9"):
        drawn(MaskShapes((Instance(3, BOX, rle=Rle(4, 4, (0, 16))),), (9, 7), 0))


@given(points=st.lists(st.tuples(st.floats(-50, 150), st.floats(-50, 150)), min_size=3, max_size=8),
       bridge=st.tuples(st.floats(-50, 150), st.floats(-50, 150)))
@settings(max_examples=60, deadline=None)
def test_an_edge_there_and_back_takes_no_pixel(points: list[tuple[float, float]], bridge: tuple[float, float]) -> None:
    plain, there_and_back = np.zeros((100, 90), bool), np.zeros((100, 90), bool)
    paint(plain, Instance(0, BOX, polygons=(tuple(np.ravel(points)),)), 1)
    paint(there_and_back, Instance(0, BOX, polygons=(tuple(np.ravel([*points, points[0], bridge, points[0]])),)), 1)
    assert np.array_equal(plain, there_and_back)


def test_what_is_drawn_agrees_with_coco_on_outlines_of_some_size() -> None:
    """Mean IoU with pycocotools' own drawing is above 0.95, and each above 0.9, for outlines 20 to 80 pixels across."""
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        angles, radius = np.sort(rng.uniform(0, 2 * np.pi, 14)), rng.uniform(10, 40)
        radii = radius * rng.uniform(0.7, 1, 14)
        points = np.stack([50 + radii * np.cos(angles), 48 + radii * np.sin(angles)], axis=1).round(2)
        ours = np.zeros((100, 96), bool)
        paint(ours, Instance(0, BOX, polygons=(tuple(points.ravel()),)), 1)
        theirs = coco.decode(coco.frPyObjects([points.ravel().tolist()], 100, 96))[..., 0].astype(bool)
        if theirs.sum() > 300:
            found.append((ours & theirs).sum() / (ours | theirs).sum())
    assert len(found) > 30
    assert np.mean(found) > 0.95
    assert min(found) > 0.9


def test_a_hundred_million_pixels_and_points_are_bounded() -> None:
    rng = np.random.default_rng(2)
    ragged = rng.uniform(0, 12000, (20_000, 2)) * (1, 0.75)
    objects = (square(1, -100, 10, 11_000, 8_900), Instance(2, BOX, polygons=(tuple(ragged[:40].ravel()),)),
               Instance(1, BOX, rle=Rle(9000, 12000, (9000 * 4000, 9000 * 3000, 9000 * 5000))))
    began = time.monotonic()
    tracemalloc.start()
    found = drawn(MaskShapes(objects, (9000, 12000), 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.shape == (9000, 12000)
    assert peak < 450e6  # the canvas has 108 MB
    canvas = np.zeros((300, 12000), np.uint8)
    tracemalloc.start()
    paint(canvas, Instance(0, BOX, polygons=(tuple((ragged * (1, 1 / 30)).ravel()),)), 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 450e6
    assert time.monotonic() - began < 60


def test_classes_are_renamed_and_those_without_a_place_not_drawn() -> None:
    mask = MaskShapes((square(1, 0, 0, 4, 4), square(2, 4, 0, 8, 4), square(IGNORED, 0, 3, 8, 4)), (4, 8), 0)
    new = relabelled([mask], {0: 5, 1: 0})[0]
    assert pixel_classes(new).tolist() == [[0] * 4 + [5] * 4] * 3 + [[IGNORED] * 8]


def test_the_fingerprint_knows_what_is_drawn(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = picture(tmp_path / "a.png")

    def of(mask: MaskShapes, classes: tuple[str, ...] = ("a", "b")) -> str:
        return fingerprint(Dataset((Sample("a.png", path, (0,), mask=mask),), classes, "semantic", "coco"))

    first = MaskShapes((square(1, 0, 0, 4, 4), square(0, 2, 0, 6, 4)), (8, 8), 0)
    others = [MaskShapes(first.objects[::-1], (8, 8), 0), MaskShapes(first.objects, (8, 8), 1),
              MaskShapes((square(1, 0, 0, 4, 5), first.objects[1]), (8, 8), 0), MaskShapes(first.objects, (8, 9), 0)]
    assert of(first) == of(MaskShapes(tuple(first.objects), (8, 8), 0))
    assert len({of(mask) for mask in (first, *others)}) == 5
