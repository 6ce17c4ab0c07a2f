"""Pasted and covered objects keep boxes that are true: painted in colours of their own, they are found there."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data import copy_paste
from headstart.data.copy_paste import LEAST_VISIBLE, Outlined, paste
from headstart.data.dataset import Dataset
from headstart.data.regions import extents, rectangle
from headstart.data.transforms import Preprocessing
from headstart.training.box_pictures import BoxPictures, TrainBoxes
from headstart.types import Instance, Rle, Sample

COLOURS = np.array([[230, 20, 20], [20, 230, 20], [20, 20, 230], [20, 230, 230], [230, 20, 230], [230, 230, 20]],
                   np.uint8)
"""By label: 0 to 2 are of the picture, 3 to 5 of the one that is pasted from. Far from each other and the ground."""
GROUND = 128
NEAR = 53
"""Half of the way from a colour to the ground."""


def rounded(box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """A superellipse: no rectangle, and yet without tips that resizing would blur away."""
    left, top, right, bottom = box
    down, across = (np.arange(side) + 0.5 for side in size)
    return (((across - (left + right) / 2) / ((right - left) / 2)) ** 4
            + (((down - (top + bottom) / 2) / ((bottom - top) / 2)) ** 4)[:, None]) <= 1


@st.composite
def painted(draw: st.DrawFn, *, masked: bool, first: int, least: int) -> Outlined:
    """A picture with a rounded shape or a rectangle of each of up to three colours, side by side."""
    size = draw(st.integers(40, 90)), draw(st.integers(75, 120))
    picture = np.full((*size, 3), GROUND, np.uint8)
    boxes, regions = [], []
    for place in range(draw(st.integers(least, 3))):
        # Ten pixels apart, so that no neighbour stands in what fades around a rectangle.
        lowest, strip = place * size[1] // 3, size[1] // 3 - 10
        left = lowest + draw(st.integers(0, strip // 3))
        right = draw(st.integers(left + 9, lowest + strip))
        top = draw(st.integers(0, size[0] // 2))
        bottom = draw(st.integers(top + 9, size[0]))
        box = left, top, right, bottom
        region = rounded(box, size) if masked else rectangle(box, size)
        picture[region] = COLOURS[first + place]
        boxes.append(extents(region[None])[0])
        regions.append(region)
    count = len(boxes)
    return Outlined(picture, np.array(boxes, np.float32).reshape(-1, 4), first + np.arange(count),
                    np.array(regions, bool).reshape(count, *size), masked)


def pixels(image: np.ndarray, label: int) -> np.ndarray:
    return np.abs(image.astype(int) - COLOURS[label].astype(int)).max(axis=2) <= NEAR


@pytest.mark.parametrize("masked", [True, False], ids=["masks", "rectangles"])
@given(data=st.data(), seed=st.integers(0, 100_000))
@settings(max_examples=150, deadline=None)
def test_boxes_enclose_what_is_seen_to_the_pixel(masked: bool, data: st.DataObject, seed: int) -> None:
    onto = data.draw(painted(masked=masked, first=0, least=0))
    source = data.draw(painted(masked=masked, first=3, least=1))
    made = paste(onto, source, rng=np.random.default_rng(seed))
    height, width = onto.picture.shape[:2]
    assert (made.picture.shape, made.picture.dtype) == (onto.picture.shape, np.uint8)
    assert (made.boxes.dtype, made.boxes.shape) == (np.float32, (len(made.labels), 4))
    assert (made.boxes >= 0).all()
    assert (made.boxes <= [width, height, width, height]).all()
    assert set(made.labels.tolist()) <= {*onto.labels.tolist(), *source.labels.tolist()}
    assert len(set(made.labels.tolist())) == len(made.labels)
    for box, label in zip(made.boxes, made.labels, strict=True):
        seen = pixels(made.picture, int(label))
        assert seen.any(), (box, label)
        assert np.abs(extents(seen[None])[0] - box).max() <= 1, (extents(seen[None])[0], box, label)


@pytest.mark.parametrize("masked", [True, False], ids=["masks", "rectangles"])
@given(data=st.data(), seed=st.integers(0, 100_000))
@settings(max_examples=80, deadline=None)
def test_a_covered_object_has_a_box_just_where_enough_is_seen(masked: bool, data: st.DataObject, seed: int) -> None:
    onto = data.draw(painted(masked=masked, first=0, least=1))
    source = data.draw(painted(masked=masked, first=3, least=1))
    made = paste(onto, source, rng=np.random.default_rng(seed))
    kept = made.labels.tolist()
    for label, region in zip(onto.labels.tolist(), onto.regions, strict=True):
        share = pixels(made.picture, label).sum() / region.sum()
        unsure = abs(share - LEAST_VISIBLE) < 0.1  # half faded pixels count or not
        assert unsure or (label in kept) == (share > LEAST_VISIBLE), (label, share)
    assert set(kept) & set(source.labels.tolist()), "something is pasted"


@given(data=st.data(), seed=st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_equal_generators_give_equal_pictures_and_nothing_given_is_changed(data: st.DataObject, seed: int) -> None:
    onto, source = (data.draw(painted(masked=True, first=first, least=1)) for first in (0, 3))
    before = onto.picture.copy(), source.picture.copy(), onto.boxes.copy()
    one, other = (paste(onto, source, rng=np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(one.picture, other.picture)
    assert np.array_equal(one.boxes, other.boxes)
    assert np.array_equal(one.labels, other.labels)
    for kept, now in zip(before, (onto.picture, source.picture, onto.boxes), strict=True):
        assert np.array_equal(kept, now)


def one_object(size: tuple[int, int], box: tuple[float, ...], label: int, *, masked: bool) -> Outlined:
    region = rectangle(box, size)
    picture = np.full((*size, 3), GROUND, np.uint8)
    picture[region] = COLOURS[label]
    return Outlined(picture, np.array([box], np.float32), np.array([label]), region[None], masked)


def test_a_side_that_nothing_covers_stays_between_two_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_paste, "SMALLER", 1.0)
    monkeypatch.setattr(copy_paste, "LARGER", 1.0)
    onto = one_object((40, 60), (10.25, 8.25, 50.25, 32.25), 0, masked=True)
    source = one_object((40, 60), (0, 0, 60, 12), 3, masked=True)
    moved = {tuple(box) for seed in range(200) for box, label in zip(
        *(lambda made: (made.boxes.tolist(), made.labels))(paste(onto, source, rng=np.random.default_rng(seed))),
        strict=True) if label == 0}
    assert (10.25, 8.25, 50.25, 32.25) in moved  # the strip lies across the middle
    assert (10.25, 12.0, 50.25, 32.25) in moved  # it covers the upper part
    assert all(box[0] == 10.25 and box[2] == 50.25 for box in moved)


def test_what_is_hidden_is_let_go_of() -> None:
    onto = one_object((40, 60), (28, 18, 34, 24), 0, masked=True)
    source = one_object((40, 60), (0, 0, 60, 40), 3, masked=True)
    labels = [paste(onto, source, rng=np.random.default_rng(seed)).labels.tolist() for seed in range(30)]
    assert [3] in labels


def test_what_else_is_seen_in_a_rectangle_is_marked_too() -> None:
    """The second object lies inside the rectangle of the first, so that it comes along, chosen or not."""
    size = 60, 80
    picture = np.full((*size, 3), GROUND, np.uint8)
    picture[10:50, 10:70] = COLOURS[3]
    picture[20:40, 30:50] = COLOURS[4]
    boxes = np.array([[10, 10, 70, 50], [30, 20, 50, 40]], np.float32)
    source = Outlined(picture, boxes, np.array([3, 4]), np.stack([rectangle(box, size) for box in boxes]), False)
    empty = Outlined(np.full((60, 80, 3), GROUND, np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64),
                     np.zeros((0, 60, 80), bool), True)
    for seed in range(30):
        made = paste(empty, source, rng=np.random.default_rng(seed))
        if 3 in made.labels:
            assert made.labels.tolist() == [3, 4]


def test_no_edge_stands_where_the_box_of_a_rectangle_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_paste, "SMALLER", 1.0)
    monkeypatch.setattr(copy_paste, "LARGER", 1.0)
    onto = one_object((80, 80), (0, 0, 1, 1), 0, masked=False)
    bright = Outlined(np.full((80, 80, 3), 250, np.uint8), np.array([[30, 30, 50, 50]], np.float32), np.array([3]),
                      rectangle((30, 30, 50, 50), (80, 80))[None], False)
    made = paste(onto, bright, rng=np.random.default_rng(1))
    left, top, right, bottom = made.boxes[made.labels.tolist().index(3)].astype(int)
    row = made.picture[(top + bottom) // 2, :, 0].astype(int)
    assert (row[left:right] == 250).all()
    # From the object's brightness to the ground in steps of the fading band, never at once.
    assert np.abs(np.diff(row[max(0, left - 6):right + 6])).max() <= 70


SETTINGS = Preprocessing(size=64, interpolation="bilinear", fit="pad")


def files(folder: Path) -> Dataset:
    """Four pictures of 96 x 48: an outline, run lengths, a box alone, nothing; the first one's crowd is no object."""
    samples = []
    shapes = [Instance(0, (8, 8, 40, 40), polygons=((8.0, 8.0, 40.0, 8.0, 40.0, 40.0, 8.0, 40.0),)),
              Instance(0, (8, 8, 40, 40), rle=Rle(48, 96, (8 * 48 + 8, *(32, 16) * 31, 32, 8 + 56 * 48))),
              Instance(0, (8, 8, 40, 40))]
    for number in range(4):
        picture = np.full((48, 96, 3), GROUND, np.uint8)
        objects = tuple(shapes[number:number + 1]) if number < 3 else ()
        if objects:
            picture[8:40, 8:40] = COLOURS[number]
        if number == 0:
            objects = (*objects, Instance(0, (50, 0, 90, 40), crowd=True))
        path = folder / f"{number}.png"
        Image.fromarray(picture).save(path)
        samples.append(Sample(path.name, path, (0,), objects=objects))
    return Dataset(tuple(samples), ("thing",), "detection", "coco")


