"""What a finished run leaves behind, and that it is true."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

import headstart as hs
from headstart.errors import DataError
from headstart.files import sha256_file
from tests.e2e.conftest import SMALL

FILES = {"job.yaml", "data.json", "samples.parquet", "backbone.json", "environment.json", "metrics.json",
         "baselines.json", "details.json", "watch.json", "comparison.json", "predictions.parquet",
         "model.safetensors", "run.json", "manifest.json", "report.html"}


def test_a_run_directory_holds_every_file_and_no_leftovers(finetuned: hs.Run) -> None:
    found = {path.name for path in finetuned.directory.iterdir() if not path.name.startswith(".")}
    assert found == FILES | {"history.csv"}


def test_metrics_json_has_value_and_interval_for_every_metric(probed: hs.Run) -> None:
    splits = json.loads((probed.directory / "metrics.json").read_text())
    assert set(splits) == {"val", "test"}
    for metric in splits["test"].values():
        assert set(metric) == {"value", "low", "high"}
        assert metric["value"] is None or metric["low"] <= metric["value"] <= metric["high"]


def test_metrics_agree_with_scikit_learn_on_the_predictions(probed: hs.Run) -> None:
    test = probed.predictions.query("split == 'test'")
    probabilities = np.stack(test["probabilities"].to_list())
    assert probed.metrics["accuracy"].value == pytest.approx(accuracy_score(test["label"], test["predicted"]))
    assert probed.metrics["log_loss"].value == pytest.approx(
        log_loss(test["label"], probabilities, labels=[0, 1, 2]), abs=1e-6)


def test_the_probe_beats_the_majority_on_real_digits(probed: hs.Run) -> None:
    assert probed.metrics["accuracy"].value >= 0.9
    assert probed.baselines["majority"]["test"]["accuracy"].value <= 0.5


def test_a_finetune_names_probe_and_majority_as_baselines(finetuned: hs.Run) -> None:
    assert set(finetuned.baselines) == {"majority", "probe"}
    assert set(finetuned.history["method"]) == {"finetune"}
    assert list(finetuned.history["epoch"]) == sorted(finetuned.history["epoch"])


def test_predict_gives_the_stored_probabilities_again(finetuned: hs.Run) -> None:
    test = finetuned.predictions.query("split == 'test'")
    again = finetuned.predict(list(test["path"]))
    stored = np.stack(test["probabilities"].to_list())
    np.testing.assert_allclose([list(p.probabilities.values()) for p in again], stored, atol=1e-4)


def test_samples_carry_the_hash_of_every_image(probed: hs.Run) -> None:
    samples = pd.read_parquet(probed.directory / "samples.parquet")
    assert len(samples) == 60
    assert [sha256_file(Path(path)) for path in samples["path"]] == list(samples["sha256"])


def test_the_job_is_written_resolved_and_reads_back_equal(probed: hs.Run) -> None:
    assert probed.job.backbone == "efficientnet_lite0"
    assert [method.part_name for method in probed.job.method] == ["probe"]
    assert hs.Job.parse(probed.job.model_dump(mode="json")) == probed.job


def test_a_second_run_into_the_same_folder_is_refused(probed: hs.Run, digits: Path) -> None:
    with pytest.raises(hs.HeadstartError, match="there is a run here already"):
        hs.adapt(digits, out=probed.directory)


def test_an_error_of_ours_leaves_a_run_that_says_it_failed(digits: Path, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("headstart.run.prove", broken)
    with pytest.raises(ZeroDivisionError):
        hs.adapt(digits, method="probe", out=tmp_path / "run", **SMALL)
    assert hs.load_run(tmp_path / "run").status == "failed"


def test_a_split_without_weight_is_refused_before_anything_runs(digits: Path, tmp_path: Path) -> None:
    data = hs.load_data(digits)
    parts = ["train", "train", "train", "val", "test"] * len(data)
    samples = tuple(dataclasses.replace(s, split=p, weight=float(p != "val"))
                    for s, p in zip(data.samples, parts, strict=False))
    with pytest.raises(DataError, match="every image of the val split has weight 0"):
        hs.adapt(dataclasses.replace(data, samples=samples), method="probe", out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()
