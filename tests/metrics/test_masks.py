"""Metrics of masks against scikit-learn's and torchmetrics' own."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, recall_score
from torchmetrics.functional.segmentation import dice_score, mean_iou

from headstart.metrics.masks import NAMES, Overlaps, confusion_of, mask_metrics, mask_scorer, overlaps_of
from headstart.types import IGNORED

CLASSES = 4


def images(seed: int = 0, *, count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, (count, 12, 10)).astype(np.uint8)
    found = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, CLASSES, truth.shape)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = IGNORED
    return truth, found


def confusions(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    return np.stack([confusion_of(a, b, CLASSES) for a, b in zip(truth, found, strict=True)])


def test_the_pooled_metrics_are_scikit_learns_over_all_counted_pixels() -> None:
    truth, found = images()
    counted = truth != IGNORED
    t, f = truth[counted], found[counted]
    together = confusions(truth, found)
    assert np.array_equal(together.sum(0), confusion_matrix(t, f, labels=range(CLASSES)))
    metrics = mask_metrics(overlaps_of(together))
    assert metrics["miou"] == pytest.approx(jaccard_score(t, f, average="macro"), abs=1e-12)
    assert metrics["fwiou"] == pytest.approx(jaccard_score(t, f, average="weighted"), abs=1e-12)
    assert metrics["pixel_accuracy"] == pytest.approx(accuracy_score(t, f), abs=1e-12)
    assert metrics["class_accuracy"] == pytest.approx(recall_score(t, f, average="macro"), abs=1e-12)


def test_iou_and_dice_of_single_images_are_torchmetrics() -> None:
    truth, found = images()
    truth[truth == IGNORED] = 0
    together = confusions(truth, found)
    theirs = mean_iou(torch.from_numpy(found).long(), torch.from_numpy(truth).long(), num_classes=CLASSES,
                      input_format="index")
    assert mask_metrics(overlaps_of(together))["miou_image"] == pytest.approx(float(theirs.mean()), abs=1e-6)
    for row in range(len(truth)):
        alone = mask_metrics(overlaps_of(together[row:row + 1]))
        dice = dice_score(torch.from_numpy(found[row:row + 1]).long(), torch.from_numpy(truth[row:row + 1]).long(),
                          num_classes=CLASSES, input_format="index", average="macro")
        assert alone["mdice"] == pytest.approx(float(dice.mean()), abs=1e-6)


def test_a_class_that_nobody_has_is_undefined_and_one_that_is_only_answered_is_zero() -> None:
    truth = np.zeros((1, 2, 4), np.uint8)
    found = truth.copy()
    found[0, 0, 0] = 1
    values = mask_scorer(overlaps_of(confusions(truth, found)))(np.ones((1, 1)))
    assert values["iou 1"][0] == 0
    assert np.isnan(values["iou 2"][0])
    assert values["miou"][0] == pytest.approx((7 / 8 + 0) / 2)


def test_weights_are_the_same_as_images_repeated() -> None:
    truth, found = images()
    together = overlaps_of(confusions(truth, found))
    weights = np.array([[2, 0, 1, 3, 0, 1]])
    rows = np.repeat(np.arange(6), weights[0])
    repeated = mask_metrics(Overlaps(together.right[rows], together.true[rows], together.answered[rows]))
    weighted = mask_scorer(together)(weights)
    for name in NAMES:
        assert float(weighted[name][0]) == pytest.approx(repeated[name], abs=1e-12)


def test_an_image_of_ignored_pixels_alone_counts_nothing() -> None:
    truth, found = images()
    truth[3] = IGNORED
    rest = np.arange(6) != 3
    assert mask_metrics(overlaps_of(confusions(truth, found))) == pytest.approx(
        mask_metrics(overlaps_of(confusions(truth[rest], found[rest]))))


@given(arrays(np.uint8, (3, 5, 5), elements=st.sampled_from([0, 1, 2, 3, IGNORED])),
       arrays(np.uint8, (3, 5, 5), elements=st.integers(0, 3)))
def test_every_metric_lies_between_0_and_1_and_is_1_where_all_is_right(truth: np.ndarray, found: np.ndarray) -> None:
    values = mask_metrics(overlaps_of(confusions(truth, found)))
    assert all(np.isnan(value) or 0 <= value <= 1 for value in values.values())
    right = mask_metrics(overlaps_of(confusions(truth, np.where(truth == IGNORED, 0, truth))))
    assert all(np.isnan(value) or value == pytest.approx(1) for value in right.values())
