import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluation.gap import watch_gap
from headstart.evaluation.intervals import Interval
from headstart.training.watch import watch


def rows(train, val, *, train_metric=0.95, val_metric=0.9):
    return [{"epoch": e, "train_loss": a, "val_loss": b, "train_accuracy": train_metric, "val_accuracy": val_metric}
            for e, (a, b) in enumerate(zip(train, val, strict=True))]


E = np.arange(20)
FALLING = 0.1 + 1.5 * np.exp(-E / 4)


def test_overfitting_is_named_with_its_epoch_and_numbers():
    found = watch(rows(FALLING, np.abs(E - 6) * 0.05 + 0.4), "accuracy")
    assert found.verdict == "overfitting"
    assert "Overfitting from epoch 6 on" in found.text
    assert "best weights are kept" in found.text
    assert found.numbers["from_epoch"] == 6
    assert found.advice


def test_overfitting_of_a_short_run_is_seen():
    found = watch(rows([1.5, 0.9, 0.5, 0.3, 0.2, 0.1, 0.05], [1.2, 0.6, 0.65, 0.8, 0.95, 1.1, 1.25]), "accuracy")
    assert found.verdict == "overfitting"


def test_a_train_loss_above_the_validation_loss_is_healthy():
    found = watch(rows(FALLING + 0.4, FALLING + 0.1), "accuracy")
    assert found.verdict == "healthy"
    assert "augmented" in found.text


def test_a_loss_that_is_nan_or_rises_is_diverging():
    broken = watch(rows([1, 0.9, np.nan], [1, 1, 1]), "accuracy")
    assert (broken.verdict, broken.text) == ("diverging", "The loss is NaN or infinite from epoch 2 on.")
    assert watch(rows(1 + 0.2 * E, 1 + 0.2 * E), "accuracy").verdict == "diverging"


def test_losses_that_hardly_move_or_still_fall_are_underfitting():
    still = watch(rows(2 * 0.9**E, 2.1 * 0.9**E, train_metric=0.5), "accuracy")
    assert still.verdict == "underfitting"
    assert "stopped too early" in still.text
    flat = watch(rows(2.3 - 0.002 * E, 2.3 - 0.002 * E, train_metric=0.15), "accuracy")
    assert flat.verdict == "underfitting"
    assert "hardly learns" in flat.text


def test_a_loss_that_rose_a_little_is_not_told_to_train_on():
    risen = watch(rows(0.7 + 0.01 * E / len(E) * 8, 0.7 + 0.01 * E, train_metric=0.5), "accuracy")
    assert risen.verdict == "diverging"
    assert "Training made it worse" in risen.text
    assert "Lower lr_backbone and lr_head" in risen.advice[0]
    assert not any("more epochs" in words for words in risen.advice)


def test_curves_that_stand_still_are_a_plateau():
    found = watch(rows(0.1 + np.exp(-E), 0.2 + np.exp(-E)), "accuracy")
    assert found.verdict == "plateau"
    assert found.numbers["from_epoch"] == 10


def test_three_epochs_are_too_short():
    assert watch(rows([1, 0.5, 0.4], [1, 0.6, 0.5]), "accuracy").verdict == "too_short"
    assert watch([], "accuracy").verdict == "too_short"


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), epochs=st.integers(4, 50), noise=st.floats(0, 0.15), speed=st.floats(0.05, 0.5))
def test_healthy_noisy_curves_raise_no_alarm(seed, epochs, noise, speed):
    rng, e = np.random.default_rng(seed), np.arange(epochs)
    course = np.exp(-e / (speed * epochs))
    shaken = [(floor + 1.4 * course) * np.clip(1 + noise * rng.normal(size=epochs), 0.3, 2) for floor in (0.1, 0.3)]
    assert watch(rows(*shaken), "accuracy").verdict in ("healthy", "plateau")


def test_a_probe_that_knows_train_by_heart_is_told():
    found = watch_gap(Interval(1.0, 0.99, 1.0), Interval(0.8, 0.75, 0.85), monitor="accuracy")
    assert found.verdict == "overfitting"
    assert "1.000 on train and 0.800 on validation: a gap of 0.200" in found.text
    assert watch_gap(Interval(0.96, 0.9, 1), Interval(0.95, 0.9, 1), monitor="accuracy").verdict == "healthy"
    nan = float("nan")
    assert watch_gap(Interval(nan, nan, nan), Interval(0.9, 0.8, 1), monitor="auroc").verdict == "too_short"


def test_a_watch_is_plain_json():
    plain = watch(rows(FALLING, FALLING), "accuracy").to_json()
    assert plain.keys() == {"verdict", "text", "numbers", "advice"}
    assert isinstance(plain["advice"], list)
    assert plain["numbers"]["epochs"] == pytest.approx(20)