def test_outlines_run_lengths_and_boxes_give_the_pixels_of_the_small_picture(tmp_path: Path) -> None:
    pictures = BoxPictures(files(tmp_path), SETTINGS, budget=0.0)
    expected = rectangle((8 * 64 / 96, 8 * 64 / 96, 40 * 64 / 96, 40 * 64 / 96), (32, 64))
    for number, masked in enumerate((True, True, False)):
        found = pictures.outlined(number)
        assert (found.regions.shape, found.masked) == ((1, 32, 64), masked)
        assert (found.regions[0] != expected).sum() <= 2 * 22, number
    assert pictures.outlined(3).regions.shape == (0, 32, 64)


def test_strong_pastes_by_epoch_and_position_and_no_other_preset_does(tmp_path: Path) -> None:
    pictures = BoxPictures(files(tmp_path), SETTINGS, budget=0.0)
    strong, again, standard = (TrainBoxes(pictures, np.ones(4, np.float32), preset=preset, level=0, seed=5)  # type: ignore[arg-type]
                               for preset in ("strong", "strong", "standard"))
    given = [strong._with_pasted(epoch, 3) for epoch in range(20)]
    assert 4 <= sum(len(item.boxes) > 0 for item in given) <= 16  # the picture has no object of its own
    for epoch, item in enumerate(given):
        assert np.array_equal(item.picture, again._with_pasted(epoch, 3).picture)
    assert not any(len(standard._with_pasted(epoch, 3).boxes) for epoch in range(20))


def test_pictures_without_objects_paste_nothing(tmp_path: Path) -> None:
    pictures = BoxPictures(files(tmp_path).subset([3, 3]), SETTINGS, budget=0.0)
    strong = TrainBoxes(pictures, np.ones(2, np.float32), preset="strong", level=0, seed=5)
    assert not any(len(strong._with_pasted(epoch, 0).boxes) for epoch in range(10))
