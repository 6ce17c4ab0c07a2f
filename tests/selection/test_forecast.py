"""The forecast: laws that are found again, intervals that hold the truth, labels that are needed."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from headstart.data.dataset import Dataset
from headstart.data.folds import pooled
from headstart.data.splits import split
from headstart.held_out import divide
from headstart.job import Job
from headstart.report.forecast import sentences
from headstart.report.records import ForecastRecord, Foretold
from headstart.selection.curve import FOLDS, Curve, sizes_for
from headstart.selection.forecast import FEWEST_POINTS, forecast, gains, label_first, lacking
from headstart.selection.forecasted import _probe_curve, too_few
from headstart.selection.laws import LAWS, fit, weights
from headstart.selection.pool import Pool
from headstart.types import Sample

SIZES = np.array([20, 40, 80, 160, 320])


def curve_of(error, *, noise: float = 0.003, seed: int = 0, sizes=SIZES) -> Curve:
    rng = np.random.default_rng(seed)
    accuracy = 1 - error(sizes.astype(float))[:, None] + rng.normal(size=(len(sizes), 12)) * noise
    return Curve(sizes, accuracy, 100, np.tile(accuracy.mean(axis=1)[:, None], 2))


@pytest.mark.parametrize("name", LAWS)
def test_a_law_is_fitted_to_its_own_points_exactly(name):
    law = LAWS[name]
    planted = np.array(law.start) * 1.3
    errors = law.error(SIZES / SIZES[-1], planted)
    ahead = fit(law, SIZES.astype(float), errors, np.full(len(SIZES), 0.01))
    np.testing.assert_allclose(ahead(np.array([640.0, 1280.0])), law.error(np.array([2.0, 4.0]), planted), atol=1e-4)


def test_belief_goes_to_the_law_that_foretells_the_last_points():
    spread = np.full(len(SIZES), 0.002)
    exponential = weights(SIZES, 0.05 + 0.4 * np.exp(-SIZES / 60), spread)
    power = weights(SIZES, 2.0 * SIZES**-0.7, spread)
    assert max(exponential, key=exponential.get) == "exponential with asymptote"
    assert max(power, key=power.get).startswith("power law")
    assert sum(power.values()) == pytest.approx(1)


@pytest.mark.parametrize("error", [lambda n: 1.5 * n**-0.5, lambda n: 0.04 + 1.2 * n**-0.8], ids=["free", "floor"])
def test_the_interval_holds_the_truth_four_and_ten_times_on(error):
    found = forecast(curve_of(error), seed=0)
    for factor in (2, 4, 10):
        point = found.at(factor * SIZES[-1])
        assert point.low <= 1 - error(np.array(float(point.images))) <= point.high
        assert point.low <= point.value <= point.high


def test_the_interval_widens_with_the_distance_and_never_leaves_zero_to_one():
    found = forecast(curve_of(lambda n: 0.3 + n**-0.5, noise=0.02), seed=0)
    spans = [(p := found.at(factor * SIZES[-1])).high - p.low for factor in (1, 4, 16)]
    assert spans == sorted(spans)
    assert 0 <= found.draws.min() <= found.draws.max() <= 1


@pytest.mark.parametrize("images", [24, 60, 240])
def test_images_without_a_mistake_promise_no_more_than_their_number_can(images):
    sizes = np.array([4, 8, images * 3 // 4])
    found = forecast(Curve(sizes, np.ones((3, 8)), images // 4, np.ones((3, 2)), different=images), seed=0)
    now = found.at(sizes[-1])
    # Jeffreys' interval of 0 wrong of N: the 80% draws reach down to its 90% quantile.
    assert now.low == pytest.approx(1 - beta(0.5, images + 0.5).ppf(0.9), abs=0.3 / images)
    assert now.high == pytest.approx(1, abs=0.1 / images)
    assert found.needed(1 - 0.05 / images)[2] is None


@pytest.mark.parametrize("accuracy", [(0.9, 0.85, 0.8, 0.75, 0.65), (0.1, 0.1, 0.1, 0.1, 0.9)], ids=["falls", "jumps"])
def test_a_curve_that_no_law_follows_is_foretold_with_a_wide_interval(accuracy):
    rng = np.random.default_rng(0)
    values = np.array(accuracy)[:, None] + rng.normal(size=(5, 8)) * 0.01
    found = forecast(Curve(SIZES, values, 50, np.ones((5, 2))), seed=0)
    now = found.at(SIZES[-1])
    misfit = float(np.std(accuracy))
    assert now.high - now.low > misfit
    straight = forecast(curve_of(lambda n: 1.5 * n**-0.5, noise=0.01), seed=0).at(SIZES[-1])
    assert straight.high - straight.low < 0.05


def test_a_point_tells_which_number_of_images_it_is_for():
    found = forecast(curve_of(lambda n: n**-0.5), seed=0)
    assert found.at(1).images == SIZES[0]
    assert found.at(10**9).images == 40 * SIZES[-1]


def test_the_labels_for_an_accuracy_are_those_at_which_the_law_has_it():
    found = forecast(curve_of(lambda n: 1.5 * n**-0.5, noise=0.001), seed=0)
    few, likely, many = found.needed(0.95)  # 1.5 / sqrt(900) = 0.05
    assert few <= likely <= (many or np.inf)
    assert 600 < likely < 1400
    assert found.needed(0.5) == (20, 20, 20)
    assert found.needed(0.99999) == (None, None, None)


def test_the_same_curve_gives_the_same_forecast():
    first, again = (forecast(curve_of(lambda n: n**-0.5), seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.draws, again.draws)


def test_two_points_are_no_curve():
    assert forecast(curve_of(lambda n: n**-0.5, sizes=SIZES[:2]), seed=0) is None


def test_the_class_that_gained_most_comes_first():
    per_class = np.array([[0.5, 0.8], [0.7, 0.9]])
    found = gains(Curve(SIZES[:2], np.zeros((2, 4)), 10, per_class), ["a", "b"])
    assert [(name, round(gained, 3)) for name, _, gained in found] == [("a", 0.2), ("b", 0.1)]


@pytest.mark.parametrize(("per_class", "count", "told"), [
    ([[0.5, 0.8], [1.0, 0.9]], 100, None),  # the one that gained has no mistakes left, the other may be chance
    ([[0.5, 0.5], [0.7, 0.9]], 200, "b"),
    ([[0.5, 0.8], [0.7, 0.9]], 10, None),
    ([[0.9, 0.9], [0.8, 0.8]], 1000, None)])
def test_only_a_class_with_mistakes_left_and_a_gain_beyond_chance_is_to_be_labelled_first(per_class, count, told):
    curve = Curve(SIZES[:2], np.zeros((2, 4)), 10, np.array(per_class), np.array([count, count]))
    assert label_first(curve, ["a", "b"]) == told


def foretold(**changes) -> ForecastRecord:
    point = Foretold(images=10, value=0.8, low=0.7, high=0.9)
    return ForecastRecord(backbone="b", method="probe", law="power law", measured=[point], band=[point],
                          ahead={"2": point, "4": point, "10": point}, **changes)


def test_the_sentences_advise_a_class_only_where_one_stands_out_and_read_well_beyond_the_end():
    record = foretold(targets={"0.95": (100, 200, None)}, gains=[("a", 0.9, 0.2)])
    said = " ".join(sentences(record))
    assert "label more of it first" not in said
    assert "to be safe, more than can be foretold." in said
    assert "a gained most" in " ".join(sentences(record.model_copy(update={"label_first": "a"})))


def test_classes_with_too_few_images_or_hardly_ever_right_are_the_first_to_label():
    per_class = np.array([[0.9, 0.9, 0.0, 0.0, 0.1, 1.0], [0.95, 0.9, 0.67, 0.0, 0.1, 1.0]])
    images = np.array([120, 10, 3, 1, 50, 4])
    curve = Curve(SIZES[:2], np.zeros((2, 4)), 10, per_class, images.astype(float))
    found = lacking(curve, list("abcdef"), images)
    assert found == [("d", 1, 0.0), ("e", 50, 0.1), ("c", 3, 0.67)]
    said = " ".join(sentences(foretold(gains=gains(curve, list("abcdef")), lacking=found)))
    assert "Label first: d (1 image, 0\u00a0% right), e (50 images, 10\u00a0% right) and c (3 images" in said
    assert "none stands out" not in said


def test_a_class_of_which_no_image_is_left_to_learn_from_is_the_first_to_label():
    curve = Curve(SIZES[:2], np.zeros((2, 4)), 10, np.array([[0.9, np.nan], [0.9, np.nan]]), np.array([50.0, 0.0]))
    found = lacking(curve, ["a", "b"], np.array([50, 0]))
    assert found == [("b", 0, None)]
    assert "Label first: b (0 images)" in " ".join(sentences(foretold(lacking=found)))


def test_what_is_ahead_is_compared_with_the_same_curve_now_and_never_less_than_it():
    curve = curve_of(lambda n: 0.02 + 0.5 * n**-0.5, noise=0.01)
    curve.accuracy[-1] += 0.03  # by chance, the last point lies above the curve
    found = forecast(curve, seed=0)
    now, twice = found.at(SIZES[-1]), found.at(2 * SIZES[-1])
    assert now.value < curve.mean[-1]
    assert now.value <= twice.value
    plain = Foretold(images=now.images, value=0.972, low=0.96, high=0.98)
    said = sentences(foretold(now=plain))[0]
    assert "in place of the 97.2\u00a0% where the curve is now (measured: 80.0\u00a0%)" in said


def test_a_record_without_the_curves_own_point_makes_no_comparison():
    assert "in place of" not in sentences(foretold())[0]


def planted(count: int, *, classes: int, test: float = 0.2, given: bool = False) -> Pool:
    samples = tuple(Sample(f"{i}.png", Path(f"{i}.png"), i % classes, "test" if i % 5 == 0 else "train" if i % 5 < 4
                           else "val") if given else Sample(f"{i}.png", Path(f"{i}.png"), i % classes)
                    for i in range(count))
    data = Dataset(samples, tuple(map(str, range(classes))), "classification", "folder")
    splits = split(data, seed=0, test=test)
    return Pool(Job(data="d", test=test), data, [], splits, pooled(splits), None)


def enough(pool: Pool) -> bool:
    fitted = min(len(rest) for rest, _ in divide(pool.images.labels(), FOLDS, seed=0))
    return len(sizes_for(fitted, len(pool.images.classes))) >= FEWEST_POINTS


@pytest.mark.parametrize(("count", "classes", "test"), [(12, 2, 0.2), (22, 2, 0.2), (25, 3, 0.3), (60, 10, 0.2),
                                                        (14, 2, 0.5)])
def test_the_images_that_are_asked_for_are_enough_the_held_out_ones_included(count, classes, test):
    pool = planted(count, classes=classes, test=test)
    assert not enough(pool)
    more, everything = map(int, re.search(r"Label (\d+) more images, (\d+) in all", str(too_few(pool))).groups())
    assert count + more == everything
    for beyond in range(12):
        assert enough(planted(everything + beyond, classes=classes, test=test))


def test_where_the_test_split_is_given_images_are_asked_for_outside_it():
    assert re.search(r"Label 6 more images outside the test split, 22 in all", str(too_few(planted(20, classes=2,
                                                                                                   given=True))))


def test_no_labels_are_asked_for_where_none_would_do():
    assert "reads at most 5\u202f000" in str(too_few(planted(2800, classes=700)))


def test_a_forecast_whose_time_is_up_says_what_was_left_out():
    pool, heard = planted(240, classes=3), []
    features = np.random.default_rng(0).normal(size=(len(pool.images), 4)).astype(np.float32)
    timed = replace(pool, job=Job(data="d", limit_time=1.0))
    curve = _probe_curve(timed, features, np.arange(len(pool.images)), heard.append, lambda: -1.0)
    assert len(curve.sizes) == 3
    assert "1 of 2 rounds and 3 sizes" in heard[-1].text
    assert heard[-1].level == "warning"
