"""Metrics of boundaries against loops over pixels and pairs of them, against closed forms, and against scikit-image."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import hausdorff_distance
from skimage.segmentation import find_boundaries

from headstart.metrics import boundaries
from headstart.metrics.boundaries import (
    FIELDS,
    NAMES,
    Boundaries,
    boundaries_of,
    boundaries_of_images,
    boundary_scorer,
    together,
)
from headstart.types import IGNORED

CLASSES = 3
TRUTHS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)),
                elements=st.sampled_from([0, 0, 0, 1, 1, 2, IGNORED]))


def slow(truth: np.ndarray, found: np.ndarray, c: int) -> dict[str, Any]:
    """The same of one class, pixel by pixel, with all pairs of boundary pixels."""
    height, width = truth.shape
    said = [[IGNORED if truth[y, x] == IGNORED else int(found[y, x]) for x in range(width)] for y in range(height)]
    true = [[int(truth[y, x]) for x in range(width)] for y in range(height)]
    diagonal = math.sqrt(height**2 + width**2)
    reach, thick = max(1.0, 0.0075 * diagonal), max(1, round(0.02 * diagonal))

    def other(labels: list[list[int]], y: int, x: int) -> bool:
        return 0 <= y < height and 0 <= x < width and labels[y][x] not in (c, IGNORED)

    def edge(labels: list[list[int]]) -> list[tuple[int, int]]:
        return [(y, x) for y, x in product(range(height), range(width)) if labels[y][x] == c and any(
            other(labels, y + dy, x + dx) for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)))]

    def band(labels: list[list[int]]) -> set[tuple[int, int]]:
        steps = range(-thick, thick + 1)
        return {(y, x) for y, x in product(range(height), range(width)) if labels[y][x] == c and any(
            other(labels, y + dy, x + dx) for dy, dx in product(steps, steps))}

    mine, theirs = edge(true), edge(said)
    there, back = ([min((math.dist(a, b) for b in second), default=math.inf) for a in first]
                   for first, second in ((mine, theirs), (theirs, mine)))
    hd95 = assd = math.nan
    if any(c in row for row in true) != any(c in row for row in said):
        hd95 = assd = diagonal
    elif mine and theirs:
        hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
        assd = (sum(there) + sum(back)) / (len(there) + len(back))
    return {"true_boundary": len(mine), "true_boundary_found": sum(d <= reach for d in there),
            "predicted_boundary": len(theirs), "predicted_boundary_right": sum(d <= reach for d in back),
            "band_both": len(band(true) & band(said)), "band_either": len(band(true) | band(said)),
            "hd95_by_class": hd95, "assd_by_class": assd}


def agree(a: Boundaries, b: Boundaries) -> None:
    for name in FIELDS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-12, err_msg=name)


def metrics(*found: Boundaries) -> dict[str, float]:
    pooled = together(found, len(found[0]))
    return {name: float(value[0]) for name, value in boundary_scorer(pooled)(np.ones((1, len(found)))).items()}


def square(top: int, left: int, side: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    picture = np.zeros(size, np.uint8)
    picture[top:top + side, left:left + side] = 1
    return picture


def disk(radius: int, centre: tuple[int, int] = (150, 150), size: int = 301) -> np.ndarray:
    rows, columns = np.ogrid[:size, :size]
    return ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2).astype(np.uint8)


@settings(deadline=None)
@given(TRUTHS, st.integers(0, 2**32 - 1))
def test_every_number_is_that_of_loops_over_the_pixels(truth: np.ndarray, seed: int) -> None:
    found = np.random.default_rng(seed).integers(0, CLASSES, truth.shape).astype(np.uint8)
    measured = boundaries_of(truth, found, CLASSES)
    for c in range(CLASSES):
        expected = slow(truth, found, c)
        assert {name: getattr(measured, name)[c] for name in FIELDS} == pytest.approx(expected, nan_ok=True)


def test_a_picture_large_enough_for_thick_bands_and_wide_tolerances_is_that_of_the_loops() -> None:
    truth, found = square(9, 20, 31, (110, 150)), square(11, 17, 35, (110, 150))
    truth[30:50, 60:70], found[80:84, 80:84], truth[5:30, 44:47] = 2, 2, IGNORED
    measured = boundaries_of(truth, found, CLASSES)
    for c in range(CLASSES):
        assert {name: getattr(measured, name)[c] for name in FIELDS} == pytest.approx(slow(truth, found, c))


def test_boundary_and_distance_are_scikit_images() -> None:
    truth, found = disk(60, (140, 150)), disk(66, (150, 149))
    edges = [find_boundaries(each, connectivity=1, mode="inner") & (each == 1) for each in (truth, found)]
    measured = boundaries_of(truth, found, 2)
    assert [measured.true_boundary[1], measured.predicted_boundary[1]] == [edge.sum() for edge in edges]
    whole = max(boundaries._nearest(np.argwhere(a), np.argwhere(b)).max() for a, b in (edges, edges[::-1]))
    assert whole == pytest.approx(hausdorff_distance(*edges))
    assert measured.hd95_by_class[1] <= whole


def test_a_shifted_square_has_the_distances_that_one_can_reckon() -> None:
    measured = boundaries_of(square(20, 20, 20), square(20, 23, 20), 2)
    # The side behind is 3 off; above and below all but 2 pixels coincide; the side ahead is near these at its ends.
    behind, above, ahead = [3] * 20, [2, 1, *[0] * 17], [min(3, k, 19 - k) for k in range(1, 19)]
    assert measured.true_boundary[1] == measured.predicted_boundary[1] == len(behind + 2 * above + ahead)
    assert measured.hd95_by_class[1] == 3
    assert measured.assd_by_class[1] == pytest.approx(np.mean(behind + 2 * above + ahead))
    assert measured.true_boundary_found[1] == measured.predicted_boundary_right[1] == 2 * 18 + 2


@pytest.mark.parametrize("grown", [3, 10, 40])
def test_disks_around_one_point_lie_as_far_apart_as_their_radii(grown: int) -> None:
    measured = boundaries_of(disk(50), disk(50 + grown), 2)
    assert measured.assd_by_class == pytest.approx([grown, grown], abs=0.5)
    assert measured.hd95_by_class == pytest.approx([grown, grown], abs=1.0)
    tolerance = 0.0075 * math.hypot(301, 301)
    assert (metrics(measured)["boundary_f1"] == 1) == (grown < tolerance)
    assert (metrics(measured)["boundary_f1"] == 0) == (grown > tolerance + 1)


def test_bands_of_disks_are_those_of_their_radii() -> None:
    # 2 % of the diagonal are 9 pixels: rings of 52..61 and of 55..64; the square makes them up to sqrt 2 as thick.
    measured = boundaries_of(disk(61), disk(64), 2)
    union = math.pi * (64**2 - 52**2)
    assert union < measured.band_either[1] < union * math.sqrt(2)
    assert 0.4 < metrics(measured)["boundary_iou 1"] < 0.75


@given(TRUTHS, st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_mirrors_and_turns_change_nothing(truth: np.ndarray, seed: int) -> None:
    found = np.random.default_rng(seed).integers(0, CLASSES, truth.shape).astype(np.uint8)
    measured = boundaries_of(truth, found, CLASSES)
    for turn in (np.flipud, np.fliplr, np.transpose):
        agree(boundaries_of(turn(truth), turn(found), CLASSES), measured)


@given(arrays(np.uint8, (8, 7), elements=st.integers(0, 2)), arrays(np.uint8, (8, 7), elements=st.integers(0, 2)))
@settings(deadline=None)
def test_truth_and_answer_may_change_places(truth: np.ndarray, found: np.ndarray) -> None:
    one, other = metrics(boundaries_of(truth, found, CLASSES)), metrics(boundaries_of(found, truth, CLASSES))
    assert one == pytest.approx(other, nan_ok=True)
    itself = metrics(boundaries_of(truth, truth, CLASSES))
    best = {"boundary_f1": 1.0, "boundary_iou": 1.0, "hd95": 0.0, "assd": 0.0}
    assert all(math.isnan(itself[name]) or itself[name] == best[name] for name in NAMES)


def test_strips_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth, found = (rng.integers(0, CLASSES, (23, 17)).repeat(6, 0).repeat(6, 1).astype(np.uint8) for _ in range(2))
    truth[40:60, 30:] = IGNORED
    whole = boundaries_of(truth, found, CLASSES)
    monkeypatch.setattr(boundaries, "STRIP", 1)
    agree(boundaries_of(truth, found, CLASSES), whole)


def test_a_boundary_that_only_ignored_pixels_or_the_frame_make_is_none() -> None:
    truth = square(0, 0, 30)
    truth[:, 30:] = IGNORED
    found = truth.copy()
    measured = boundaries_of(truth, found, 2)
    assert measured.true_boundary.tolist() == [30, 30]  # along the lower side of the square alone
    found[:, 40:] = 1  # whatever is answered there
    agree(boundaries_of(truth, found, 2), measured)
    truth[30:] = IGNORED
    nothing = boundaries_of(truth, found, 2)
    assert nothing.true_boundary.sum() == nothing.predicted_boundary.sum() == nothing.band_either.sum() == 0
    assert all(math.isnan(value) for value in metrics(nothing).values())


def test_a_class_in_one_only_is_as_wrong_as_can_be_and_one_in_neither_is_undefined() -> None:
    truth, found = square(20, 20, 20), np.zeros((60, 80), np.uint8)
    for one, other in ((truth, found), (found, truth)):
        values = metrics(boundaries_of(one, other, CLASSES))
        assert [values["boundary_f1 1"], values["boundary_iou 1"]] == [0, 0]
        assert values["hd95 1"] == values["assd 1"] == 100  # the diagonal of 60 x 80
        assert all(math.isnan(values[f"{name} 2"]) for name in NAMES)
        # Class 0 is in both, but one of them has no boundary that a distance could lead to.
        assert values["boundary_f1 0"] == 0
        assert math.isnan(values["hd95 0"])
    # Where the whole picture is of the wrong class there is no boundary, yet both classes are told.
    values = metrics(boundaries_of(np.zeros((60, 80), np.uint8), np.ones((60, 80), np.uint8), 2))
    assert [values["hd95"], values["assd"]] == [100, 100]
    assert math.isnan(values["boundary_f1"])


def several(count: int = 6) -> list[Boundaries]:
    rng = np.random.default_rng(0)
    truths = [square(*rng.integers(0, 30, 2), 20) for _ in range(count)]
    founds = [np.roll(truth, tuple(rng.integers(-4, 5, 2)), (0, 1)) for truth in truths]
    founds[1][founds[1] == 1] = 0
    truths[2][:, :] = IGNORED
    return [boundaries_of(truth, found, CLASSES) for truth, found in zip(truths, founds, strict=True)]


def test_weights_are_the_same_as_images_left_out_and_repeated() -> None:
    found, weights = several(), [2, 0, 1, 3, 0, 1]
    repeated = metrics(*(one for one, times in zip(found, weights, strict=True) for _ in range(times)))
    weighted = boundary_scorer(together(found, CLASSES))(np.array([weights], np.float64))
    assert {name: float(value[0]) for name, value in weighted.items()} == pytest.approx(repeated, nan_ok=True)


def test_shares_are_pooled_by_their_pixels_and_distances_are_means_over_images() -> None:
    found = several()
    values, pooled = metrics(*found), together(found, CLASSES)
    precision = pooled.predicted_boundary_right[:, 1].sum() / pooled.predicted_boundary[:, 1].sum()
    recall = pooled.true_boundary_found[:, 1].sum() / pooled.true_boundary[:, 1].sum()
    assert values["boundary_f1 1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert values["boundary_iou 1"] == pooled.band_both[:, 1].sum() / pooled.band_either[:, 1].sum()
    assert values["hd95 1"] == pytest.approx(np.nanmean(pooled.hd95_by_class[:, 1]))
    assert values["assd"] == pytest.approx(np.nanmean([values["assd 0"], values["assd 1"]]))


def test_an_image_alone_has_the_metrics_of_a_split_of_it() -> None:
    found = several()
    alone = boundaries_of_images(together(found, CLASSES))
    for row, one in enumerate(found):
        expected = metrics(one)
        assert {name: alone[name][row] for name in NAMES} == pytest.approx(
            {name: expected[name] for name in NAMES}, nan_ok=True)


def test_no_image_at_all_has_no_metric() -> None:
    none = together([], CLASSES)
    assert len(none) == 0
    assert all(np.isnan(value).all() for value in boundary_scorer(none)(np.ones((1, 0))).values())
