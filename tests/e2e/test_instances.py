"""A detector that tells masks does so in every verb: ellipses on noise, marked by the number of the object."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import application
from headstart.data.masks import rle_of
from headstart.data.regions import decoded
from headstart.data.run_lengths import area
from headstart.errors import ConfigError, DataError
from headstart.evaluation.boxes import detections_in, overlaps_in
from headstart.metrics.boxes import MASK_NAMES, PANOPTIC

SMALL = {"backbone": "efficientnet_lite0", "image_size": 96, "tracking": "off", "baselines": "",
         "detector": {"detector": "mask_rcnn", "width": 32, "hidden": 64, "mask_layers": 2}}
METHOD = [{"method": "probe", "epochs": 2}, {"method": "finetune", "epochs": 6, "batch_size": 4}]
WATCHED = [{"method": "probe", "epochs": 1}, {"method": "finetune", "epochs": 1, "monitor": "mask_ap", "batch_size": 4}]


def write_ellipses(folder: Path, *, count: int = 24, start: int = 0) -> Path:
    """Write noisy pictures of 96 x 128 pixels with two ellipses, and their outlines as COCO."""
    folder.mkdir(parents=True, exist_ok=True)
    images, records = [], []
    rows, columns = np.ogrid[:96, :128]
    for number in range(start, start + count):
        rng = np.random.default_rng(number)
        pixels = rng.integers(90, 160, (96, 128, 3)).astype(np.uint8)
        for place in range(2):
            middle = rng.uniform(22, 74), 64 * place + rng.uniform(24, 40)
            radii = rng.uniform(12, 20), rng.uniform(12, 20)
            pixels[(((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2) <= 1] = 235
            turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            outline = np.stack([middle[1] + radii[1] * np.cos(turns), middle[0] + radii[0] * np.sin(turns)], axis=1)
            left, top = outline.min(axis=0)
            wide, high = np.ptp(outline, axis=0)
            records.append({"id": len(records) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                            "bbox": [left, top, wide, high], "area": wide * high * np.pi / 4,
                            "segmentation": [outline.ravel().tolist()]})
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        images.append({"id": number, "file_name": f"{number:03d}.png", "width": 128, "height": 96})
    (folder / "annotations.json").write_text(json.dumps(
        {"images": images, "categories": [{"id": 1, "name": "ellipse"}], "annotations": records}))
    return folder


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ellipses(tmp_path_factory.mktemp("ellipses") / "data")


@pytest.fixture(scope="module")
def run(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(marked, method=METHOD, out=tmp_path_factory.mktemp("runs") / "run", **SMALL)


def test_masks_are_learnt_and_proven(run: hs.Run) -> None:
    found = run.metrics
    assert set(MASK_NAMES) | set(PANOPTIC) <= set(found)
    assert found["mask_ap50"].value > 0.4
    assert found["mask_ap50"].low <= found["mask_ap50"].value <= found["mask_ap50"].high
    assert found["pq"].value <= found["sq"].value
    per_class = json.loads((run.directory / "details.json").read_text())["test"]["per_class"]["ellipse"]
    assert per_class["mask_ap50"]["value"] == found["mask_ap50"].value
    page = run.report().read_text()
    assert all(words in page for words in ("Masks, AP50", "Average precision of masks", "Panoptic quality"))


def test_predictions_hold_the_pixels_of_each_object(run: hs.Run, marked: Path, tmp_path: Path) -> None:
    row = run.predictions.query("split == 'test'").iloc[0].to_dict()
    said = hs.predict(run, [row["path"]])[0].found
    assert detections_in(row).scores.tolist() == pytest.approx(said.scores.tolist(), abs=1e-4)
    assert [list(mask.counts) for mask in said.masks][:1] == [list(one) for one in row["masks"]][:1]
    assert overlaps_in(row).shares.shape == (len(said.scores), 2)  # type: ignore[union-attr]
    words = ["predict", run.directory, row["path"], "--out", tmp_path / "found"]
    answer = CliRunner().invoke(application(), [str(word) for word in words])
    assert answer.exit_code == 0
    results = json.loads((tmp_path / "found/coco_results.json").read_text())
    assert len(results) == len(said.scores)
    mask = decoded(rle_of(results[0]["segmentation"], (96, 128)))
    rows, columns = np.nonzero(mask)
    left, top, wide, high = results[0]["bbox"]
    assert left - 1 <= columns.min() <= columns.max() <= left + wide + 1
    assert top - 1 <= rows.min() <= rows.max() <= top + high + 1
    drawn = np.asarray(Image.open(next((tmp_path / "found/pictures").iterdir())).convert("RGB"), int)
    assert np.ptp(drawn, axis=2).max() > 60, "the noise is grey, the masks are not"


def test_runs_are_compared_by_their_masks(run: hs.Run, marked: Path, tmp_path: Path) -> None:
    other = hs.adapt(marked, method=METHOD[:1], out=tmp_path / "probe", **SMALL)
    found = hs.compare([run, other], metric="mask_ap50")[0]
    assert (found["a"], found["b"]) == (str(other), str(run))
    mine, theirs = (one.metrics["mask_ap50"].value for one in (other, run))
    assert found["difference"]["value"] == pytest.approx(mine - theirs)
    again = hs.evaluate(run, write_ellipses(tmp_path / "new", count=4, start=100))["all"]
    assert set(again) == set(run.metrics)


def test_the_watched_metric_may_be_of_masks(marked: Path, tmp_path: Path) -> None:
    watched = hs.adapt(marked, method=WATCHED, out=tmp_path / "run", **SMALL)
    assert watched.history["val_mask_ap"].dropna().between(0, 1).all()
    with pytest.raises(ConfigError, match='monitor "mask_ap" is not a metric of detection'):
        hs.adapt(marked, method=[{"method": "finetune", "monitor": "mask_ap"}], out=tmp_path / "never",
                 **{**SMALL, "detector": "yolox"})


def test_what_can_not_be_is_refused(run: hs.Run, marked: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"slices.merge=wbf: a mean is made of boxes, and of masks there is none"):
        hs.adapt(marked, method=METHOD, slices={"size": 64, "merge": "wbf"}, out=tmp_path / "sliced", **SMALL)
    bare = write_ellipses(tmp_path / "bare", count=12)
    text = json.loads((bare / "annotations.json").read_text())
    for record in text["annotations"][:3]:
        del record["segmentation"]
    (bare / "annotations.json").write_text(json.dumps(text))
    with pytest.raises(DataError, match=r"000\.png: 2 of 2 objects"):
        hs.adapt(bare, method=METHOD, out=tmp_path / "bare-run", **SMALL)


def test_large_pictures_are_learned_and_answered_in_slices(run: hs.Run, marked: Path, tmp_path: Path) -> None:
    few = write_ellipses(tmp_path / "few", count=10)
    sliced = hs.adapt(few, method=WATCHED, slices=64, out=tmp_path / "run", **SMALL)
    assert sliced.history["val_mask_ap"].dropna().between(0, 1).all()
    assert "mask_ap" in sliced.metrics
    for one in (sliced, run):
        found = hs.predict(one, [marked / "000.png"], slices=64)[0].found
        assert len(found.scores)
        assert all((mask.height, mask.width) == (96, 128) for mask in found.masks)
        assert all(decoded(mask)[:, int(left):int(np.ceil(right))].sum() == area(mask)
                   for mask, (left, _, right, _) in zip(found.masks, found.boxes, strict=True))
