"""What several slices see of one object becomes one box, whatever edge cuts it; what are two objects stay two."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headstart.data.regions import decoded
from headstart.data.run_lengths import area, overlap
from headstart.data.slices import Slices, seen_through
from headstart.merging import Found, cut_sides, merged
from headstart.types import Box, Detections, Instance

SIZE = (500, 700)


def looks(objects: list[Instance], cut: Slices, *, scores: list[float] | None = None, noise: float = 0.0,
          seed: int = 0) -> Detections:
    """Return the merged answers of a detector that sees every object, or part of one, in every slice."""
    rng = np.random.default_rng(seed)
    windows, parts = cut.windows(SIZE), []
    for number, window in enumerate(windows):
        seen = seen_through(window, objects)
        boxes = np.array([one.box for one in seen], np.float64).reshape(-1, 4)
        boxes += rng.uniform(-noise, noise, boxes.shape)
        given = [scores[number % len(scores)] if scores else rng.uniform(0.5, 1)] * len(seen)
        parts.append(Detections(boxes.astype(np.float32), np.array(given, np.float32),
                                np.array([one.label for one in seen], np.int64)))
    return merged(parts, windows, cut, SIZE)


def iou(one: np.ndarray, other: Box) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(sides.clip(min=0)))
    return common / (float(np.prod(one[2:] - one[:2])) + (other[2] - other[0]) * (other[3] - other[1]) - common)


merges = pytest.mark.parametrize("merge", ["nms", "wbf"])


@merges
@pytest.mark.parametrize(("box", "why"), [
    ((190.0, 50.0, 230.0, 90.0), "one slice cuts it, the next sees it whole"),
    ((195.0, 50.0, 260.0, 90.0), "a strip of it shows in the first slice"),
    ((120.0, 60.0, 290.0, 100.0), "it is longer than the overlap: both slices cut it"),
    ((20.0, 40.0, 680.0, 120.0), "it runs through five slices"),
    ((150.0, 150.0, 270.0, 270.0), "four slices meet on it"),
])
@pytest.mark.parametrize("scores", [[0.9, 0.6], [0.6, 0.9], None])
def test_an_object_cut_by_an_edge_gives_one_box(merge: str, box: Box, why: str, scores: list[float] | None) -> None:
    found = looks([Instance(0, box)], Slices(size=200, overlap=0.2, merge=merge), scores=scores)  # type: ignore[arg-type]
    assert len(found.boxes) == 1, why
    assert iou(found.boxes[0], box) > 0.98


@merges
@settings(deadline=None, max_examples=150)
@given(st.floats(0, 600), st.floats(0, 400), st.floats(14, 300), st.floats(14, 300), st.integers(0, 9))
def test_one_object_anywhere_gives_one_box(merge: str, left: float, top: float, wide: float, high: float,
                                           seed: int) -> None:
    box = (left, top, min(left + wide, 700.0), min(top + high, 500.0))
    assume(min(box[2] - box[0], box[3] - box[1]) >= 14)
    cut = Slices(size=200, overlap=0.25, merge=merge)  # type: ignore[arg-type]
    # A slice that lies inside the object sees no edge of it, and a detector that names such a slice is none.
    assume(not any(left >= box[0] and top >= box[1] and right <= box[2] and bottom <= box[3]
                   for left, top, right, bottom in cut.windows(SIZE)))
    found = looks([Instance(0, box)], cut, noise=1.0, seed=seed)
    assert len(found.boxes) == 1
    assert iou(found.boxes[0], box) > 0.75


@merges
def test_neighbours_in_the_overlap_stay_two(merge: str) -> None:
    objects = [Instance(0, (165, 50, 181, 90)), Instance(0, (182, 50, 230, 90)), Instance(1, (182, 52, 230, 92))]
    found = looks(objects, Slices(size=200, overlap=0.2, merge=merge))  # type: ignore[arg-type]
    assert sorted(found.labels.tolist()) == [0, 0, 1]


@merges
def test_without_overlap_pieces_of_one_object_are_joined_along_the_edge(merge: str) -> None:
    box = (150.0, 50.0, 260.0, 90.0)
    found = looks([Instance(0, box)], Slices(size=200, overlap=0, merge=merge), noise=1.0)  # type: ignore[arg-type]
    assert len(found.boxes) == 1
    assert iou(found.boxes[0], box) > 0.9


@merges
def test_the_whole_picture_judges_what_is_larger_than_a_slice(merge: str) -> None:
    box = (30.0, 20.0, 650.0, 470.0)
    found = looks([Instance(0, box)], Slices(size=200, overlap=0.2, whole=True, merge=merge))  # type: ignore[arg-type]
    assert iou(found.boxes[0], box) > 0.98


def test_a_weak_guess_takes_no_sure_piece_away() -> None:
    """Both slices cut a long object; one of them also has a faint idea of a shorter one, which it sees whole."""
    windows = [(0, 0, 200, 100), (160, 0, 360, 100)]
    parts = [Detections(np.array([[100, 20, 200, 60]], np.float32), np.array([0.9], np.float32), np.zeros(1, int)),
             Detections(np.array([[0, 20, 140, 60], [8, 20, 60, 60]], np.float32), np.array([0.8, 0.05], np.float32),
                        np.zeros(2, int))]
    found = merged(parts, windows, Slices(size=200), (100, 360))
    np.testing.assert_allclose(found.boxes[0], [100, 20, 300, 60])
    assert found.scores[0] == pytest.approx(0.9)


def test_one_slice_is_left_as_it_is() -> None:
    only = Detections(np.array([[0, 0, 9, 9], [0, 0, 9, 9.5]], np.float32), np.array([0.4, 0.3], np.float32),
                      np.zeros(2, int))
    assert merged([only], [(0, 0, 50, 40)], Slices(), (40, 50)) is only


def test_nothing_found_is_nothing() -> None:
    for merge in ("nms", "wbf"):
        found = looks([], Slices(size=200, merge=merge))  # type: ignore[arg-type]
        assert (found.boxes.shape, found.scores.shape, found.labels.shape) == ((0, 4), (0,), (0,))
        assert found.boxes.dtype == np.float32


def test_the_surest_come_first() -> None:
    objects = [Instance(0, (10, 10, 40, 40)), Instance(0, (300, 300, 340, 340)), Instance(1, (600, 10, 640, 40))]
    scores = looks(objects, Slices(size=200), scores=[0.3, 0.9, 0.5, 0.7]).scores
    assert (np.diff(scores) <= 0).all()


def test_an_edge_of_the_picture_cuts_nothing() -> None:
    found = Found(np.array([[0, 0, 30, 100.0], [170, 10, 199, 100.0]]), np.ones(2), np.zeros(2, int), np.zeros(2, int))
    sides = cut_sides(found, np.array([[0, 0, 200, 100.0]]), (100, 300))
    assert sides.tolist() == [[False] * 4, [False, False, True, False]]


@settings(deadline=None, max_examples=60)
@given(st.floats(20, 680), st.floats(20, 480), st.floats(10, 160), st.floats(10, 120), st.sampled_from([0.0, 0.1, 0.3]))
def test_the_pieces_of_a_mask_make_the_whole_mask(x: float, y: float, wide: float, high: float, shared: float) -> None:
    """An ellipse, of which each slice sees its part, is found once with all of its pixels."""
    angles = np.arange(40) * 2 * np.pi / 40
    points = np.stack([x + wide * np.cos(angles), y + high * np.sin(angles)], axis=1).clip(0, SIZE[::-1])
    one = Instance(0, (*points.min(axis=0), *points.max(axis=0)), polygons=(tuple(points.ravel().tolist()),))  # type: ignore[arg-type]
    whole = seen_through((0, 0, *SIZE[::-1]), [one], masks=True)
    cut = Slices(size=200, overlap=shared)
    windows, parts = cut.windows(SIZE), []
    # A slice that lies inside the object sees no edge of it, and a detector that names such a slice is none.
    seen_by = [seen_through(window, [one], masks=True) for window in windows]
    assume(whole)
    assume(all(not seen or area(seen[0].rle) < 0.95 * 200 * 200 for seen in seen_by))  # type: ignore[arg-type]
    for seen in seen_by:
        parts.append(Detections(np.array([part.box for part in seen], np.float32).reshape(-1, 4),
                                np.full(len(seen), 0.9, np.float32), np.zeros(len(seen), np.int64),
                                tuple(part.rle for part in seen if part.rle)))
    found = merged(parts, windows, cut, SIZE)
    assert found.masks is not None
    best = overlap(found.masks, [whole[0].rle], np.zeros(1, bool)).max()  # type: ignore[list-item]
    # What shows too little of itself in a slice, no slice tells.
    assert best > 0.85


def test_masks_of_the_parts_lie_where_their_windows_lie() -> None:
    square = (190.0, 50.0, 230.0, 90.0)
    one = Instance(1, square, polygons=((190, 50, 230, 50, 230, 90, 190, 90),))
    cut = Slices(size=200, overlap=0.2)
    windows, parts = cut.windows(SIZE), []
    for window in windows:
        seen = seen_through(window, [one], masks=True)
        parts.append(Detections(np.array([part.box for part in seen], np.float32).reshape(-1, 4),
                                np.full(len(seen), 0.9, np.float32), np.full(len(seen), 1),
                                tuple(part.rle for part in seen if part.rle)))
    found = merged(parts, windows, cut, SIZE)
    assert found.boxes.tolist() == [list(square)]
    assert found.masks is not None
    expected = np.zeros(SIZE, bool)
    expected[50:90, 190:230] = True
    np.testing.assert_array_equal(decoded(found.masks[0]), expected)
