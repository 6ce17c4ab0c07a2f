"""The pure parts of the side-by-side benchmark: what is drawn, and what the table makes of results."""

import sys
from pathlib import Path

import pytest

from headstart.types import Sample

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield
    for name in [name for name in sys.modules if name.startswith("side_by_side")]:
        del sys.modules[name]


def row(method, seed, accuracy, **more):
    return {"set": "digits", "images": 10, "size": 64, "test": 450, "method": method, "seed": seed,
            "settings": {"method": method}, "accuracy": accuracy, "low": accuracy - 0.02, "high": accuracy + 0.02,
            "val_accuracy": accuracy, "seconds": 1.0, "peak_mb": 900, "trained": 100, "parameters": 10_000,
            "threads": 2, **more}


def test_more_images_a_class_hold_the_fewer_and_classes_are_drawn_alike():
    from side_by_side.sets import Parts, draw

    pool = tuple(Sample(f"{label}/{n}", Path("x"), label) for label in (0, 1) for n in range(30))
    parts = Parts((), pool, ("a", "b"))
    few, many = draw(parts, 5, 0), draw(parts, 20, 0)
    assert [sum(sample.label == label for sample in few) for label in (0, 1)] == [5, 5]
    assert set(few) < set(many)
    assert set(draw(parts, 5, 1)) != set(few)
    assert draw(parts, None, 0) == list(pool)


def test_seeds_are_averaged_and_rows_of_old_settings_are_left_out():
    from side_by_side.table import gather

    old = row("probe", 2, 0.1, settings={"method": "probe", "l2": 1})
    entry = gather([old, row("probe", 0, 0.8), row("probe", 1, 0.9)])["digits", 10, "probe"]
    assert (entry.seeds, entry.accuracy, entry.low) == (2, pytest.approx(0.85), pytest.approx(0.83))


def test_the_best_finetune_is_chosen_on_validation_and_judged_on_test():
    from side_by_side.table import against_probe, gather

    rows = [row("probe", 0, 0.80), row("finetune", 0, 0.95, val_accuracy=0.7, over_probe=[0.15, 0.1, 0.2]),
            row("norm-only", 0, 0.81, val_accuracy=0.9, over_probe=[0.01, -0.02, 0.04])]
    (figure,) = against_probe(gather(rows))
    assert "norm-only" in figure.says
    assert not figure.reached  # on digits the whole interval must lie above zero


@pytest.mark.parametrize(("accuracy", "trained", "reached"), [
    (0.895, 400, True), (0.889, 400, False), (0.9, 500, False)])
def test_a_light_method_comes_within_a_point_with_few_parameters(accuracy, trained, reached):
    from side_by_side.table import gather, light_methods

    over = {"over_probe": [0.0, 0.0, 0.0]}
    light = row("lora", 0, accuracy, trained=trained, **over)
    (figure,) = light_methods(gather([row("finetune", 0, 0.9, **over), light]))
    assert figure.reached is reached


def test_the_light_method_is_chosen_on_validation():
    from side_by_side.table import gather, light_methods

    over = {"over_probe": [0.0, 0.0, 0.0]}
    rows = [row("finetune", 0, 0.9, **over), row("lora", 0, 0.95, val_accuracy=0.5, **over),
            row("norm-only", 0, 0.8, val_accuracy=0.6, **over)]
    (figure,) = light_methods(gather(rows))
    assert figure.says.endswith("norm-only")
    assert not figure.reached


def test_seconds_are_those_of_the_most_threads():
    from side_by_side.table import gather

    rows = [row("probe", 0, 0.8, seconds=5.0), row("probe", 1, 0.8, seconds=4.0),
            row("probe", 2, 0.8, seconds=1.0, threads=1)]
    assert gather(rows)["digits", 10, "probe"].seconds == 4.0


def test_what_was_not_measured_is_a_dash():
    from side_by_side.table import gather, set_table

    lines = set_table(gather([row("probe", 0, 0.8), row("majority", 0, 0.1, images=50)]), "digits")
    assert "| - | - |" in lines[2]
    assert "0.800 (0.780-0.820)*" in lines[3]
