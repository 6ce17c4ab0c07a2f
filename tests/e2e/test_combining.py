"""Combining models end to end: interpolation, soup, distillation, as a user asks for them."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

import headstart as hs
from headstart.errors import ConfigError, DataError
from tests.e2e.conftest import SMALL
from tests.e2e.test_command_line import SMALL as OPTIONS
from tests.e2e.test_command_line import headstart


@pytest.fixture(scope="module")
def hotter(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    """The fine-tuned run's sibling: another learning rate, the same data and seed."""
    method = [{"method": "finetune", "epochs": 2, "lr_backbone": 1e-3}]
    return hs.adapt(digits, method=method, out=tmp_path_factory.mktemp("runs") / "hotter", **SMALL)


def test_a_soup_of_runs_is_proven_like_any_run_and_never_worse_on_validation(
        finetuned: hs.Run, hotter: hs.Run, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hotter.directory.parent)
    headstart("adapt", digits, "--method", "soup", "--set", f"method.soup.runs=[{finetuned},hotter]", "--out",
              tmp_path / "soup", *OPTIONS)
    soup = hs.load_run(tmp_path / "soup")
    best = max(run.splits["val"]["accuracy"].value for run in (finetuned, hotter))
    assert soup.splits["val"]["accuracy"].value >= best
    assert "accuracy" in soup.baselines["majority"]["test"]
    assert soup.record["methods"][-1]["parameters_trained"] == 0
    assert any("soup: begins with " in note["text"] for note in soup.record["notes"])
    # job.yaml names the runs so that the job can be done again from anywhere.
    monkeypatch.chdir(tmp_path)
    headstart("adapt", "--config", soup.directory / "job.yaml", "--out", tmp_path / "again")
    first, second = (load_file(path / "model.safetensors") for path in (soup.directory, tmp_path / "again"))
    assert all(second[name].equal(tensor) for name, tensor in first.items())


def test_a_soup_of_runs_on_another_split_is_refused_and_leaves_no_run_behind(
        finetuned: hs.Run, hotter: hs.Run, digits: Path, tmp_path: Path) -> None:
    method = {"method": "soup", "runs": [finetuned.directory, hotter.directory]}
    with pytest.raises(DataError, match="Use the same data and the same seed"):
        hs.adapt(digits, method=method, seed=1, out=tmp_path / "run", **SMALL)
    with pytest.raises(ConfigError, match="prepares pictures in another way than this job: size 32 and 48"):
        hs.adapt(digits, method=method, out=tmp_path / "run", **{**SMALL, "image_size": 48})
    with pytest.raises(DataError, match="does not help with --folds"):
        hs.adapt(digits, method=method, folds=3, out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_a_soup_is_readable_after_its_runs_are_gone(finetuned: hs.Run, hotter: hs.Run, digits: Path,
                                                    tmp_path: Path) -> None:
    runs = [shutil.copytree(run.directory, tmp_path / name) for name, run in (("a", finetuned), ("b", hotter))]
    soup = hs.adapt(digits, method={"method": "soup", "runs": runs}, out=tmp_path / "soup", **SMALL)
    for run in runs:
        shutil.rmtree(run)
    assert hs.load_run(soup.directory).job.method[0].part_name == "soup"
    assert soup.predict([digits / "digit 1" / "004.png"])[0].label == "digit 1"


def test_finetune_interpolates_from_the_probe(digits: Path, finetuned: hs.Run, tmp_path: Path) -> None:
    method = [{"method": "finetune", "epochs": 2, "interpolate": "validation"}]
    run = hs.adapt(digits, method=method, out=tmp_path / "run", **SMALL)
    told = [note["text"] for note in run.record["notes"] if "is best on validation" in note["text"]]
    assert len(told) == 1
    assert run.splits["val"]["accuracy"].value >= finetuned.splits["val"]["accuracy"].value




def test_a_small_student_learns_from_a_larger_run(digits: Path, tmp_path: Path) -> None:
    teacher = hs.adapt(digits, method="probe", out=tmp_path / "teacher",
                       **{**SMALL, "backbone": "efficientnet_lite1", "image_size": 48})
    headstart("adapt", digits, "--method", "distill", "--set", f"method.distill.teacher={teacher}", "--set",
              "method.distill.epochs=1", "--out", tmp_path / "student", *OPTIONS)
    student = hs.load_run(tmp_path / "student")
    assert [method.part_name for method in student.job.method] == ["probe", "distill"]
    assert student.model.backbone.spec.architecture == "efficientnet_lite0"
    assert student.metrics["accuracy"].value >= 0.9
    assert list(student.history["method"]) == ["distill"]
