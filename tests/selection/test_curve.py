"""The learning curve: nested subsets, and images that were not learnt from."""

import numpy as np

from headstart.selection.curve import FOLDS, LEAST_SIZES, REPEATS, probe_curve, sizes_for


def clouds(count: int, *, classes: int = 3, noise: float = 1.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    features = rng.normal(size=(count, 6)).astype(np.float32) * noise
    features[np.arange(count), labels] += 2.0
    return features, labels


def test_sizes_are_halves_while_there_is_an_image_and_a_half_a_class():
    np.testing.assert_array_equal(sizes_for(100, 3), [6, 12, 25, 50, 100])
    np.testing.assert_array_equal(sizes_for(10_000, 2), [312, 625, 1250, 2500, 5000, 10_000])
    np.testing.assert_array_equal(sizes_for(10, 5), [10])
    np.testing.assert_array_equal(sizes_for(21, 3), [5, 10, 21])


def test_more_images_are_learnt_better_and_the_curve_ends_at_what_the_folds_leave():
    features, labels = clouds(240)
    curve = probe_curve(features, labels, classes=3, seed=0)
    assert curve.sizes[-1] == 240 * (FOLDS - 1) / FOLDS
    assert curve.accuracy.shape == (len(curve.sizes), FOLDS * REPEATS)
    assert curve.mean[-1] > curve.mean[0]
    assert curve.held_out == 240 / FOLDS


def test_labels_that_say_nothing_are_learnt_at_the_rate_of_chance():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(300, 6)), rng.integers(0, 3, 300)
    assert abs(probe_curve(features, labels, classes=3, seed=0).mean[-1] - 1 / 3) < 0.1


def test_the_shares_by_class_add_up_to_the_accuracy():
    features, labels = clouds(120)
    curve = probe_curve(features, labels, classes=3, seed=0)
    np.testing.assert_allclose(curve.per_class.mean(axis=1), curve.mean)


def test_groups_are_never_on_both_sides():
    """Each group has one label that no other feature tells: a probe that had seen a member would know the rest."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    features = np.eye(40)[groups] * 5 + rng.normal(size=(200, 40)) * 0.01
    labels = rng.integers(0, 2, 40)[groups]
    names = [str(group) for group in groups]
    assert probe_curve(features, labels, classes=2, seed=0, groups=names).mean[-1] < 0.7
    assert probe_curve(features, labels, classes=2, seed=0).mean[-1] > 0.95


def test_several_labels_an_image_count_by_the_share_that_is_right():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(160, 5))
    labels = (features[:, :2] > 0).astype(np.float32)
    curve = probe_curve(features, labels, classes=2, seed=0)
    assert curve.mean[-1] > 0.9
    assert curve.per_class.shape == (len(curve.sizes), 2)


def test_where_the_time_is_up_there_is_one_round_of_the_largest_sizes():
    features, labels = clouds(240)
    whole = probe_curve(features, labels, classes=3, seed=0)
    cut = probe_curve(features, labels, classes=3, seed=0, remaining=lambda: 0.0)
    np.testing.assert_array_equal(cut.sizes, whole.sizes[-LEAST_SIZES:])
    np.testing.assert_array_equal(cut.accuracy, whole.accuracy[-LEAST_SIZES:, :FOLDS])
    np.testing.assert_array_equal(cut.judged, whole.judged)
    assert cut.per_class.shape == (LEAST_SIZES, 3)
