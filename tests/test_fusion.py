"""Weighted box fusion does what the paper says, step by step."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.fusion import fused


def iou(one: list[float], other: list[float]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)


def slow(boxes: list[list[float]], scores: list[float], threshold: float, models: int
         ) -> list[tuple[list[float], float]]:
    """Section 3 of the paper in its own steps and lists, for one class."""
    clusters: list[list[tuple[list[float], float]]] = []  # L
    together: list[tuple[list[float], float]] = []  # F
    for row in sorted(range(len(scores)), key=lambda row: -scores[row]):  # step 1
        box = (boxes[row], scores[row])
        over = [iou(box[0], other[0]) for other in together]  # step 3
        if not over or max(over) <= threshold:
            clusters.append([box])  # step 4
            together.append(box)
            continue
        place = over.index(max(over))  # step 5
        clusters[place].append(box)
        members = clusters[place]  # step 6
        total = sum(score for _, score in members)
        mean = [sum(score * corners[side] for corners, score in members) / total for side in range(4)]
        together[place] = (mean, total / len(members))
    return sorted(((box, score * min(len(members), models) / models)  # step 7
                   for (box, score), members in zip(together, clusters, strict=True)), key=lambda one: -one[1])


def ordered(boxes: Sequence[list[float]] | np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Boxes by score and then by place: equal scores may come in any order."""
    rows = np.round(np.column_stack([scores, np.array(boxes, float).reshape(-1, 4)]), 6)
    return rows[np.lexsort(rows.T[::-1])]


one_box = st.tuples(*[st.integers(0, 40).map(float)] * 2, *[st.integers(5, 40).map(float)] * 2).map(
    lambda box: [box[0], box[1], box[0] + box[2], box[1] + box[3]])


@settings(deadline=None)
@given(st.lists(st.tuples(one_box, st.integers(1, 1000)), max_size=25, unique_by=lambda one: one[1]),
       st.sampled_from([0.3, 0.5, 0.7]), st.integers(1, 4))
def test_it_agrees_with_the_papers_steps(found: list[tuple[list[float], int]], threshold: float, models: int) -> None:
    boxes, scores = [box for box, _ in found], [score / 1000 for _, score in found]
    expected = slow(boxes, scores, threshold, models)
    mine, rates, labels = fused(np.array(boxes, float).reshape(-1, 4), np.array(scores), np.zeros(len(found), int),
                                iou=threshold, seen=lambda box: models)
    np.testing.assert_allclose(rates, [score for _, score in expected], rtol=1e-9)
    np.testing.assert_allclose(ordered(mine, rates), ordered([box for box, _ in expected], rates), atol=1e-6)
    assert len(labels) == len(expected)


def test_two_models_that_agree_give_the_mean_by_score() -> None:
    boxes, scores, _ = fused(np.array([[0, 0, 10, 10], [2, 0, 12, 10.0]]), np.array([0.75, 0.25]), np.zeros(2, int),
                             iou=0.5, seen=lambda box: 2)
    np.testing.assert_allclose(boxes, [[0.5, 0, 10.5, 10]])
    np.testing.assert_allclose(scores, [0.5])


def test_what_one_model_of_two_finds_counts_half() -> None:
    _, scores, _ = fused(np.array([[0, 0, 10, 10.0]]), np.array([0.8]), np.zeros(1, int), iou=0.5, seen=lambda box: 2)
    assert scores.tolist() == pytest.approx([0.4])


def test_classes_are_never_fused() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10.0]])
    _, scores, labels = fused(boxes, np.array([0.5, 0.9]), np.array([3, 1]), iou=0.5, seen=lambda box: 1)
    assert labels.tolist() == [1, 3]
    assert scores.tolist() == [0.9, 0.5]


def test_scores_of_zero_do_no_harm() -> None:
    boxes, scores, _ = fused(np.array([[0, 0, 10, 10], [0, 0, 10, 10.0]]), np.zeros(2), np.zeros(2, int), iou=0.5,
                             seen=lambda box: 1)
    assert np.isfinite(boxes).all()
    assert scores.tolist() == [0]
