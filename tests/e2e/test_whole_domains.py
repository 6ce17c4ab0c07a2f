"""`adapt` of a segmenter and of a detector to a target: proven on labels that change nothing else, resumed to the bit,
never worse.
"""

import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart as hs
from headstart.errors import ConfigError, Interrupted
from headstart.receipts import changed_metrics
from headstart.run import resume, run
from tests.e2e.test_command_line import headstart
from tests.e2e.whole_domains import ADABN, BOXES, FDA, MASKS, PROBE, Kind, read, weights
from tests.training.killing import kill_at_step


@pytest.fixture(scope="module", params=[MASKS, BOXES], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture(scope="module")
def world(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kind.world(tmp_path_factory.mktemp(kind.name))


@pytest.fixture(scope="module")
def runs(kind: Kind, world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, hs.Run]:
    folder = tmp_path_factory.mktemp(f"{kind.name}-runs")
    return {name: kind.made(world, folder / name, method) for name, method in kind.methods.items()}


every_method = pytest.mark.parametrize("name", MASKS.methods)


# What a run says

def test_other_images_are_compared_with_its_train_images(kind, world, runs, tmp_path):
    run = runs[next(iter(runs))]
    found = hs.mismatch(run, world / "target", out=tmp_path / "found")
    (one,) = found.comparisons
    assert one.first == f"train images of {run.directory.name}"
    assert one.prospects is None
    assert one.apart.counts[0] == sum(run.samples["split"] == "train")


@every_method
def test_the_target_is_measured_beside_validation_and_test(name, runs):
    assert set(read(runs[name], "metrics.json")) == {"val", "test", "target"}
    assert read(runs[name], "run.json")["headline"] == read(runs[name], "metrics.json")["target"]
    assert set(read(runs[name], "baselines.json")["probe"]) == {"val", "test", "target"}
    assert len(runs[name].predictions.query("split == 'target'")) == 8
    assert read(runs[name], "data.json")["splits"]["target"]["count"] == 8
    assert all(receipt.intact for receipt in hs.verify(runs[name]))


@every_method
def test_the_result_is_held_against_the_probe_on_the_target(name, kind, runs):
    found = read(runs[name], "metrics.json")["target"][kind.metric]["value"]
    before = read(runs[name], "baselines.json")["probe"]["target"][kind.metric]["value"]
    (difference,) = read(runs[name], "comparison.json")
    assert difference["difference"]["value"] == pytest.approx(found - before)


def test_the_report_speaks_of_the_target_and_of_how_far_it_lies(runs):
    page = " ".join((runs["fda"].directory / "report.html").read_text().split())
    assert "images of the target domain, whose labels were used for this alone" in page
    assert "How far the target lies" in page


@every_method
def test_the_validators_speak_before_and_after(name, kind, runs):
    rows = read(runs[name], "validators.json")
    assert [row["epoch"] for row in rows] == [*range(kind.methods[name].get("epochs", 0) + 1), None]
    assert all(row["scores"]["reverse_validation"] is not None for row in rows)


def test_the_history_has_the_sources_metric_and_what_taught(kind, runs):
    history = runs["mean_teacher"].history.query("method == 'mean_teacher'")
    assert history[f"val_{kind.metric}"].between(0, 1).all()
    assert all((history[column] >= 0).all() for column in kind.columns)


def test_the_command_prints_a_table_of_the_target(kind, world, tmp_path):
    sets = ("method.probe.epochs=1", "image_size=64", "backbone=efficientnet_lite0", "tracking=off")
    found = headstart("adapt", world / "source", "--target", world / "target", "--method", "adabn",
                      *(word for value in sets for word in ("--set", value)), "--out", tmp_path / "run")
    assert "8 labelled images of the target" in found.output
    assert re.search(r"(miou|ap) \d\.\d{3} \(target\)", headstart("runs", tmp_path).output)


# No peeking

@every_method
def test_other_labels_of_the_target_give_the_same_model_to_the_byte(name, kind, world, runs, tmp_path):
    poisoned = shutil.copytree(world / "target", tmp_path / "target")
    kind.poison(poisoned)
    found = kind.made(world, tmp_path / "run", kind.methods[name], target=str(poisoned))
    assert weights(found) == weights(runs[name])
    assert read(found, "validators.json") == read(runs[name], "validators.json")
    assert read(found, "metrics.json")["test"] == read(runs[name], "metrics.json")["test"]
    assert read(found, "details.json")["target"] != read(runs[name], "details.json")["target"]


def test_images_alone_are_adapted_to_alike_and_nothing_is_claimed_of_them(kind, world, runs, tmp_path):
    bare = kind.bare(shutil.copytree(world / "target", tmp_path / "bare"))
    found = kind.made(world, tmp_path / "run", ADABN, target=str(bare))
    assert set(read(found, "metrics.json")) == {"val", "test"}
    assert read(found, "comparison.json") == []
    assert weights(found) == weights(runs["adabn"])


# After a break

def test_an_interrupted_mean_teacher_resumes_to_the_same_model_and_to_the_same_words(kind, world, runs, tmp_path):
    step = 3 if kind is BOXES else 7  # the probe of masks has 4 steps itself
    saving = {**kind.teacher, "checkpoint_seconds": 0.001}
    with pytest.raises(Interrupted):
        run(kind.job(world, method=[PROBE, saving]), tmp_path / "run", listen=kill_at_step(step, signal.SIGTERM))
    found = resume(tmp_path / "run")
    assert weights(found) == weights(runs["mean_teacher"])
    assert changed_metrics(runs["mean_teacher"], found) == []
    assert read(found, "validators.json") == read(runs["mean_teacher"], "validators.json")


# Never worse

def test_on_images_of_something_else_the_start_is_kept_before_anything_is_trained(kind, world, tmp_path):
    noise = tmp_path / "noise"
    noise.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 96, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(noise / f"{number}.png")
    guarded = {key: value for key, value in kind.teacher.items() if key != "guard"}
    found = kind.made(world, tmp_path / "run", guarded, target=str(noise))
    before = run(kind.job(world, method=[PROBE], target=str(noise)), tmp_path / "probe")
    assert weights(found) == weights(before)
    notes = [note["text"] for note in read(found, "run.json")["notes"]]
    assert any(note.startswith("mean_teacher: ") and "no ground to build on" in note for note in notes)
    assert "mean_teacher" not in set(found.history["method"])
    assert found.job.method[-1].guard == "reverse_validation"


# Some labels of the target

@pytest.mark.parametrize("method", [
    {"method": "finetune", "epochs": 1}, {"method": "source_then_target", "epochs": 1, "target_epochs": 2}, FDA],
    ids=lambda method: method["method"])
def test_labels_of_the_target_are_learned_from_and_their_images_leave_it(method, kind, world, runs, tmp_path):
    found = kind.made(world, tmp_path / "run", method, target_train=str(kind.dusk(tmp_path / "few", count=3)))
    assert read(found, "data.json")["target_train"]["images"] == 3
    assert read(found, "data.json")["splits"]["target"]["count"] == 5
    assert weights(found) != weights(runs["fda"])
    assert all(receipt.intact for receipt in hs.verify(found))


# Mistakes

def test_methods_that_can_not_do_it_are_refused_with_those_that_can(kind, world, tmp_path):
    for method in ({}, {"method": "auto"}, {"method": "coral"}):
        with pytest.raises(ConfigError,
                           match=rf"can't do {kind.name}\. .* adapt to a target: adabn, fda, mean_teacher\."):
            run(kind.job(world, **method), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_has_no_effect_is_refused_before_anything_is_written(kind, world, tmp_path):
    for changes, said in (
            ({"method": {"method": "adabn", "head": "solved"}}, "head=solved fits a linear head anew, which no model"),
            ({"method": {"method": "mean_teacher", "average": "ema"}}, "the teacher is the average. Set decay"),
            ({"method": {"method": "mean_teacher", "find_lr": True}}, "find_lr looks for the rate"),
            ({"method": {"method": "fda"}, "slices": 32}, "target: what adapts sees whole pictures yet, not slices"),
            *kind.mistakes):
        with pytest.raises(ConfigError, match=said):
            run(kind.job(world, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_target_that_no_method_adapts_to_is_told_with_those_that_would(kind, world, tmp_path):
    found = run(kind.job(world, method=[PROBE]), tmp_path / "run")
    (told,) = [note["text"] for note in read(found, "run.json")["notes"]
               if note["text"].startswith("target: no method of this run adapts")]
    assert "Methods that do: adabn, fda, mean_teacher." in told
