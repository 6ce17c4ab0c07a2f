"""A run from a file of YOLOX: its classes are kept by name, and what is saved finds the same again."""

from pathlib import Path

import numpy as np
import pytest
import torch

import headstart as hs
from headstart.box_predictions import predict_boxes
from headstart.errors import ConfigError
from headstart.job import build_job
from headstart.opening import open_job
from headstart.runs import load_run
from tests.detectors.test_yolox import official
from tests.e2e.test_detection import write_boxes

LITTLE = [{"method": "probe", "epochs": 1, "lr_head": 1e-6}]
SETTINGS = {"image_size": 64, "method": LITTLE, "baselines": "", "tracking": "off"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_boxes(tmp_path_factory.mktemp("yolox") / "data", classes=("person", "blue"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save({"model": official()}, tmp_path / "yolox_nano.pth")
    return tmp_path / "yolox_nano.pth"


@pytest.mark.parametrize("detector", [{}, {"detector": {"detector": "yolox", "confidence": 0.2}}],
                         ids=["as it came", "with a setting"])
def test_a_run_keeps_what_the_file_knows_and_what_is_saved_finds_the_same(
        data: Path, file: Path, tmp_path: Path, detector: dict[str, object]) -> None:
    told: list[str] = []
    run = hs.adapt(data, backbone=f"yolox_nano@{file}", out=tmp_path / "run", **SETTINGS, **detector,
                   listen=lambda event: told.append(getattr(event, "text", "")))
    assert "head: 1 classes kept by name (person), 1 new (blue)" in told
    mine, theirs = run.model.head.model.state_dict(), official()
    person = run.model.classes.index("person")
    torch.testing.assert_close(mine["head.cls_preds.1.weight"][person], theirs["head.cls_preds.1.weight"][0],
                               rtol=0, atol=1e-4)
    torch.testing.assert_close(mine["backbone.C3_n4.conv3.conv.weight"], theirs["backbone.C3_n4.conv3.conv.weight"],
                               rtol=0, atol=1e-4)
    file.unlink()
    again = load_run(tmp_path / "run").model
    pictures = sorted(data.glob("*.png"))[:3]
    for one, other in zip(predict_boxes(run.model, pictures), predict_boxes(again, pictures), strict=True):
        assert one.found is not None
        assert other.found is not None
        assert len(one.found.boxes)
        assert not detector or float(one.found.scores.min()) > 0.2
        for key in ("boxes", "scores", "labels"):
            assert np.array_equal(getattr(one.found, key), getattr(other.found, key))


def test_the_width_of_a_file_cannot_be_set(data: Path, file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="detector yolox: width: on the trunk of yolox_nano"):
        hs.adapt(data, backbone=f"yolox_nano@{file}", out=tmp_path / "run", **SETTINGS,
                 detector={"detector": "yolox", "width": 0.5})
    assert not (tmp_path / "run").exists()


def test_a_backbone_of_another_kind_is_read(data: Path, tmp_path: Path) -> None:
    run = hs.adapt(data, backbone="efficientnet_lite0", detector="yolox", out=tmp_path / "run", **{
        **SETTINGS, "method": [{"method": "probe", "epochs": 1}]})
    assert run.status == "finished"
    assert run.model.task.detector.part_name == "yolox"  # type: ignore[attr-defined]


def test_heads_that_another_detector_replaces_are_not_dropped_in_silence(data: Path, file: Path) -> None:
    told: list[str] = []
    job = build_job({"data": str(data), "backbone": f"yolox_nano@{file}", "detector": "fcos", "image_size": 64})
    open_job(job, None, lambda event: told.append(getattr(event, "text", "")))
    assert any("detector fcos reads them with heads that start anew" in text for text in told)
    assert not any("kept by name" in text for text in told)
