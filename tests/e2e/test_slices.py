"""A detector that is told to look at slices does so everywhere: in training, proof, prediction, evaluation."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import application
from headstart.data.slices import Slices
from headstart.errors import ConfigError
from headstart.job import build_job
from tests.e2e.test_detection import COLOURS, SMALL
from tests.e2e.test_semantic import write_masks

CUT = {"size": 64, "overlap": 0.25}
PROBE = [{"method": "probe", "epochs": 1}]


def write_large(folder: Path, *, count: int = 10) -> Path:
    """Write pictures of 150 x 110 pixels with four small rectangles each, as a table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["image,label,xmin,ymin,xmax,ymax"]
    for number in range(count):
        rng = np.random.default_rng(number)
        pixels = rng.integers(90, 160, (110, 150, 3)).astype(np.uint8)
        for place, (name, colour) in enumerate([*COLOURS.items()][:2] * 2):
            left, top = 75 * (place // 2) + int(rng.integers(0, 50)), 55 * (place % 2) + int(rng.integers(0, 35))
            pixels[top:top + 18, left:left + 22] = colour
            rows.append(f"{number:03d}.png,{name},{left},{top},{left + 22},{top + 18}")
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder / "boxes.csv"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_large(tmp_path_factory.mktemp("large") / "data")


@pytest.fixture(scope="module")
def sliced(table: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    # FCOS tells boxes after one epoch already, YOLOX does not.
    return hs.adapt(table, method=PROBE, baselines="", slices=CUT, out=tmp_path_factory.mktemp("runs") / "sliced",
                    detector="fcos", **{key: value for key, value in SMALL.items() if key != "image_size"})


def test_the_run_keeps_its_slices(sliced: hs.Run) -> None:
    again = hs.load_run(sliced.directory)
    assert again.model.task.slices == again.job.slices == Slices(**CUT)  # type: ignore[attr-defined, arg-type]
    assert again.model.preprocessing.size == 64, "without an image size, nothing of a slice is shrunk away"


def test_prediction_finds_what_the_proof_found(sliced: hs.Run) -> None:
    rows = sliced.predictions.query("split == 'test'")
    for found, stored in zip(hs.predict(sliced.directory, list(rows["path"])), rows.itertuples(), strict=True):
        assert found.size == (110, 150)  # type: ignore[union-attr]
        np.testing.assert_allclose(found.found.scores, np.asarray(stored.scores), atol=1e-3)  # type: ignore[union-attr]


def test_evaluation_and_prediction_look_at_slices(sliced: hs.Run, table: Path, tmp_path: Path) -> None:
    assert 0 <= hs.evaluate(sliced, table)["all"]["ap"].value <= 1
    words = ["predict", sliced.directory, table.parent / "000.png", "--out", tmp_path / "found"]
    answer = CliRunner().invoke(application(), [str(word) for word in words])
    assert answer.exit_code == 0
    image = json.loads((tmp_path / "found/predictions.json").read_text())["images"][0]
    assert (image["width"], image["height"]) == (150, 110)
    assert Image.open(tmp_path / "found/pictures/000.jpg").size == (150, 110)


def test_any_detector_predicts_in_slices_when_asked(table: Path, tmp_path: Path) -> None:
    whole = hs.adapt(table, out=tmp_path / "whole", method=PROBE, image_size=64, detector="fcos", baselines="",
                     tracking="off")
    one = [table.parent / "000.png"]
    asked = [hs.predict(whole, one, slices=size)[0].found for size in (64, 400)]
    plain = hs.predict(whole, one)[0].found
    np.testing.assert_array_equal(asked[1].boxes, plain.boxes)  # the picture is one slice
    assert len(asked[0].boxes) != len(plain.boxes) or not np.allclose(asked[0].boxes, plain.boxes)
    with pytest.raises(ConfigError, match="slices: size: Input should be greater than or equal to 32"):
        hs.predict(whole, one, slices=8)


def test_a_start_from_a_run_keeps_its_slices_unless_told_others(sliced: hs.Run, table: Path, tmp_path: Path) -> None:
    more = {"init_from": str(sliced.directory), "method": PROBE, "baselines": "", "tracking": "off"}
    kept = hs.adapt(table, out=tmp_path / "kept", **more)
    assert kept.model.task.slices == Slices(**CUT)  # type: ignore[attr-defined, arg-type]
    other = hs.adapt(table, out=tmp_path / "other", slices=96, **more)
    assert other.model.task.slices == Slices(**{**CUT, "size": 96})  # type: ignore[attr-defined, arg-type]


def test_masks_are_learnt_proven_and_told_in_slices(tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "masks")
    run = hs.adapt(masks, method=PROBE, baselines="", slices=CUT, out=tmp_path / "run", backbone="efficientnet_lite0",
                   tracking="off", segmenter={"segmenter": "unet", "width": 16})
    assert run.model.task.slices == Slices(**CUT)  # type: ignore[attr-defined, arg-type]
    assert run.model.preprocessing.size == 64
    rows = run.predictions.query("split == 'test'")
    for found, stored in zip(hs.predict(run, list(rows["path"])), rows.itertuples(), strict=True):
        assert found.size == (64, 96)  # type: ignore[union-attr]
        assert list(found.pixels) == list(np.bincount(np.asarray(found.classes).ravel(), minlength=3))  # type: ignore[union-attr]
        # The first row of a picture is of no class, so that the proof does not count it.
        counted = np.bincount(np.asarray(found.classes)[1:].ravel(), minlength=3)  # type: ignore[union-attr]
        assert counted.tolist() == list(stored.predicted_pixels)
    kept = hs.adapt(masks, init_from=str(run.directory), method=PROBE, baselines="", out=tmp_path / "kept",
                    tracking="off", slices=96)
    assert kept.model.task.slices == Slices(**{**CUT, "size": 96})  # type: ignore[attr-defined, arg-type]
    assert kept.model.preprocessing.size == 64, "a start keeps the size of its input"
    with pytest.raises(ConfigError, match="slices: merge would have no effect on semantic"):
        hs.adapt(masks, slices={"size": 64, "merge": "wbf"}, out=tmp_path / "never")


def test_the_command_line_sets_slices() -> None:
    assert build_job({"data": "x"}, assignments=["slices=512"]).slices == Slices(size=512)
    assert build_job({"data": "x"}, assignments=["slices.size=512", "slices.merge=wbf"]).slices == Slices(
        size=512, merge="wbf")


@pytest.mark.parametrize(("assignment", "message"), [
    ("slices.sise=512", 'slices.sise: unknown setting "sise". Did you mean "size"'),
    ("slices.overlap=1.5", "slices.overlap: Input should be less than 1"),
    ("slices.merge=mean", "slices.merge: Input should be 'nms' or 'wbf'"),
])
def test_a_wrong_setting_is_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_job({"data": "x"}, assignments=[assignment])


def test_slices_are_refused_for_whole_images(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="slices 640: has no effect on classification"):
        hs.adapt(digits, slices=640, method="probe", out=tmp_path / "run", **SMALL)
