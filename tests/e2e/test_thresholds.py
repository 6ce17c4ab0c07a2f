"""Thresholds per class, from the table of labels to `predict`: chosen on validation, kept in the model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.metrics import f1_score
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import application
from headstart.model import Model
from tests.e2e.conftest import SMALL

CLASSES = ["dark", "loop", "seven"]


def write_labelled_digits(folder: Path, *, count: int = 120) -> Path:
    """Real digits with up to three labels each, one of them rare, one of them hard."""
    images, digits = load_digits(return_X_y=True)
    dark = images.sum(axis=1) < np.median(images.sum(axis=1))
    folder.mkdir(parents=True)
    rows = ["image,dark,loop,seven"]
    for n in range(count):
        Image.fromarray((images[n].reshape(8, 8) * 15).astype("uint8")).resize((40, 40)).save(folder / f"{n:03d}.png")
        rows.append(f"{n:03d}.png,{int(dark[n])},{int(digits[n] in (0, 6, 8, 9))},{int(digits[n] == 7)}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labelled_digits(tmp_path_factory.mktemp("data") / "several")


@pytest.fixture(scope="module")
def half(table: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(table, method="probe", out=tmp_path_factory.mktemp("runs") / "half", **SMALL)


@pytest.fixture(scope="module")
def chosen(table: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(table, method="probe", thresholds="f1", out=tmp_path_factory.mktemp("runs") / "f1", **SMALL)


def of(run: hs.Run, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, predicted bool [N, C] and probabilities [N, C] of predictions.parquet."""
    rows = run.predictions.query(f"split == '{split}'")
    hot = [np.array([[c in row for c in range(3)] for row in rows[name]]) for name in ("label", "predicted")]
    return hot[0], hot[1], np.stack(rows["probabilities"].to_list())


def test_no_other_thresholds_have_a_better_f1_on_validation(chosen: hs.Run, half: hs.Run) -> None:
    labels, predicted, probabilities = of(chosen, "val")
    for c in range(3):
        every = [f1_score(labels[:, c], probabilities[:, c] >= t) for t in [0.5, *np.unique(probabilities[:, c])]]
        assert f1_score(labels[:, c], predicted[:, c]) == pytest.approx(max(every))
    assert chosen.model.task.threshold != (0.5, 0.5, 0.5)
    np.testing.assert_array_equal(predicted, probabilities >= chosen.model.task.threshold)
    assert chosen.splits["val"]["f1_macro"].value > half.splits["val"]["f1_macro"].value
    np.testing.assert_array_equal(of(half, "test")[2], of(chosen, "test")[2])


def test_metrics_details_and_report_tell_of_the_thresholds(chosen: hs.Run, half: hs.Run) -> None:
    labels, predicted, _ = of(chosen, "test")
    for average in ("macro", "micro"):
        assert chosen.metrics[f"f1_{average}"].value == pytest.approx(
            f1_score(labels, predicted, average=average, zero_division=0))
    details = json.loads((chosen.directory / "details.json").read_text())
    assert details["test"]["threshold"] == list(chosen.model.task.threshold)
    assert json.loads((half.directory / "details.json").read_text())["test"]["threshold"] == 0.5
    page = " ".join((chosen.directory / "report.html").read_text().split())
    assert f"best F1 on the validation images: dark {chosen.model.task.threshold[0]:.3f}, " in page
    assert "At a probability of 0.5 or more." in (half.directory / "report.html").read_text()


def test_every_method_of_the_run_gets_thresholds_of_its_own(chosen: hs.Run, half: hs.Run) -> None:
    notes = [note["text"] for note in chosen.record["notes"] if "chosen for F1" in note["text"]]
    assert [note.partition(":")[0] for note in notes] == ["majority", "probe"]
    # What always answers the same gives a label to all images or to none; here all is better for each.
    labels = of(chosen, "val")[0]
    expected = f1_score(labels, np.ones_like(labels), average="macro")
    assert chosen.baselines["majority"]["val"]["f1_macro"].value == pytest.approx(expected)
    assert half.baselines["majority"]["val"]["f1_macro"].value < expected


def test_the_model_keeps_its_thresholds_and_predicts_by_them(chosen: hs.Run, table: Path, tmp_path: Path) -> None:
    images = sorted(table.parent.glob("*.png"))[:30]
    found = CliRunner().invoke(application(), ["predict", str(chosen), *map(str, images), "--json"])
    assert found.exit_code == 0
    thresholds = dict(zip(CLASSES, chosen.model.task.threshold, strict=True))
    for prediction in json.loads(found.stdout)["predictions"]:
        given = [name for name in CLASSES if prediction["probabilities"][name] >= thresholds[name]]
        assert prediction["label"] == given
    chosen.model.save(tmp_path / "again.safetensors")
    assert Model.load(tmp_path / "again.safetensors").task == chosen.model.task


def test_a_model_file_without_settings_of_its_task_still_loads(chosen: hs.Run, tmp_path: Path) -> None:
    with safe_open(chosen.directory / "model.safetensors", framework="pt") as file:
        header = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    assert json.loads(header.pop("task_settings"))["threshold"] == list(chosen.model.task.threshold)
    save_file(tensors, tmp_path / "old.safetensors", metadata=header)
    old = Model.load(tmp_path / "old.safetensors")
    assert old.task.threshold == 0.5
    assert replace(old, backbone=chosen.model.backbone, head=chosen.model.head, task=chosen.model.task) == chosen.model


def test_evaluate_compare_and_reproduce_use_the_thresholds(chosen: hs.Run, half: hs.Run, table: Path,
                                                           tmp_path: Path) -> None:
    rows = table.read_text().splitlines()
    test = set(chosen.predictions.query("split == 'test'")["id"])
    names = {Path(row.partition(",")[0]).name: row for row in rows[1:]}
    kept = [names[Path(str(name)).name] for name in sorted(test)]
    (table.parent / "test.csv").write_text("\n".join([rows[0], *kept]))
    found = hs.evaluate(chosen, table.parent / "test.csv")["all"]
    (table.parent / "test.csv").unlink()
    assert found["f1_macro"].value == pytest.approx(chosen.metrics["f1_macro"].value)
    gap = hs.compare([half, chosen], metric="f1_macro")[0]["difference"]["value"]
    assert gap == pytest.approx(chosen.metrics["f1_macro"].value - half.metrics["f1_macro"].value)
    assert hs.reproduce(chosen, out=tmp_path / "again").splits == chosen.splits
