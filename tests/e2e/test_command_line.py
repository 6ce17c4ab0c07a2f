"""The verbs as a user types them: exit codes, one JSON object on standard output, errors without traceback."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import application
from tests.e2e.conftest import write_digits
from tests.training.killing import ended, is_over, typed

SMALL = ["--backbone", "efficientnet_lite0", "--set", "image_size=32", "--set", "fit=squash", "--set", "tracking=off"]


def headstart(*words: object, code: int = 0) -> Any:
    found = CliRunner().invoke(application(), list(map(str, words)))
    assert found.exit_code == code, found.stderr
    assert "Traceback" not in found.stderr
    return found


def test_adapt_prints_one_json_object_and_nothing_else(digits: Path, tmp_path: Path) -> None:
    found = headstart("adapt", digits, "--method", "probe", "--out", tmp_path / "run", "--json", *SMALL)
    printed = json.loads(found.stdout)
    assert printed["metrics"] == json.loads((tmp_path / "run" / "metrics.json").read_text())


def test_evaluate_predict_compare_verify_and_runs_read_a_run(probed: hs.Run, finetuned: hs.Run, digits: Path,
                                                            tmp_path: Path) -> None:
    more = write_digits(tmp_path / "more", start=40, each=8)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    image = digits / "digit 1" / "004.png"

    evaluated = json.loads(headstart("evaluate", probed, more, "--json").stdout)
    predicted = json.loads(headstart("predict", probed, image, broken, image, "--json").stdout)["predictions"]
    compared = json.loads(headstart("compare", probed, finetuned, "--json").stdout)["comparisons"]
    verified = json.loads(headstart("verify", probed, "--json").stdout)
    listed = json.loads(headstart("runs", probed.directory.parent, "--json").stdout)["runs"]

    right = [p.label == Path(p.image).parent.name for p in probed.predict(sorted(more.rglob("*.png")))]
    assert evaluated["metrics"]["all"]["accuracy"]["value"] == pytest.approx(sum(right) / len(right))
    assert [p["image"] for p in predicted] == [str(image), str(broken), str(image)]
    assert predicted[0] == predicted[2]
    assert predicted[0]["label"] == "digit 1"
    assert "broken.png" in predicted[1]["error"]
    assert compared[0]["difference"]["low"] <= compared[0]["difference"]["value"]
    assert verified["intact"]
    assert str(probed) in [run["run"] for run in listed]
    accuracy = probed.metrics["accuracy"].value
    assert f"accuracy {accuracy:.3f}" in headstart("runs", probed.directory.parent).stdout


def test_a_run_killed_before_it_wrote_anything_is_told_of_and_can_be_made_again(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock").write_text("1")  # as SIGKILL leaves it
    assert "killed before it wrote anything" in headstart("resume", out, code=2).output
    headstart("adapt", digits, "--method", "probe", "--out", out, *SMALL)
    assert hs.load_run(out).status == "finished"


def test_predict_writes_csv_with_a_column_per_class(probed: hs.Run, digits: Path, tmp_path: Path) -> None:
    headstart("predict", probed, digits / "digit 7", "--out", tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "image,label,error,p_digit 0,p_digit 1,p_digit 7"
    assert len(lines) == 21


@pytest.mark.parametrize(("words", "code", "message"), [
    (["adapt", "nowhere/"], 2, "nowhere/: no such file or folder"),
    (["runs", "nowhere"], 2, "nowhere: no such folder. Name one that holds runs."),
    (["adapt"], 2, "data: name a folder"),
    (["adapt", "DATA", "--method", "finetun"], 2, 'Did you mean "finetune"'),
    (["adapt", "DATA", "--backbone", "efficientnet_lite"], 2, "Did you mean"),
    (["adapt", "DATA", "--set", "image_sze=32"], 2, 'Did you mean "image_size"'),
    (["adapt", "DATA", "--set", "method.probe.l3=1"], 2, 'Did you mean "l2"'),
    (["adapt", "DATA", "--method", "finetune", "--set", "method.finetune.class_weights=effective", "--set",
      "method.finetune.sampling=balanced"], 2, "class_weights and sampling both correct the same imbalance"),
    (["adapt", "DATA", "--method", "finetune", "--set", "method.finetune.loss={loss: focal, alpha: 0.3}"], 2,
     "loss focal: alpha weighs present labels"),
    (["adapt", "DATA", "--method", "finetune", "--set", "method.finetune.loss=focl"], 2, 'Did you mean "focal"'),
    (["adapt", "DATA", "--set", "thresholds=f1"], 2, "an image of a classification data set gets its most probable"),
    (["adapt", "DATA", "--limit-time", "soon"], 2, "90s"),
    (["adapt", "DATA", "--config", "missing.yaml"], 2, "missing.yaml"),
    (["adapt", "DATA", "--set", "device=cuda"], 5, "device"),
    (["evaluate", "no-run"], 2, "there is no run here"),
    (["compare", "no-run", "no-run"], 2, "there is no run here"),
    (["unknown-verb"], 2, "unknown-verb"),
])
def test_mistakes_have_a_message_and_an_exit_code(words: list[str], code: int, message: str, digits: Path,
                                                  tmp_path: Path) -> None:
    command = [str(digits) if word == "DATA" else word for word in words]
    if command[0] == "adapt" and len(command) > 1:
        command += ["--out", str(tmp_path / "run"), "--set", "tracking=off"]
    assert message in headstart(*command, code=code).stderr


def test_a_run_is_the_same_from_yaml_and_from_options(digits: Path, probed: hs.Run, tmp_path: Path) -> None:
    config = tmp_path / "job.yaml"
    config.write_text(f"data: {digits}\nbackbone: efficientnet_lite0\nmethod: [probe]\nimage_size: 32\n"
                      "fit: squash\ntracking: off\nseed: 0\n")
    headstart("adapt", "--config", config, "--out", tmp_path / "run")
    again = hs.load_run(tmp_path / "run")
    assert again.job == probed.job
    assert again.metrics == probed.metrics


def killed(words: list[object], run: Path, sign: signal.Signals, epochs: int) -> int:
    """Start the command, send the signal once `epochs` epochs are in history.csv, and return the exit code."""
    child = typed(words, run.parent / "said.txt")
    history = run / "history.csv"
    while not is_over(child):
        if history.exists() and len(history.read_text().splitlines()) > epochs:
            os.kill(child, sign)
            break
        time.sleep(0.01)
    return ended(child)


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_stopped_by_a_signal_resumes_to_identical_weights(sign: signal.Signals, code: int, finetuned: hs.Run,
                                                                digits: Path, tmp_path: Path) -> None:
    words = ["adapt", digits, "--method", "finetune", "--set", "method.finetune.epochs=2", *SMALL]
    for attempt in range(3):  # on a busy machine the run may have ended before the signal came
        run = tmp_path / f"try {attempt}" / "run"
        if (found := killed([*words, "--out", run], run, sign, epochs=1)) != 0:
            break
    assert found == code
    assert hs.load_run(run).status == "interrupted"  # after SIGKILL too, though run.json could not be told
    assert json.loads(headstart("runs", run.parent, "--json").stdout)["runs"][0]["status"] == "interrupted"
    headstart("resume", run)
    expected = load_file(finetuned.directory / "model.safetensors")
    found = load_file(run / "model.safetensors")
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    assert hs.load_run(run).metrics == finetuned.metrics
    before = (run / "model.safetensors").stat().st_mtime_ns
    assert "nothing to resume" in headstart("resume", run).stderr
    assert (run / "model.safetensors").stat().st_mtime_ns == before


def test_init_from_maps_the_head_by_class_name(probed: hs.Run, tmp_path: Path) -> None:
    data = write_digits(tmp_path / "other", digits=(1, 4, 7), start=20)
    found = headstart("adapt", data, "--init-from", probed, "--method", "finetune", "--set",
                      "method.finetune.epochs=1", "--set", "tracking=off", "--out", tmp_path / "run")
    assert "2 classes kept by name (digit 1, digit 7), 1 new (digit 4)" in " ".join(found.stderr.split())
    assert [m.part_name for m in hs.load_run(tmp_path / "run").job.method] == ["finetune"]


def test_init_from_refuses_a_run_that_learned_from_the_test_images(probed: hs.Run, digits: Path,
                                                                   tmp_path: Path) -> None:
    words = ["adapt", digits, "--init-from", probed, "--method", "probe", "--set", "tracking=off"]
    error = headstart(*words, "--seed", 1, "--out", tmp_path / "other", code=3).stderr
    assert "in test here, in train there" in error
    assert "the same seed" in error
    assert not (tmp_path / "other").exists()
    headstart(*words, "--out", tmp_path / "same")


def test_init_from_says_when_the_run_learned_from_validation_images(digits: Path, probed: hs.Run,
                                                                    tmp_path: Path) -> None:
    table = pd.read_parquet(probed.directory / "samples.parquet")
    moved = tmp_path / "moved"
    for part, target in (("test", "test"), ("train", "val"), ("val", "train")):
        for path in table.query(f"split == '{part}'")["path"]:
            place = moved / target / Path(path).parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    found = headstart("adapt", moved, "--init-from", probed, "--method", "probe", "--set", "tracking=off", "--out",
                      tmp_path / "run")
    count = len(table.query("split == 'train'"))
    assert f"has learned from {count} of {count} validation images" in " ".join(found.stderr.split())


def test_nothing_is_mixed_with_what_is_there(probed: hs.Run, digits: Path, tmp_path: Path) -> None:
    data = write_digits(tmp_path / "own", each=6)
    before = sorted(data.rglob("*"))
    error = headstart("adapt", data, "--method", "probe", "--out", data, *SMALL, code=2).stderr
    assert "holds other things already (digit 0, digit 1, digit 7)" in " ".join(error.split())
    assert sorted(data.rglob("*")) == before
    error = headstart("tune", digits, "--method", "probe", "--trials", 1, "--out", probed.directory, code=2).stderr
    assert "holds other things already (backbone.json" in " ".join(error.split())
    assert not (probed.directory / "tune.json").exists()


def test_a_mistake_leaves_no_run_behind(digits: Path, tmp_path: Path) -> None:
    for words in ([digits, "--backbone", "vgg"], [digits / "digit 0"], [digits, "--backbone", "resnet18@none.pth"]):
        headstart("adapt", *words, "--out", tmp_path / "run", "--set", "tracking=off", code=2 if len(words) > 1 else 3)
        assert not (tmp_path / "run").exists()


def test_errors_are_one_json_object_where_json_is_asked_for(probed: hs.Run) -> None:
    found = json.loads(headstart("evaluate", probed, "nowhere", "--json", code=2).stdout)
    assert found["error"]["kind"] == "ConfigError"
    assert found["error"]["exit_code"] == 2


def test_predict_gives_a_missing_path_its_own_entry(probed: hs.Run, digits: Path, tmp_path: Path) -> None:
    image = digits / "digit 0" / "000.png"
    found = json.loads(headstart("predict", probed, tmp_path / "none.png", image, "--json").stdout)["predictions"]
    assert "none.png" in found[0]["error"]
    assert found[1]["label"] == "digit 0"
    headstart("predict", probed, image, "--out", tmp_path / "p.jsn", code=2)
