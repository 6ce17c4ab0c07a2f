"""Slices cover a picture, lie inside it, overlap as said, and take their boxes along."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from headstart.data.slices import ChosenSlices, Slices, seen_through
from headstart.errors import ConfigError, DataError
from headstart.types import Instance

# At most 0.75: at 0.9, slices of 32 pixels of the largest picture here would be more than are allowed.
slices = st.builds(Slices, size=st.integers(32, 300), overlap=st.floats(0, 0.75), whole=st.booleans())
sides = st.integers(1, 900)


@given(slices, sides, sides)
def test_every_pixel_is_seen_and_nothing_beyond_the_picture(cut: Slices, height: int, width: int) -> None:
    seen = np.zeros((height, width), bool)
    for left, top, right, bottom in Slices(size=cut.size, overlap=cut.overlap).windows((height, width)):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        seen[top:bottom, left:right] = True
    assert seen.all()


@given(slices, sides, sides)
def test_slices_have_one_size_and_no_slivers(cut: Slices, height: int, width: int) -> None:
    found = Slices(size=cut.size, overlap=cut.overlap).windows((height, width))
    assert {(right - left, bottom - top) for left, top, right, bottom in found} == {
        (min(cut.size, width), min(cut.size, height))}
    assert len(set(found)) == len(found)


@given(slices, sides)
def test_neighbours_overlap_by_the_share_at_least(cut: Slices, width: int) -> None:
    found = Slices(size=cut.size, overlap=cut.overlap).windows((10, width))
    common = [one[2] - other[0] for one, other in itertools.pairwise(found)]
    assert all(pixels >= min(cut.overlap * cut.size, cut.size - 1) for pixels in common)


@given(slices, st.integers(1, 32), st.integers(1, 32))
def test_a_picture_within_a_slice_is_one_slice(cut: Slices, height: int, width: int) -> None:
    assert cut.windows((height, width)) == [(0, 0, width, height)]


def test_the_last_slices_are_pushed_back_to_the_edge() -> None:
    assert Slices(size=100, overlap=0.2).windows((100, 250)) == [
        (0, 0, 100, 100), (80, 0, 180, 100), (150, 0, 250, 100)]


def test_the_whole_picture_comes_last_where_it_is_asked_for() -> None:
    assert Slices(size=100, overlap=0, whole=True).windows((100, 200)) == [
        (0, 0, 100, 100), (100, 0, 200, 100), (0, 0, 200, 100)]


def test_the_issues_picture_is_a_bounded_number_of_slices() -> None:
    assert len(Slices().windows((9000, 12000))) == 24 * 18


def test_too_many_slices_are_refused_with_what_to_change() -> None:
    with pytest.raises(DataError, match=r"large.tif: 12000x9000 pixels would be .* of 32 pixels .* Raise slices.size"):
        Slices(size=32, overlap=0.9).windows((9000, 12000), name="large.tif")


@pytest.mark.parametrize("settings", [{"overlap": 1.0}, {"size": 8}, {"merge": "mean"}, {"iou": 0}, {"sizes": 640}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Slices.parse(settings)


def test_a_number_stands_for_the_size() -> None:
    assert TypeAdapter(ChosenSlices).validate_python(512) == Slices(size=512)


boxes = st.tuples(st.floats(0, 180), st.floats(0, 180), st.floats(2, 120), st.floats(2, 120)).map(
    lambda box: (box[0], box[1], min(300.0, box[0] + box[2]), min(300.0, box[1] + box[3])))


@given(slices, boxes)
def test_a_box_that_is_seen_whole_comes_back_as_it_was(cut: Slices, box: tuple[float, float, float, float]) -> None:
    for left, top, right, bottom in cut.windows((300, 300)):
        for seen in seen_through((left, top, right, bottom), [Instance(0, box)]):
            back = np.add(seen.box, (left, top, left, top))
            inside = [max(left, box[0]), max(top, box[1]), min(right, box[2]), min(bottom, box[3])]
            np.testing.assert_allclose(back, inside, atol=1e-9)


@given(slices.filter(lambda cut: cut.overlap >= 0.2), boxes)
def test_an_object_within_the_overlap_is_seen_whole_somewhere(cut: Slices,
                                                              box: tuple[float, float, float, float]) -> None:
    least = int(cut.overlap * cut.size) - 1
    small = (box[0], box[1], min(box[2], box[0] + least), min(box[3], box[1] + least))
    assert any(left <= small[0] and top <= small[1] and right >= small[2] and bottom >= small[3]
               for left, top, right, bottom in cut.windows((300, 300)))


def test_too_little_of_an_object_is_no_object() -> None:
    objects = [Instance(0, (90, 0, 190, 50)), Instance(1, (91, 0, 191, 50)), Instance(2, (99.5, 0, 101, 50))]
    assert [one.label for one in seen_through((0, 0, 100, 100), objects)] == [0]


def test_marks_of_an_object_stay() -> None:
    seen = seen_through((10, 10, 100, 100), [Instance(1, (20, 20, 40, 50), crowd=True, difficult=True)])
    assert seen == (Instance(1, (10, 10, 30, 40), crowd=True, difficult=True),)
