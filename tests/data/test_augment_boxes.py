"""Boxes go with their objects: filled rectangles, each of a colour of its own, are found where their boxes say."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.augment_boxes import LEAST_SIDE, BoxAugment, Boxed, Varied, mosaic

COLOURS = np.array([[230, 20, 20], [20, 230, 20], [20, 20, 230]], np.uint8)
"""Far from each other and from the ground, so that resampling can't make one of another; by label."""
GROUND = 128
PRESETS = ("light", "standard", "strong")


@st.composite
def painted(draw: st.DrawFn) -> Boxed:
    """A picture with a rectangle of each of one to three colours, side by side, so that none hides another."""
    height, width = draw(st.integers(40, 90)), draw(st.integers(60, 120))
    picture = np.full((height, width, 3), GROUND, np.uint8)
    count, boxes = draw(st.integers(0, 3)), []
    for label in range(count):
        lowest, strip = label * width // 3, width // 3
        left = lowest + draw(st.integers(0, strip // 3))
        right = draw(st.integers(left + 8, lowest + strip))
        top = draw(st.integers(0, height // 2))
        bottom = draw(st.integers(top + 8, height))
        picture[top:bottom, left:right] = COLOURS[label]
        boxes.append((left, top, right, bottom))
    return Boxed(picture, np.array(boxes, np.float32).reshape(-1, 4), np.arange(count))


def extent(image: np.ndarray, label: int) -> tuple[float, float, float, float] | None:
    """Return the edges of what has the colour of a label: pixels that are more of it than of the ground."""
    distance = np.abs(image.astype(int) - COLOURS[label].astype(int)).max(axis=2)
    rows, columns = np.nonzero(distance < 54)
    if not len(rows):
        return None
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def assert_true(image: np.ndarray, boxes: np.ndarray, labels: np.ndarray) -> None:
    height, width = image.shape[:2]
    assert len(boxes) == len(labels)
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes <= [width, height, width, height]).all()
    for box, label in zip(boxes, labels, strict=True):
        found = extent(image, int(label))
        if found is not None:
            assert np.abs(np.array(found) - box).max() <= 2, (found, box, label)
        else:
            assert min(box[2] - box[0], box[3] - box[1]) <= 4, f"a box of {label} without an object"


def parts(found: Varied) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return found.image, found.boxes, found.labels


def geometry(preset: str, level: int = 0) -> BoxAugment:
    made = BoxAugment(preset, background=GROUND, channels=3, level=level)  # type: ignore[arg-type]
    made._colour = []
    return made


@pytest.mark.parametrize("level", [0, 2])
@pytest.mark.parametrize("preset", PRESETS)
@given(item=painted(), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_boxes_enclose_their_objects_and_stay_inside(preset: str, level: int, item: Boxed, seed: int) -> None:
    image, boxes, labels = parts(geometry(preset, level)(item, seed=seed))
    assert image.dtype == torch.uint8
    assert boxes.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert image.shape[1] <= item.picture.shape[0]
    assert image.shape[2] <= item.picture.shape[1]
    assert set(labels.tolist()) <= set(item.labels.tolist())
    assert_true(image.permute(1, 2, 0).numpy(), boxes.numpy(), labels.numpy())


@given(item=painted(), seed=st.integers(0, 10_000), preset=st.sampled_from(PRESETS))
@settings(max_examples=40, deadline=None)
def test_equal_seeds_give_equal_output_and_leave_the_generator_alone(item: Boxed, seed: int, preset: str) -> None:
    made = BoxAugment(preset, background=GROUND, channels=3)  # type: ignore[arg-type]
    before, given_boxes = torch.get_rng_state(), item.boxes.copy()
    for one, other in zip(parts(made(item, seed=seed)), parts(made(item, seed=seed)), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(item.boxes, given_boxes)


@given(item=painted(), seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_none_is_the_identity(item: Boxed, seed: int) -> None:
    image, boxes, labels = parts(BoxAugment("none", background=GROUND, channels=3)(item, seed=seed))
    assert np.array_equal(image.permute(1, 2, 0).numpy(), item.picture)
    assert np.array_equal(boxes.numpy(), item.boxes)
    assert np.array_equal(labels.numpy(), item.labels)


@given(item=painted(), seed=st.integers(0, 10_000), preset=st.sampled_from(PRESETS))
@settings(max_examples=40, deadline=None)
def test_colour_moves_no_box(item: Boxed, seed: int, preset: str) -> None:
    made = BoxAugment(preset, background=GROUND, channels=3)  # type: ignore[arg-type]
    made._geometry = []
    image, boxes, labels = parts(made(item, seed=seed))
    assert image.shape == (3, *item.picture.shape[:2])
    assert np.array_equal(boxes.numpy(), item.boxes)
    assert np.array_equal(labels.numpy(), item.labels)


@given(items=st.lists(painted(), min_size=4, max_size=4), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_mosaic_keeps_every_object_with_its_box_and_label(items: list[Boxed], seed: int) -> None:
    made = mosaic(items, background=GROUND, rng=np.random.default_rng(seed))
    assert made.picture.shape == items[0].picture.shape
    assert made.boxes.dtype == np.float32
    height, width = made.picture.shape[:2]
    assert (made.boxes >= 0).all()
    assert (made.boxes <= [width, height, width, height]).all()
    kept, given_labels = (Counter(int(label) for part in parts for label in part)
                          for parts in ([made.labels], [item.labels for item in items]))
    assert kept <= given_labels  # what is shrunk below LEAST_SIDE is let go of
    for box, label in zip(made.boxes, made.labels, strict=True):
        left, top, right, bottom = np.floor(box[:2]).astype(int).tolist() + np.ceil(box[2:]).astype(int).tolist()
        # An object of the same label may stand in another quarter: only the surroundings of the box are looked at.
        around = made.picture[max(0, top - 1):bottom + 1, max(0, left - 1):right + 1]
        inside = extent(around, int(label))
        if inside is not None and min(box[2] - box[0], box[3] - box[1]) > 4:
            assert np.abs(np.array(inside) + [max(0, left - 1), max(0, top - 1)] * 2 - box).max() <= 2


def test_a_level_raises_none_to_light() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3)).astype(np.uint8)
    item = Boxed(picture, np.array([[5, 5, 30, 30]], np.float32), np.array([1]))
    raised = BoxAugment("none", background=0, channels=3, level=1)(item, seed=4)
    light = BoxAugment("light", background=0, channels=3)(item, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(parts(raised), parts(light), strict=True))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("preset", PRESETS)
def test_works_on_any_channels(preset: str, channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, channels)).astype(np.uint8)
    item = Boxed(picture, np.array([[5, 5, 30, 30]], np.float32), np.array([1]))
    for seed in range(10):
        image, boxes, _ = parts(BoxAugment(preset, background=0, channels=channels)(item, seed=seed))  # type: ignore[arg-type]
        assert image.shape[0] == channels
        assert image.is_contiguous()
        assert (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE / 2).all()
