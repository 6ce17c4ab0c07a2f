"""Every verb on a small set with masks: coloured rectangles on noise."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import application
from headstart.data.pixel_classes import pixel_classes
from headstart.errors import ConfigError, DataError
from headstart.job import build_job
from headstart.metrics import boundaries, masks
from headstart.metrics.boundaries import boundaries_of, boundary_scorer, together
from headstart.metrics.masks import confusion_of, mask_metrics, overlaps_of
from headstart.opening import open_job
from headstart.runs import load_run
from tests.e2e.test_run_directory import FILES

COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30)}
SMALL = {"backbone": "efficientnet_lite0", "image_size": 64, "tracking": "off",
         "segmenter": {"segmenter": "unet", "width": 16}}
METHOD = [{"method": "probe", "epochs": 1}, {"method": "finetune", "epochs": 2, "augment": "standard"}]
CLI = CliRunner()


def write_masks(folder: Path, *, names: tuple[str, ...] = ("red", "blue"), count: int = 20, start: int = 0) -> Path:
    """Write noisy pictures of 64 x 96 pixels with a rectangle of each class, the ground being class 0."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        rng = np.random.default_rng(number)
        pixels = rng.integers(90, 160, (64, 96, 3)).astype(np.uint8)
        classes = np.zeros((64, 96), np.uint8)
        for label, name in enumerate(names, 1):
            top, left = int(rng.integers(0, 36)), int(rng.integers(0, 60))
            pixels[top:top + 26, left:left + 34] = COLOURS[name]
            classes[top:top + 26, left:left + 34] = label
        classes[0, :] = 255
        Image.fromarray(pixels).save(folder / f"images/{number}.png")
        Image.fromarray(classes).save(folder / f"masks/{number}.png")
    (folder / "classes.txt").write_text("\n".join(["0 ground", *(f"{n} {name}" for n, name in enumerate(names, 1)),
                                                   "255 void"]))
    return folder


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_masks(tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="module")
def run(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(marked, method=METHOD, baselines="", out=tmp_path_factory.mktemp("runs") / "run", **SMALL)


def test_a_run_has_every_file_and_its_proof_is_that_of_its_predictions(run: hs.Run, marked: Path) -> None:
    assert {path.name for path in run.directory.iterdir()} >= FILES - {"choice.json", "forecast.json"}
    assert run.data["task"] == "semantic"
    assert run.data["classes"] == ["ground", "red", "blue"]
    test = run.samples[run.samples["split"] == "test"]["path"].tolist()
    confusions, edges = [], []
    for path, one in zip(test, hs.predict(run, test), strict=True):
        truth = np.asarray(Image.open(str(path).replace("/images/", "/masks/")))
        assert one.size == (64, 96)  # type: ignore[union-attr]
        confusions.append(confusion_of(truth, one.classes, 3))  # type: ignore[union-attr]
        edges.append(boundaries_of(truth, one.classes, 3))  # type: ignore[union-attr]
    expected = mask_metrics(overlaps_of(np.stack(confusions)))
    scores = boundary_scorer(together(edges, 3))(np.ones((1, len(test))))
    expected |= {name: float(scores[name][0]) for name in boundaries.NAMES}
    assert {name: found.value for name, found in run.metrics.items()} == pytest.approx(expected)
    assert all(0 <= found.low <= found.value <= found.high for found in run.metrics.values())
    assert all(run.metrics[name].high <= 1 for name in (*masks.NAMES, "boundary_f1", "boundary_iou"))


def test_boundaries_stand_by_class_and_by_image(run: hs.Run) -> None:
    details = json.loads((run.directory / "details.json").read_text())["test"]
    rows = run.predictions[run.predictions["split"] == "test"]
    for label, (name, found) in enumerate(details["per_class"].items()):
        distances = pd.Series(np.stack(rows["hd95_by_class"])[:, label])
        true, said = (np.stack(rows[column])[:, label] for column in ("true_pixels", "predicted_pixels"))
        value = np.array(found["hd95"]["value"], float)
        assert value == pytest.approx(distances.mean(), nan_ok=True), name
        assert found["distances"] == distances.count()
        assert found["missed"] == ((true > 0) & (said == 0)).sum()
        assert found["made_up"] == ((true == 0) & (said > 0)).sum()
        assert found["boundary_f1"]["low"] <= found["boundary_f1"]["value"] <= found["boundary_f1"]["high"]
    assert rows[list(boundaries.NAMES)].notna().all(axis=None)
    means = [found["boundary_f1"]["value"] for found in details["per_class"].values()]
    assert run.metrics["boundary_f1"].value == pytest.approx(np.mean(means))


def test_the_report_shows_classes_overlays_and_errors(run: hs.Run) -> None:
    page = run.report().read_text()
    for words in ("Mean IoU", "Class by class", "The worst pictures", "What is taken for what", "ground",
                  "At the boundaries", "95% Hausdorff distance",
                  "segmenter on"):
        assert words in page
    assert page.count('alt="images/') == 3 * min(12, len(run.samples[run.samples["split"] == "test"]))


def test_evaluate_reads_the_run_s_own_test_split_as_the_run_did(run: hs.Run, tmp_path: Path) -> None:
    other = write_masks(tmp_path / "other", count=6, start=100)
    found = hs.evaluate(run, other)["all"]
    assert set(found) == set(run.metrics)
    assert 0 <= found["miou"].value <= 1
    said = CLI.invoke(application(), ["evaluate", str(run.directory), str(other)])
    assert all(name in said.stdout for name in ("miou", "boundary_f1", "boundary_iou", "hd95", "assd"))
    stranger = write_masks(tmp_path / "stranger", names=("red", "green"), count=4, start=200)
    with pytest.raises(DataError, match="the run does not know the classes green"):
        hs.evaluate(run, stranger)


def test_classes_are_matched_by_name_whatever_their_numbers(run: hs.Run, tmp_path: Path) -> None:
    other = write_masks(tmp_path / "same", count=6, start=100)
    turned = write_masks(tmp_path / "turned", count=6, start=100)
    for path in (turned / "masks").iterdir():
        values = np.asarray(Image.open(path))
        Image.fromarray(np.where(values == 1, 2, np.where(values == 2, 1, values)).astype(np.uint8)).save(path)
    (turned / "classes.txt").write_text("0 ground\n2 red\n1 blue\n255 void\n")
    assert hs.evaluate(run, other) == hs.evaluate(run, turned)


def test_predict_writes_masks_overlays_runs_and_csv(run: hs.Run, marked: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "found"
    pictures = [str(marked / "images/0.png"), str(marked / "images/1.png"), str(tmp_path / "broken.png")]
    result = CLI.invoke(application(), ["predict", str(run.directory), *pictures, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "1 of 3 images could not be read" in result.output
    mask = Image.open(out / "masks/0.png")
    assert (mask.mode, mask.size) == ("P", (96, 64))
    expected = hs.predict(run, pictures[:1])[0].classes  # type: ignore[union-attr]
    assert np.array_equal(np.asarray(mask), expected)
    assert Image.open(out / "overlays/1.jpg").size == (96, 64)
    found = json.loads((out / "predictions.json").read_text())
    assert [bool(one["error"]) for one in found["predictions"]] == [False, False, True]
    from pycocotools import mask as coco
    for segment in found["predictions"][0]["segments"]:
        decoded = coco.decode(coco.frPyObjects(segment["segmentation"], 64, 96))
        assert np.array_equal(decoded, expected == run.data["classes"].index(segment["label"]))
        assert segment["pixels"] == int(decoded.sum())
    table = pd.read_csv(out / "predictions.csv")
    assert len(table) == 2 * 3 + 1
    assert table["share"].sum() == pytest.approx(2, abs=1e-4)
    legend = pd.read_csv(out / "legend.csv")
    assert legend["name"].tolist() == ["ground", "red", "blue"]
    assert mask.getpalette()[:9] == legend[["red", "green", "blue"]].to_numpy().ravel().tolist()  # type: ignore[index]


def test_written_masks_are_read_back_as_data(run: hs.Run, marked: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    CLI.invoke(application(), ["predict", str(run.directory), str(marked / "images"), "--out", str(out)])
    (out / "images").mkdir()
    for path in (marked / "images").iterdir():
        (out / "images" / path.name).write_bytes(path.read_bytes())
    dataset = hs.load_data(out, format="masks", settings={"images": "images/*"})
    assert set(dataset.classes) <= {"ground", "red", "blue"}
    assert dataset.samples[0].mask is not None
    assert pixel_classes(dataset.samples[0].mask).shape == (64, 96)


def test_the_same_job_twice_gives_the_same_numbers(run: hs.Run, marked: Path, tmp_path: Path) -> None:
    again = hs.adapt(marked, method=METHOD, baselines="", out=tmp_path / "again", **SMALL)
    assert again.metrics == run.metrics
    assert all(torch.equal(a, b) for a, b in zip(again.model.head.state_dict().values(),
                                                 run.model.head.state_dict().values(), strict=True))


def test_compare_says_no_difference_between_a_run_and_itself(run: hs.Run) -> None:
    found = hs.compare([run, run])[0]
    assert found["difference"]["value"] == 0
    assert found["metric"] == "miou"
    found = hs.compare([run, run], metric="hd95")[0]
    assert (found["difference"]["value"], found["verdict"]) == (0, "no difference shown")


def test_a_run_that_starts_from_another_keeps_what_it_knows_by_name(run: hs.Run, tmp_path: Path) -> None:
    told: list[str] = []
    data = write_masks(tmp_path / "data", names=("blue", "green"), count=10, start=300)
    job = build_job({"data": str(data), "init_from": str(run.directory), "method": "finetune"})
    opened = open_job(job, None, lambda event: told.append(getattr(event, "text", "")))
    assert "head: 2 classes kept by name (ground, blue), 1 new (green)" in told
    head, before = opened.model.head, run.model.head
    assert torch.equal(head.classifier.weight[1], before.classifier.weight[2])  # type: ignore[union-attr, index]


@pytest.mark.parametrize(("settings", "said"), [
    ({"folds": 3}, "folds: not for semantic yet"), ({"method": "auto"}, "advise: not for semantic yet"),
    ({"detector": "fcos"}, "detector fcos: has no effect on semantic"),
    ({"method": {"method": "finetune", "mix": "mixup"}}, "mix would have no effect on semantic segmentation"),
    ({"method": {"method": "finetune", "monitor": "accuracy"}}, 'monitor "accuracy" is not a metric of semantic'),
    ({"method": {"method": "finetune", "monitor": "hd95"}}, 'monitor "hd95" is not a metric of semantic segmentation '
                                                            "that training can watch"),
    ({"method": "lora"}, "method lora can't do semantic"), ({"segmenter": "unett"}, 'unknown segmenter "unett"'),
])
def test_what_segmentation_has_not_is_refused_before_anything_is_written(marked: Path, tmp_path: Path, said: str,
                                                                         settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=said):
        hs.adapt(marked, out=tmp_path / "run", **{**SMALL, **settings})
    assert not (tmp_path / "run").exists()


def test_segmenters_and_mask_losses_have_no_effect_elsewhere(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(6):
            path = tmp_path / "data" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(number).integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    for settings, said in (({"segmenter": "fpn"}, "segmenter fpn: has no effect on classification"),
                           ({"method": {"method": "finetune", "mask_losses": "dice"}}, "mask_losses would have no")):
        with pytest.raises(ConfigError, match=said):
            open_job(build_job({"data": str(tmp_path / "data"), "backbone": "efficientnet_lite0", "image_size": 32,
                                "allow": "leak_exact,conflicting_labels", **settings}), None, lambda event: None)


def test_check_tells_what_is_wrong_with_masks(tmp_path: Path) -> None:
    data = write_masks(tmp_path / "data", count=6)
    whole = np.full((64, 96), 255, np.uint8)
    Image.fromarray(whole).save(data / "masks/0.png")
    report = hs.check(data)
    ignored = report.finding("mask_ignored")
    assert ignored is not None
    assert ignored.items == ("images/0.png",)
    assert report.finding("class_pixels") is not None
    assert report.level != "error"


def test_load_run_gives_the_model_back(run: hs.Run, marked: Path) -> None:
    image = [str(marked / "images/3.png")]
    first, second = hs.predict(run, image)[0], hs.predict(load_run(run.directory), image)[0]
    assert np.array_equal(first.classes, second.classes)  # type: ignore[union-attr]
