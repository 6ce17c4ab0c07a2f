"""The job: what of it is settled when it is read, so that it means the same later and elsewhere."""

from pathlib import Path

import pytest
import yaml

from headstart.errors import ConfigError
from headstart.job import Job, build_job


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder runs/before in the folder where the job is written."""
    folder = tmp_path / "home" / "runs" / "before"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "home")
    return folder.resolve()


@pytest.mark.parametrize("typed", ["runs/before", Path("runs/before"), "../home/runs/before"])
def test_the_run_to_start_from_is_found_again_from_another_folder(before, tmp_path, monkeypatch, typed):
    job = build_job({"data": "x", "init_from": typed})
    monkeypatch.chdir(tmp_path)
    assert Job.parse(yaml.safe_load(job.to_yaml())).init_from == str(before)


def test_a_run_that_is_not_there_is_named_as_it_was_typed(before):
    assert build_job({"data": "x", "init_from": "runs/befor"}).init_from == "runs/befor"
    assert build_job({"data": "x"}).init_from is None


@pytest.mark.parametrize("baselines", ["finetune", "probe", "scratch,scratch"])
def test_a_baseline_that_is_called_like_another_method_is_refused(baselines) -> None:
    with pytest.raises(ConfigError, match="stands among the baselines and in the chain, or twice"):
        build_job({"data": "x", "method": "finetune", "baselines": baselines})
    assert build_job({"data": "x", "method": "majority"}).baselines


@pytest.mark.parametrize(("words", "message"), [
    (["width=0.5"], r'It is a setting of a detector: detector\.width \(.*yolox have it\)'),
    (["size=640"], r'It is a setting of slices: slices\.size\.'),
    (["augment=strong"], r'unknown setting "augment"\. It is a setting of a method: method\.finetune\.augment'),
    (["method.0.epochs=0"], "^method probe: epochs: Input should be greater"),
    (["slices=abc"], r"^slices: write a number of pixels, or \{size: 640"),
    (["detector=YOLOX"], 'unknown detector "YOLOX"\\. Did you mean "yolox"'),
    (["detector.name=yolox"], r"^detector: write a name, or .* --set detector\.setting=value"),
])
def test_what_is_wrong_is_said_once_and_where_it_belongs(words, message) -> None:
    with pytest.raises(ConfigError, match=message):
        build_job({"data": "x"}, assignments=words)


def test_a_setting_that_is_given_twice_and_differently_is_refused() -> None:
    same = build_job({"data": "d", "backbone": "resnet18"}, assignments=["backbone=resnet18", "image_size=64"])
    assert (same.backbone, same.image_size) == ("resnet18", 64)
    with pytest.raises(ConfigError, match=r"backbone: given twice, as resnet18 and as `--set backbone=resnet34`"):
        build_job({"data": "d", "backbone": "resnet18"}, assignments=["backbone = resnet34"])


def test_an_unknown_method_is_told_with_the_alignments_beside_the_methods() -> None:
    with pytest.raises(ConfigError, match=r'unknown method "dannn". Did you mean "dann"\? Choices: .*dann.*transfer'):
        Job.parse({"data": "d", "method": "dannn"})
