"""kill -9 of a detector's training from the command line: resumed, it ends in the bits of one that was never broken."""

import json
import signal
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file

import headstart as hs
from tests.e2e.test_command_line import headstart, killed
from tests.e2e.test_detection import write_boxes

SETTINGS = ["image_size=64", "tracking=off", "baselines=[]", "method.probe.epochs=2", "method.finetune.epochs=3",
            "method.finetune.augment=strong", "method.finetune.average=ema", "method.finetune.checkpoint_seconds=0.02"]
OPTIONS = ["--method", "probe,finetune", "--backbone", "efficientnet_lite0",
           *(word for setting in SETTINGS for word in ("--set", setting))]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three shapes, so that batches are grouped."""
    folder = write_boxes(tmp_path_factory.mktemp("boxes") / "uneven", count=24)
    value = json.loads((folder / "annotations.json").read_text())
    for number, image in enumerate(value["images"]):
        size = [(64, 64), (96, 64), (64, 96)][number % 3]
        with Image.open(folder / image["file_name"]) as picture:
            wider = Image.new("RGB", size, (128, 128, 128))
            wider.paste(picture)
        wider.save(folder / image["file_name"])
        image["width"], image["height"] = size
    (folder / "annotations.json").write_text(json.dumps(value))
    return folder


@pytest.fixture(scope="module")
def unbroken(uneven: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    headstart("adapt", uneven, "--out", out, *OPTIONS)
    return hs.load_run(out)


@pytest.mark.parametrize("epochs", [1, 3], ids=["in the probe", "in the fine-tuning"])
def test_a_killed_detector_resumes_to_identical_weights_and_metrics(uneven: Path, unbroken: hs.Run, tmp_path: Path,
                                                                    epochs: int) -> None:
    run = tmp_path / "run"
    assert killed(["adapt", uneven, "--out", run, *OPTIONS], run, signal.SIGKILL, epochs=epochs) == -9
    assert hs.load_run(run).status == "interrupted"
    headstart("resume", run)
    again = hs.load_run(run)
    expected, found = (load_file(one.directory / "model.safetensors") for one in (unbroken, again))
    assert expected.keys() == found.keys()
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    for name in ("metrics.json", "details.json"):
        assert (run / name).read_text() == (unbroken.directory / name).read_text()
    columns = [name for name in unbroken.history.columns if name != "seconds"]
    assert again.history[columns].equals(unbroken.history[columns])
    assert len(again.history) == 5
    assert "nothing to resume" in headstart("resume", run).stderr
