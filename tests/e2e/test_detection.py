"""Every verb on a small set with boxes: coloured rectangles, written as COCO."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_model
from typer.testing import CliRunner

import headstart as hs
from headstart.box_predictions import predict_boxes
from headstart.cli import application
from headstart.data.slices import Slices
from headstart.errors import ConfigError, HeadstartError
from headstart.job import Job, build_job
from headstart.opening import open_job
from headstart.runs import load_run
from headstart.starting import as_before
from tests.detectors.small_transformers import tiny
from tests.e2e.test_run_directory import FILES

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30), "person": (240, 200, 160)}
SMALL = {"backbone": "efficientnet_lite0", "image_size": 64, "tracking": "off"}
METHOD = [{"method": "probe", "epochs": 2}, {"method": "finetune", "epochs": 2, "augment": "none"}]


def write_boxes(folder: Path, *, classes: tuple[str, ...] = ("red", "blue"), count: int = 20, start: int = 0) -> Path:
    """Write noisy pictures of 64 pixels with a rectangle of each class; every fifth picture has none."""
    folder.mkdir(parents=True, exist_ok=True)
    images, records = [], []
    for number in range(start, start + count):
        rng = np.random.default_rng(number)
        pixels = rng.integers(90, 160, (64, 64, 3)).astype(np.uint8)
        width = 64 // len(classes)
        for place, name in enumerate(classes if number % 5 else ()):
            left, top = place * width + int(rng.integers(0, width // 4)), int(rng.integers(0, 30))
            wide, high = int(rng.integers(width // 2, width * 3 // 4)), int(rng.integers(16, 34))
            pixels[top:top + high, left:left + wide] = COLOURS[name]
            records.append({"id": len(records) + 1, "image_id": number, "category_id": place + 3, "iscrowd": 0,
                            "bbox": [left, top, wide, high], "area": wide * high})
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        images.append({"id": number, "file_name": f"{number:03d}.png", "width": 64, "height": 64})
    categories = [{"id": place + 3, "name": name} for place, name in enumerate(classes)]
    (folder / "annotations.json").write_text(json.dumps(
        {"images": images, "categories": categories, "annotations": records}))
    return folder


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_boxes(tmp_path_factory.mktemp("boxes") / "marked")


@pytest.fixture(scope="module")
def detector(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    # FCOS tells boxes after two epochs already; YOLOX, which is sure of none by then, tells none.
    return hs.adapt(marked, method=METHOD, out=tmp_path_factory.mktemp("detectors") / "finetune", detector="fcos",
                    **SMALL)


@pytest.fixture(scope="module")
def other(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    method = [{"method": "probe", "epochs": 1}]
    return hs.adapt(marked, method=method, out=tmp_path_factory.mktemp("detectors") / "probe", baselines="",
                    detector="ssdlite", **SMALL)


def test_a_run_directory_is_whole(detector: hs.Run) -> None:
    assert {path.name for path in detector.directory.iterdir() if not path.name.startswith(".")} == FILES | {
        "history.csv"}
    assert detector.status == "finished"
    assert detector.data["task"] == "detection"
    assert "majority" not in detector.baselines


def test_metrics_have_intervals_and_details(detector: hs.Run) -> None:
    splits = json.loads((detector.directory / "metrics.json").read_text())
    assert {"ap", "ap50", "ap75"} <= set(splits["test"])
    for metric in splits["test"].values():
        assert metric["value"] is None or metric["low"] <= metric["value"] <= metric["high"]
    assert set(json.loads((detector.directory / "details.json").read_text())) == {"val", "test"}


def test_predictions_hold_every_image_of_validation_and_test(detector: hs.Run) -> None:
    table = detector.predictions
    assert set(table["split"]) == {"val", "test"}
    assert {"boxes", "scores", "labels", "true_boxes", "true_labels"} <= set(table.columns)
    samples = detector.samples
    assert sorted(table["id"]) == sorted(samples.loc[samples["split"] != "train", "id"])


def test_the_report_is_of_detection(detector: hs.Run) -> None:
    page = (detector.directory / "report.html").read_text()
    assert "detection" in page
    assert "AP" in page


def test_thresholds_are_stored_in_the_model(detector: hs.Run) -> None:
    thresholds = detector.model.task.thresholds  # type: ignore[attr-defined]
    assert len(thresholds) == 2
    assert all(0 <= value <= 1 for value in thresholds)


def test_a_loaded_model_finds_what_is_stored(detector: hs.Run) -> None:
    rows = detector.predictions.query("split == 'test'")
    for found, stored in zip(hs.predict(detector.directory, list(rows["path"])), rows.itertuples(), strict=True):
        np.testing.assert_allclose(found.found.scores, np.asarray(stored.scores), atol=1e-3)  # type: ignore[union-attr]


def test_evaluate_on_new_images_gives_finite_metrics(detector: hs.Run, tmp_path: Path) -> None:
    found = hs.evaluate(detector, write_boxes(tmp_path / "new", count=6, start=100))
    assert set(found) == {"all"}
    assert math.isfinite(found["all"]["ap"].value)
    assert math.isfinite(found["all"]["ap50"].value)


def test_evaluate_matches_classes_by_name(detector: hs.Run, tmp_path: Path) -> None:
    straight = hs.evaluate(detector, write_boxes(tmp_path / "one", count=6, start=100))
    folder = write_boxes(tmp_path / "other", count=6, start=100)
    value = json.loads((folder / "annotations.json").read_text())
    names = {category["id"]: 10 - category["id"] for category in value["categories"]}
    for category in value["categories"]:
        category["id"] = names[category["id"]]
    for record in value["annotations"]:
        record["category_id"] = names[record["category_id"]]
    value["categories"].reverse()
    (folder / "annotations.json").write_text(json.dumps(value))
    assert hs.evaluate(detector, folder)["all"]["ap"].value == pytest.approx(straight["all"]["ap"].value)


def command(*words: object) -> tuple[int, str]:
    answer = CliRunner().invoke(application(), [str(word) for word in words])
    return answer.exit_code, answer.stdout


@pytest.fixture(scope="module")
def asked(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    broken = tmp_path_factory.mktemp("asked") / "broken.png"
    broken.write_bytes(b"no picture")
    return [marked / "001.png", broken, marked / "002.png"]


def test_predict_writes_json_with_an_error_for_a_broken_image(detector: hs.Run, asked: list[Path],
                                                              tmp_path: Path) -> None:
    code, _ = command("predict", detector.directory, *asked, "--out", tmp_path / "found.json")
    assert code == 0
    value = json.loads((tmp_path / "found.json").read_text())
    assert [image["file_name"] for image in value["images"]] == [str(path) for path in asked]
    assert [image["error"] is None for image in value["images"]] == [True, False, True]
    assert [category["name"] for category in value["categories"]] == list(detector.data["classes"])


def test_predict_writes_csv_with_a_row_for_each_image(detector: hs.Run, asked: list[Path], tmp_path: Path) -> None:
    assert command("predict", detector.directory, *asked, "--out", tmp_path / "found.csv")[0] == 0
    lines = (tmp_path / "found.csv").read_text().splitlines()
    assert lines[0] == "image,label,score,left,top,right,bottom,error"
    assert all(any(line.startswith(str(path)) for line in lines) for path in asked)


def test_predict_fills_a_folder_with_every_format(detector: hs.Run, asked: list[Path], tmp_path: Path) -> None:
    assert command("predict", detector.directory, *asked, "--out", tmp_path / "found")[0] == 0
    answer = CliRunner().invoke(application(), [
        "predict", str(detector.directory), str(asked[0]), "--out", str(tmp_path / "one")])
    assert f"written to {tmp_path / 'one'}" in " ".join(answer.stderr.split())
    written = {str(path.relative_to(tmp_path / "found")) for path in (tmp_path / "found").rglob("*") if path.is_file()}
    assert written == {"predictions.json", "coco_results.json", "predictions.csv", "labels/001.txt", "labels/002.txt",
                       "labels/classes.txt", "pictures/001.jpg", "pictures/002.jpg"}


def test_compare_tells_the_paired_difference(detector: hs.Run, other: hs.Run) -> None:
    found = hs.compare([detector, other])[0]
    assert found["metric"] == "ap"
    expected = other.metrics["ap"].value - detector.metrics["ap"].value
    assert found["difference"]["value"] == pytest.approx(expected, abs=1e-9)
    assert found["difference"]["low"] <= found["difference"]["value"] <= found["difference"]["high"]


def test_receipts_of_a_detector_hold(detector: hs.Run) -> None:
    assert all(receipt.intact for receipt in hs.verify(detector)), hs.verify(detector)


def test_the_same_command_gives_the_same_numbers(other: hs.Run, tmp_path: Path) -> None:
    again = hs.reproduce(other, out=tmp_path / "again")
    assert json.loads((again.directory / "metrics.json").read_text()) == json.loads(
        (other.directory / "metrics.json").read_text())
    assert again.model.backbone.weights_hash() == other.model.backbone.weights_hash()


def test_a_start_from_a_run_keeps_the_known_classes(other: hs.Run, tmp_path: Path) -> None:
    data = write_boxes(tmp_path / "more", classes=("green", "red", "blue"), count=14, start=300)
    notes: list[str] = []
    run = hs.adapt(data, init_from=str(other.directory), method=[{"method": "probe", "epochs": 1}], baselines="",
                   out=tmp_path / "run", tracking="off", listen=lambda event: notes.append(getattr(event, "text", "")))
    assert any("2 classes kept by name" in note and "1 new (green)" in note for note in notes), notes
    assert run.model.task.detector.part_name == "ssdlite"  # type: ignore[attr-defined]
    assert len(run.model.task.thresholds) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(("settings", "said"), [
    ({"image_size": 128}, "image_size 128: .* has 64, which a run that starts from it keeps"),
    ({"detector": "fcos"}, "detector fcos: .* has ssdlite as it is"),
    ({"backbone": "efficientnet_lite1"}, "backbone efficientnet_lite1: .* has efficientnet_lite0"),
    ({"channels": 1}, "channels 1: .* has 3"),
])
def test_what_a_run_that_starts_from_another_cannot_change_is_refused(other: hs.Run, marked: Path,
                                                                      settings: dict[str, object], said: str) -> None:
    job = build_job({"data": str(marked), "init_from": str(other.directory), "method": "probe", **settings})
    with pytest.raises(ConfigError, match=said):
        open_job(job, None, lambda event: None)


def test_a_run_that_starts_from_another_tells_its_detector_and_judges_boxes_by_its_size(other: hs.Run,
                                                                                        marked: Path) -> None:
    told: list[str] = []
    job = build_job({"data": str(marked), "init_from": str(other.directory), "method": "probe", "image_size": 64})
    opened = open_job(job, None, lambda event: told.append(getattr(event, "text", "")))
    assert "detector ssdlite on pictures of 64 pixels on their longer side." in told
    small = next(finding for finding in opened.findings if finding["kind"] == "box_small")
    assert "an input of 64 pixels" in small["text"]


def test_a_run_that_starts_from_another_takes_down_what_it_takes_over(other: hs.Run, marked: Path) -> None:
    job = build_job({"data": str(marked), "init_from": str(other.directory), "method": "probe"})
    opened = open_job(job, None, lambda event: None).job
    assert (opened.image_size, opened.fit, opened.channels, opened.slices) == (64, "pad", 3, None)
    assert opened.backbone == "efficientnet_lite0"


def test_a_run_of_another_task_is_no_start(other: hs.Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(6):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.random.default_rng(number + 6 * (name == "b")).integers(
                0, 255, (32, 32, 3), np.uint8)).save(path)
    job = build_job({"data": str(tmp_path), "init_from": str(other.directory), "method": "probe"})
    with pytest.raises(ConfigError, match=r"is a run of detection, and .* is data for classification"):
        open_job(job, None, lambda event: None)


@pytest.mark.parametrize(("name", "said"), [("yolox_s", "its weights come from a file"),
                                            ("transformers/rt_detr", "an architecture without weights")])
def test_weights_that_nobody_has_are_told_before_the_pictures_are_read(name: str, said: str) -> None:
    with pytest.raises(HeadstartError, match=said):
        open_job(Job.parse({"data": "nowhere", "backbone": name}), None, lambda event: None)


def test_slices_of_the_run_before_keep_what_is_not_set_anew(other: hs.Run) -> None:
    before = replace(other.model, task=other.model.task.model_copy(
        update={"slices": Slices(size=96, overlap=0.3, merge="wbf")}))
    job = Job.parse({"data": "boxes.csv", "slices": {"overlap": 0.1}})
    assert as_before(job, before).slices == Slices(size=96, overlap=0.1, merge="wbf")
    assert as_before(Job.parse({"data": "boxes.csv"}), before).slices == Slices(size=96, overlap=0.3, merge="wbf")


def test_a_missing_file_of_weights_is_told_before_the_pictures_are_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"yolox_s\.pth: there is no such file of weights"):
        open_job(Job.parse({"data": "nowhere", "backbone": f"yolox_s@{tmp_path / 'yolox_s.pth'}"}), None,
                 lambda event: None)


@pytest.mark.parametrize(("settings", "message"), [
    ({"method": "auto"}, "advise: not for detection yet"),
    ({"folds": 3}, "folds: not for detection yet"),
    ({"fit": "crop"}, "fit crop: a model for detection sees the whole picture"),
    ({"method": "lora"}, "method lora can't do detection. Methods that can: "),
    ({"thresholds": "f1"}, "thresholds f1"),
    ({"method": {"method": "probe", "l2": 0.1}}, "method probe: l2: no effect on detection. Leave it out"),
])
def test_what_detection_has_not_is_refused(marked: Path, tmp_path: Path, settings: dict[str, object],
                                           message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hs.adapt(marked, out=tmp_path / "run", **{**SMALL, **settings})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("settings", "words"), [
    ({}, "detector yolox on pictures of 320 pixels on their longer side: what two cores train in minutes. Small"),
    ({"image_size": 64, "detector": "ssdlite"}, "detector ssdlite on pictures of 64 pixels on their longer side."),
])
def test_the_choice_of_detector_and_size_is_told(marked: Path, settings: dict[str, object], words: str) -> None:
    told: list[str] = []
    job = build_job({"data": str(marked), "method": "probe", "backbone": "efficientnet_lite0", **settings})
    open_job(job, None, lambda event: told.append(getattr(event, "text", "")))
    assert any(text.startswith(words) for text in told)


def test_a_published_detector_from_a_file_keeps_the_classes_that_it_knows(tmp_path: Path) -> None:
    torch.manual_seed(0)
    known = get_model("ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None)
    torch.save(known.state_dict(), tmp_path / "coco.pth")
    data = write_boxes(tmp_path / "data", classes=("person", "blue"))
    told: list[str] = []
    run = hs.adapt(data, backbone=f"torchvision/ssdlite320_mobilenet_v3_large@{tmp_path / 'coco.pth'}", image_size=64,
                   method=[{"method": "probe", "epochs": 1, "lr_head": 1e-9},
                           {**METHOD[1], "epochs": 1, "lr_backbone": 1e-9, "lr_head": 1e-9}],
                   baselines="", tracking="off", out=tmp_path / "run",
                   listen=lambda event: told.append(getattr(event, "text", "")))
    assert "head: 1 classes kept by name (person), 1 new (blue)" in told
    head, rows = run.model.head.model.state_dict(), "head.classification_head.module_list.0.1.bias"
    mine, theirs = head[rows].view(6, 3), known.state_dict()[rows].view(6, 91)
    # The anchors' rows of the background and of persons; classes stand in the order of their names.
    person = 1 + run.model.classes.index("person")
    assert torch.allclose(mine[:, [0, person]], theirs[:, [0, 1]], atol=1e-6)
    (tmp_path / "coco.pth").unlink()
    again = load_run(tmp_path / "run").model
    assert run.model.preprocessing == again.preprocessing
    one = sorted(data.glob("*.png"))[:2]
    for a, b in zip(predict_boxes(run.model, one), predict_boxes(again, one), strict=True):
        assert a.found is not None
        assert b.found is not None
        assert np.array_equal(a.found.boxes, b.found.boxes)


def test_a_published_set_predictor_is_adapted_from_the_folder_of_its_library(tmp_path: Path) -> None:
    known = tiny("rt_detr")
    known.save_pretrained(tmp_path / "own")
    data = write_boxes(tmp_path / "data", classes=("person", "blue"))
    told: list[str] = []
    run = hs.adapt(data, backbone=f"transformers/rt_detr@{tmp_path / 'own'}", image_size=64,
                   method=[{"method": "probe", "epochs": 1, "lr_head": 1e-9},
                           {**METHOD[1], "epochs": 1, "lr_backbone": 1e-9, "lr_head": 1e-9}],
                   baselines="", tracking="off", out=tmp_path / "run",
                   listen=lambda event: told.append(getattr(event, "text", "")))
    assert "head: 1 classes kept by name (person), 1 new (blue)" in told
    person, rows = run.model.classes.index("person"), "model.enc_score_head.weight"
    assert torch.allclose(run.model.head.model.state_dict()[rows][person], known.state_dict()[rows][1], atol=1e-5)
    shutil.rmtree(tmp_path / "own")
    again = load_run(tmp_path / "run").model
    assert again.preprocessing == run.model.preprocessing
    one = sorted(data.glob("*.png"))[:2]
    for a, b in zip(predict_boxes(run.model, one), predict_boxes(again, one), strict=True):
        assert a.found is not None
        assert b.found is not None
        assert len(a.found.boxes)
        assert np.array_equal(a.found.boxes, b.found.boxes)
    with pytest.raises(ConfigError, match="there is no such file of weights"):
        hs.reproduce(run, out=tmp_path / "again")


def test_a_detector_is_refused_for_whole_images(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="detector fcos: has no effect on classification"):
        hs.adapt(digits, detector="fcos", method="probe", out=tmp_path / "run", **SMALL)


def test_settings_of_a_detectors_probe_are_refused_for_whole_images(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="method probe: epochs and lr_head: no effect on classification"):
        hs.adapt(digits, method={"method": "probe", "epochs": 3, "lr_head": 1e-4}, out=tmp_path / "run", **SMALL)


def test_a_time_limit_ends_a_detectors_training_with_a_whole_run(marked: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    run = hs.adapt(marked, method=[{"method": "probe", "epochs": 1}, {"method": "finetune", "epochs": 5_000}],
                   limit_time=10, baselines="", out=tmp_path / "run",
                   listen=lambda event: notes.append(getattr(event, "text", "")), **SMALL)
    assert run.status == "finished"
    assert any("finetune: the time limit ends training after" in note for note in notes), notes
    assert "ap" in run.metrics
