"""`adapt` with a target, from the command line to the report: proven on labels that change nothing else."""

import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart as hs
from headstart.cli.output import print_result
from headstart.confrontation import confront
from headstart.errors import ConfigError, Interrupted
from headstart.model import KEYS
from headstart.receipts import changed_metrics
from headstart.run import resume, run
from headstart.sealed import read_sealed
from tests.e2e.conftest import write_digits
from tests.e2e.test_command_line import headstart
from tests.selection.small import write_weights
from tests.training.killing import kill_at_step

TRAINED = {"method": "align", "alignments": "mcc", "epochs": 2, "batch_size": 12, "guard": "none"}
QUICK = {"method": "coral", "guard": "none"}
RENAMED = "digit 4"
"""A class that the source has and the target has not."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source of four digits, a target of three, paler, and weights."""
    folder = tmp_path_factory.mktemp("world")
    write_digits(folder / "source", digits=(0, 1, 4, 7), each=16)
    for path in write_digits(folder / "target", start=40, each=8).rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)) // 2 + 60).save(path)
    write_weights(folder / "weights.safetensors")
    return folder


def settings(world: Path, **changes: object) -> dict[str, object]:
    return {"data": str(world / "source"), "target": str(world / "target"), "image_size": 32, "fit": "squash",
            "tracking": "off", "device": "cpu", "backbone": f"timm/test_resnet@{world / 'weights.safetensors'}",
            "method": [TRAINED], **changes}


def words(world: Path, **changes: object) -> list[str]:
    """The same settings as a user types them."""
    found = settings(world, **changes)
    named = {name: found.pop(name) for name in ("target", "backbone") if found.get(name)}
    return [str(found.pop("data")), *(word for name, value in named.items() for word in (f"--{name}", str(value))),
            *(word for name, value in found.items() for word in ("--set", f"{name}={json.dumps(value)}"))]


def made(world: Path, out: Path, **changes: object) -> hs.Run:
    return run(hs.Job.parse(settings(world, **changes)), out)


