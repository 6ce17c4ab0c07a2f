import math

import pytest

from headstart.evaluation.spread import spread

VALUES = [0.90, 0.94, 0.88, 0.96, 0.92]
T_4 = 2.7764451051977987
"""The 0.975 quantile of Student's t with 4 degrees of freedom, from a printed table (2.776) with more digits."""


def test_mean_deviation_and_interval_are_those_of_the_textbook() -> None:
    found = spread("accuracy", VALUES, val_per_train=0.25)
    deviation = math.sqrt(0.004 / 4)
    assert found.mean == pytest.approx(0.92)
    assert found.deviation == pytest.approx(deviation)
    assert found.low == pytest.approx(0.92 - T_4 * deviation / math.sqrt(5))
    assert found.high == pytest.approx(0.92 + T_4 * deviation / math.sqrt(5))


def test_the_corrected_interval_allows_for_shared_training_images() -> None:
    found = spread("accuracy", VALUES, val_per_train=0.25)
    reach = T_4 * math.sqrt(0.001 * (1 / 5 + 1 / 4))
    assert (found.corrected_low, found.corrected_high) == pytest.approx((0.92 - reach, 0.92 + reach))


def test_folds_without_spread_claim_no_certainty() -> None:
    found = spread("accuracy", [0.9, 0.9, 0.9], val_per_train=0.5)
    assert found.to_json() == {"mean": pytest.approx(0.9), "deviation": pytest.approx(0), "low": None, "high": None,
                               "corrected_low": None, "corrected_high": None}


def test_a_metric_that_a_fold_lacks_has_no_mean() -> None:
    assert set(spread("accuracy", [0.9, math.nan, 0.8], val_per_train=0.5).to_json().values()) == {None}


def test_an_interval_ends_where_the_metric_does() -> None:
    found = spread("accuracy", [1.0, 0.8, 1.0], val_per_train=0.5)
    assert found.high == found.corrected_high == 1.0
    assert 0 < found.corrected_low < found.low < found.mean
