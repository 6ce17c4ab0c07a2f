"""`adapt` of a detector to a target: proven on boxes that change nothing else, resumed to the bit, never worse."""

import json
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
from tests.e2e.masks import DUSK, read, weights
from tests.e2e.test_command_line import headstart
from tests.e2e.test_detection import write_boxes
from tests.training.killing import kill_at_step

PROBE = {"method": "probe", "epochs": 2}
ADABN = {"method": "adabn", "guard": "none"}
FDA = {"method": "fda", "epochs": 1, "guard": "none"}
TEACHER = {"method": "mean_teacher", "epochs": 2, "threshold": 0.1, "guard": "none", "checkpoint_seconds": 0.001}
METHODS = {"adabn": ADABN, "fda": FDA, "mean_teacher": TEACHER}


def write_dusk(folder: Path, *, classes: tuple[str, ...] = ("red", "blue"), count: int = 8) -> Path:
    """Write pictures with boxes, darker and bluer."""
    write_boxes(folder, classes=classes, count=count, start=501)
    for path in folder.glob("*.png"):
        Image.fromarray((np.asarray(Image.open(path)) * DUSK).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source of rectangles, and a target of the same in another light."""
    folder = tmp_path_factory.mktemp("world")
    write_boxes(folder / "source", count=15)
    write_dusk(folder / "target")
    return folder


def job(world: Path, **changes: object) -> hs.Job:
    return hs.Job.parse({
        "data": str(world / "source"), "target": str(world / "target"), "backbone": "efficientnet_lite0",
        "image_size": 64, "detector": "fcos", "tracking": "off", "device": "cpu", "baselines": "majority", **changes})


def made(world: Path, out: Path, method: dict[str, object], **changes: object) -> hs.Run:
    return run(job(world, method=[PROBE, method], **changes), out)


@pytest.fixture(scope="module")
def runs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, hs.Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: made(world, folder / name, method) for name, method in METHODS.items()}


every_method = pytest.mark.parametrize("name", METHODS)


# What a run says

@every_method
def test_the_target_is_measured_beside_validation_and_test(name, runs):
    assert set(read(runs[name], "metrics.json")) == {"val", "test", "target"}
    assert read(runs[name], "run.json")["headline"] == read(runs[name], "metrics.json")["target"]
    assert set(read(runs[name], "baselines.json")["probe"]) == {"val", "test", "target"}
    assert len(runs[name].predictions.query("split == 'target'")) == 8
    assert read(runs[name], "data.json")["splits"]["target"]["count"] == 8
    assert all(receipt.intact for receipt in hs.verify(runs[name]))


@every_method
def test_the_result_is_held_against_the_probe_on_the_target(name, runs):
    found = read(runs[name], "metrics.json")["target"]["ap"]["value"]
    before = read(runs[name], "baselines.json")["probe"]["target"]["ap"]["value"]
    (difference,) = read(runs[name], "comparison.json")
    assert difference["difference"]["value"] == pytest.approx(found - before)


def test_the_report_speaks_of_the_target_and_of_how_far_it_lies(runs):
    page = " ".join((runs["fda"].directory / "report.html").read_text().split())
    assert "images of the target domain, whose labels were used for this alone" in page
    assert "How far the target lies" in page


@every_method
def test_the_validators_speak_before_and_after(name, runs):
    rows = read(runs[name], "validators.json")
    assert [row["epoch"] for row in rows] == [*range(METHODS[name].get("epochs", 0) + 1), None]
    assert all(row["scores"]["reverse_validation"] is not None for row in rows)


def test_the_history_has_the_sources_average_precision_and_what_taught(runs):
    history = runs["mean_teacher"].history.query("method == 'mean_teacher'")
    assert history["val_ap"].between(0, 1).all()
    assert (history["target_boxes"] >= 0).all()


def test_the_command_prints_a_table_of_the_target(world, tmp_path):
    found = headstart("adapt", world / "source", "--target", world / "target", "--method", "adabn", "--set",
                      "method.probe.epochs=1", "--set", "image_size=64", "--set", "backbone=efficientnet_lite0",
                      "--set", "detector=fcos", "--set", "tracking=off", "--out", tmp_path / "run")
    assert "8 labelled images of the target" in found.output


# No peeking

def poisoned(world: Path, folder: Path) -> Path:
    """The target with other boxes, classes, and sizes in its file, and fewer of them."""
    shutil.copytree(world / "target", folder)
    file = folder / "annotations.json"
    value = json.loads(file.read_text())
    value["annotations"] = [{**one, "bbox": [3, 4, 20, 9], "area": 180, "category_id": value["categories"][0]["id"]}
                            for one in value["annotations"][::2]]
    file.write_text(json.dumps(value))
    return folder


@every_method
def test_other_boxes_of_the_target_give_the_same_model_to_the_byte_and_another_proof(name, world, runs, tmp_path):
    found = made(world, tmp_path / "run", METHODS[name], target=str(poisoned(world, tmp_path / "target")))
    assert weights(found) == weights(runs[name])
    assert read(found, "validators.json") == read(runs[name], "validators.json")
    assert read(found, "metrics.json")["test"] == read(runs[name], "metrics.json")["test"]
    assert read(found, "details.json")["target"] != read(runs[name], "details.json")["target"]


def test_images_without_boxes_are_adapted_to_alike_and_nothing_is_claimed_of_them(world, runs, tmp_path):
    bare = shutil.copytree(world / "target", tmp_path / "bare")
    (bare / "annotations.json").unlink()
    found = made(world, tmp_path / "run", ADABN, target=str(bare))
    assert set(read(found, "metrics.json")) == {"val", "test"}
    assert read(found, "comparison.json") == []
    assert weights(found) == weights(runs["adabn"])


def test_boxes_of_a_class_that_the_source_does_not_know_are_left_out_of_the_proof_and_told_of(world, tmp_path):
    open_set = write_dusk(tmp_path / "open", classes=("red", "green"), count=6)
    found = made(world, tmp_path / "run", ADABN, target=str(open_set))
    notes = [note["text"] for note in read(found, "run.json")["notes"]]
    assert any("an open set of classes: green is not known to the source. Their boxes" in note for note in notes)
    rows = found.predictions.query("split == 'target'")
    assert len(rows) == 6
    names = found.data["classes"]
    assert {names[label] for labels in rows["true_labels"] for label in labels} == {"red"}


# After a break

def test_an_interrupted_mean_teacher_resumes_to_the_same_model_and_to_the_same_words(world, runs, tmp_path):
    settings = job(world, method=[PROBE, TEACHER])
    with pytest.raises(Interrupted):
        run(settings, tmp_path / "run", listen=kill_at_step(3, signal.SIGTERM))
    found = resume(tmp_path / "run")
    assert weights(found) == weights(runs["mean_teacher"])
    assert changed_metrics(runs["mean_teacher"], found) == []
    assert read(found, "validators.json") == read(runs["mean_teacher"], "validators.json")


# Never worse

def test_on_images_of_something_else_the_start_is_kept_before_anything_is_trained(world, tmp_path):
    noise = tmp_path / "noise"
    noise.mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (64, 96, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(noise / f"{number}.png")
    guarded = {key: value for key, value in TEACHER.items() if key != "guard"}
    found = made(world, tmp_path / "run", guarded, target=str(noise))
    before = run(job(world, method=[PROBE], target=str(noise)), tmp_path / "probe")
    assert weights(found) == weights(before)
    notes = [note["text"] for note in read(found, "run.json")["notes"]]
    assert any(note.startswith("mean_teacher: ") and "no ground to build on" in note for note in notes)
    assert "mean_teacher" not in set(found.history["method"])
    assert found.job.method[-1].guard == "reverse_validation"


# Some boxes of the target

@pytest.mark.parametrize("method", [
    {"method": "finetune", "epochs": 1}, {"method": "source_then_target", "epochs": 1, "target_epochs": 2}],
    ids=lambda method: method["method"])
def test_boxes_of_the_target_are_learned_from_beside_the_sources_and_leave_the_target(method, world, tmp_path):
    found = made(world, tmp_path / "run", method, target_train=str(write_dusk(tmp_path / "few", count=3)))
    data = read(found, "data.json")
    assert data["target_train"]["images"] == 3
    assert data["splits"]["target"]["count"] == 5
    assert any("each counting 1 times" in note for note in data["target_train"]["notes"])
    assert all(receipt.intact for receipt in hs.verify(found))


def test_a_share_of_boxes_is_refused(world, tmp_path):
    with pytest.raises(ConfigError, match="target_share: has no effect on detection"):
        made(world, tmp_path / "run", FDA, target_train=str(world / "target"), target_share=0.3)


# Mistakes

def test_methods_that_can_not_do_boxes_are_refused_with_those_that_can(world, tmp_path):
    for method in ({}, {"method": "auto"}, {"method": "coral"}):
        with pytest.raises(ConfigError, match=r"can't do detection\. .* adapt to a target: adabn, fda, mean_teacher\."):
            run(job(world, **method), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("changes", "said"), [
    ({"method": {"method": "adabn", "head": "solved"}}, "head=solved fits a linear head anew, which no model for"),
    ({"method": {"method": "mean_teacher", "average": "ema"}}, "the teacher is the average. Set decay"),
    ({"method": {"method": "mean_teacher", "find_lr": True}}, "find_lr looks for the rate"),
    ({"method": {"method": "fda", "monitor": "ap50"}}, "monitor would have no effect"),
    ({"method": {"method": "fda"}, "slices": 32}, "target: what adapts sees whole pictures yet, not slices"),
])
def test_what_has_no_effect_is_refused_before_anything_is_written(changes, said, world, tmp_path):
    with pytest.raises(ConfigError, match=said):
        run(job(world, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()