@pytest.fixture(scope="module")
def adapted(world: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    directory = tmp_path_factory.mktemp("runs") / "align"
    headstart("adapt", *words(world), "--out", directory)
    return hs.load_run(directory)


@pytest.fixture(scope="module")
def quick(world: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return made(world, tmp_path_factory.mktemp("runs") / "coral", method=[QUICK])


def read(of: hs.Run, name: str) -> object:
    return json.loads((of.directory / name).read_text())


# What a run says

def test_the_target_is_measured_beside_validation_and_test(adapted):
    assert set(read(adapted, "metrics.json")) == {"val", "test", "target"}
    shown = adapted.predictions.query("split == 'target'")
    right = (shown["label"] == shown["predicted"]).mean()
    assert len(shown) == 24
    assert read(adapted, "metrics.json")["target"]["accuracy"]["value"] == pytest.approx(right)
    assert read(adapted, "run.json")["headline"] == read(adapted, "metrics.json")["target"]
    assert {name: set(splits) for name, splits in read(adapted, "baselines.json").items()} == {
        "majority": {"val", "test", "target"}, "probe": {"val", "test", "target"}}


def test_the_result_is_held_against_the_others_on_the_target(adapted):
    shown = adapted.predictions.query("split == 'target'")
    accuracy = (shown["label"] == shown["predicted"]).mean()
    differences = {found["b"]: found["difference"]["value"] for found in read(adapted, "comparison.json")}
    assert differences == {name: pytest.approx(accuracy - splits["target"]["accuracy"]["value"])
                           for name, splits in read(adapted, "baselines.json").items()}


def test_what_the_validators_say_is_written_for_each_epoch(adapted):
    rows = read(adapted, "validators.json")
    assert [(row["method"], row["epoch"]) for row in rows] == [("align", 0), ("align", 1), ("align", 2),
                                                               ("align", None)]
    assert {frozenset(row["scores"]) for row in rows} == {frozenset({
        "batch_nuclear_norm", "consistency", "deep_embedded_validation", "diversity", "entropy",
        "information_maximisation", "last_epoch", "neighbour_agreement", "reverse_validation",
        "soft_neighbourhood_density", "source_risk", "weighted_reverse_validation"})}


def test_the_history_has_the_sources_accuracy(adapted):
    assert list(adapted.history["epoch"]) == [1, 2]
    assert adapted.history["val_accuracy"].between(0, 1).all()
    assert adapted.history["val_consistency"].between(-1, 1).all()
    assert "val_last_epoch" not in adapted.history


def test_the_data_record_says_what_was_adapted_to(adapted, world):
    record = read(adapted, "data.json")
    assert record["splits"]["target"] == {"count": 24, "per_class": {"digit 0": 8, "digit 1": 8, "digit 4": 0,
                                                                     "digit 7": 8}}
    target = record["target"]
    assert (target["root"], target["images"], target["proof"]) == (str(world / "target"), 24, 24)
    assert "target: a partial set of classes: it does not have digit 4" in target["notes"]


def test_the_report_speaks_of_the_target(adapted):
    page = (adapted.directory / "report.html").read_text()
    assert "images of the target domain, whose labels were used for this alone" in " ".join(page.split())


def test_the_command_prints_a_table_of_the_target_and_its_metrics(world, tmp_path):
    found = headstart("adapt", *words(world, method=[QUICK]), "--out", tmp_path / "run", "--json")
    assert set(json.loads(found.stdout)["metrics"]) == {"val", "test", "target"}
    assert "24 labelled images of the target" in headstart(
        "adapt", *words(world, method=[QUICK]), "--out", tmp_path / "other").output


def test_a_target_without_labels_is_adapted_to_and_nothing_is_claimed_of_it(world, quick, tmp_path, capsys):
    bare = tmp_path / "bare"
    bare.mkdir()
    for number, path in enumerate(sorted((world / "target").rglob("*.png"))):
        shutil.copy(path, bare / f"{number}.png")
    found = made(world, tmp_path / "run", method=[QUICK], target=str(bare))
    assert set(read(found, "metrics.json")) == {"val", "test"}
    assert read(found, "comparison.json") == []
    assert read(found, "data.json")["target"]["proof"] == 0
    assert weights(found) == weights(quick)
    print_result(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert "held-out test images of the source" in printed
    assert "No label of the target is known: how good the model is there was not measured." in printed
    page = " ".join((found.directory / "report.html").read_text().split())
    assert "held-out images of the source the model is right" in page
    assert "No label of the target is known: how good the model is on its 24 images was not measured." in page
    compared, = confront([found, quick])
    assert compared["split"] == "test"
    assert f"{quick} against {found} on the source's test images, not on a target: accuracy" in compared["text"]
    assert "(source)" in headstart("runs", tmp_path).output


def test_runs_that_were_adapted_to_one_target_are_compared_there(adapted, quick):
    compared, = confront([adapted, quick])
    answers = [run.predictions.query("split == 'target'") for run in (adapted, quick)]
    right = [float((table["label"] == table["predicted"]).mean()) for table in answers]
    assert compared["split"] == "target"
    assert compared["difference"]["value"] == pytest.approx(right[1] - right[0])
    assert "target split" in headstart("compare", adapted.directory, quick.directory).output


# No peeking

def weights(of: hs.Run) -> tuple[dict[str, str], dict[str, bytes]]:
    """All that model.safetensors holds; only the order in its header may be another one."""
    header, tensors = read_sealed(of.directory / "model.safetensors", what="model", keys=KEYS)
    return header, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def shuffled(world: Path, folder: Path) -> Path:
    """The target's images under each other's labels, and under other names."""
    for number, path in enumerate(sorted((world / "target").rglob("*.png"))):
        place = folder / ("digit 0", "digit 1", "digit 7")[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place / f"{100 - number}.png")
    return folder


def poisoned(world: Path, folder: Path) -> Path:
    """The target with one class under the name of another that the source knows."""
    shutil.copytree(world / "target", folder)
    (folder / "digit 7").rename(folder / RENAMED)
    return folder


@pytest.mark.parametrize("change", [shuffled, poisoned])
@pytest.mark.parametrize("method", [QUICK, TRAINED], ids=["coral", "mcc"])
def test_other_labels_of_the_target_give_the_same_model_to_the_byte_and_another_proof(method, change, world, quick,
                                                                                     adapted, tmp_path):
    before = quick if method is QUICK else adapted
    found = made(world, tmp_path / "run", method=[method], target=str(change(world, tmp_path / "target")))
    assert weights(found) == weights(before)
    assert read(found, "validators.json") == read(before, "validators.json")
    assert read(found, "metrics.json")["test"] == read(before, "metrics.json")["test"]
    assert read(found, "metrics.json")["target"] != read(before, "metrics.json")["target"]
    assert read(found, "data.json")["target"]["fingerprint"] == read(before, "data.json")["target"]["fingerprint"]


# Again, and after a break

def test_reproduce_gives_the_same_numbers(quick, tmp_path):
    again = hs.reproduce(quick, out=tmp_path / "again")
    assert changed_metrics(quick, again) == []
    assert weights(again) == weights(quick)


def interrupted(world: Path, out: Path, target: Path) -> None:
    with pytest.raises(Interrupted, match=re.escape(f"Go on with `headstart resume {out}`.")):
        run(hs.Job.parse(settings(world, target=str(target))), out, listen=kill_at_step(6, signal.SIGTERM))


def test_the_source_does_not_make_a_model_for_the_target_surer_of_its_answers(adapted):
    assert adapted.model.temperature >= 1


def test_an_interrupted_run_resumes_to_the_same_model_and_to_the_same_words(world, adapted, tmp_path):
    interrupted(world, tmp_path / "run", world / "target")
    assert hs.load_run(tmp_path / "run").status == "interrupted"
    with pytest.raises(hs.HeadstartError, match=r"this run is interrupted(.|\n)*headstart resume"):
        hs.verify(tmp_path / "run")
    found = resume(tmp_path / "run")
    assert weights(found) == weights(adapted)
    assert changed_metrics(adapted, found) == []
    assert read(found, "validators.json") == read(adapted, "validators.json")


def test_a_run_does_not_go_on_with_another_target(world, tmp_path):
    target = shutil.copytree(world / "target", tmp_path / "target")
    interrupted(world, tmp_path / "run", target)
    (target / "digit 0" / "040.png").rename(target / "digit 1" / "moved.png")
    with pytest.raises(hs.HeadstartError, match=r"target: the data have changed since .* began"):
        resume(tmp_path / "run")


# Mistakes

def test_a_method_that_adapts_needs_a_target(world, tmp_path):
    found = headstart("adapt", *words(world, target=None, method=[{"method": "coral"}]), "--out", tmp_path / "run",
                      code=2)
    assert "coral: adapts to images of another domain, and none is named. Name them with --target FOLDER." in \
        " ".join(found.stderr.split())
    assert not (tmp_path / "run").exists()


def test_a_target_that_no_method_adapts_to_is_told_of(world, tmp_path):
    found = made(world, tmp_path / "run", method=["probe"])
    texts = {note["text"]: note["level"] for note in read(found, "run.json")["notes"]}
    (told,) = [text for text in texts if text.startswith("target: no method of this run adapts to it")]
    assert texts[told] == "warning"
    assert "adabn, align, coral, " in told
    assert set(read(found, "metrics.json")) == {"val", "test", "target"}


def test_a_target_that_is_not_there_leaves_no_run(world, tmp_path):
    with pytest.raises(ConfigError, match=r"target .*none: no such file or folder"):
        made(world, tmp_path / "run", target=str(tmp_path / "none"))
    assert not (tmp_path / "run").exists()


# Receipts

def broken(of: hs.Run) -> list[str]:
    return [f"{receipt.what} {receipt.detail}" for receipt in hs.verify(of.directory) if not receipt.intact]


def test_an_untouched_run_verifies(adapted):
    assert broken(adapted) == []


def test_a_changed_and_a_lost_image_of_the_target_are_found(world, quick, tmp_path):
    target = shutil.copytree(world / "target", tmp_path / "target")
    found = made(world, tmp_path / "run", method=[QUICK], target=str(target))
    pixels = np.array(Image.open(target / "digit 0" / "040.png"))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(target / "digit 0" / "040.png")
    (target / "digit 1" / "041.png").unlink()
    assert broken(found) == ["target image digit 0/040.png has changed", "target image digit 1/041.png is gone"]


# Labelled images of the target

@pytest.fixture(scope="module")
def few(world: Path) -> Path:
    """A few more images of the target's kind, with labels."""
    for path in write_digits(world / "few", start=70, each=3).rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)) // 2 + 60).save(path)
    return world / "few"


TWICE = {"method": "source_then_target", "epochs": 1, "target_epochs": 8, "batch_size": 12}


def test_labelled_images_of_the_target_are_learned_from_and_recorded(world, few, quick, tmp_path):
    found = made(world, tmp_path / "joint", method="probe", target_train=str(few))
    alone = made(world, tmp_path / "alone", method="probe")
    assert read(found, "data.json")["target_train"]["images"] == 9
    assert len(found.samples) == len(quick.samples)
    of_target = [run.predictions.query("split == 'target'") for run in (found, alone)]
    assert not np.allclose(of_target[0]["confidence"], of_target[1]["confidence"])
    assert all(receipt.intact for receipt in hs.verify(found))


def test_a_changed_labelled_image_is_found_and_stops_a_resume(world, few, tmp_path):
    moved = shutil.copytree(few, tmp_path / "few")
    found = made(world, tmp_path / "joint", method="probe", target_train=str(moved))
    path = next(moved.rglob("*.png"))
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    assert [receipt.what for receipt in hs.verify(found) if not receipt.intact] == [
        f"target image target_train/{path.relative_to(moved)}"]


def test_source_then_target_resumes_in_its_second_training_to_the_same_model(world, few, tmp_path):
    whole = made(world, tmp_path / "whole", method=[TWICE], target_train=str(few))
    assert list(whole.history["epoch"]) == list(range(1, 10))  # one on the source, eight on the target
    assert list(whole.history["val_loss"].isna()) == [False] + [True] * 8  # what is learned from is no validation
    cut = tmp_path / "cut"
    with pytest.raises(Interrupted):  # the training on the source has but 4 steps
        run(hs.Job.parse(settings(world, method=[TWICE], target_train=str(few))), cut,
            listen=kill_at_step(6, signal.SIGINT))
    resume(cut)
    assert not changed_metrics(whole, hs.load_run(cut))


def test_before_source_then_target_nothing_knows_the_labels_of_the_target(world, few, tmp_path):
    found = made(world, tmp_path / "twice", method=[TWICE], target_train=str(few))
    alone = made(world, tmp_path / "alone", method="probe")
    assert found.baselines["probe"] == alone.baselines.get("probe", alone.splits)


def test_source_then_target_needs_labelled_images(world, tmp_path):
    with pytest.raises(ConfigError, match="target_train=FOLDER"):
        made(world, tmp_path / "run", method=[TWICE])
