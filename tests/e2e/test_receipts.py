"""verify finds one changed pixel, label, weight or file; reproduce gives the same numbers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart as hs
from headstart.receipts import changed_metrics
from tests.e2e.conftest import SMALL


@pytest.fixture
def own_run(digits: Path, tmp_path: Path) -> tuple[hs.Run, Path]:
    data = shutil.copytree(digits, tmp_path / "data")
    return hs.adapt(data, method="probe", out=tmp_path / "run", **SMALL), data


def broken(run: hs.Run) -> list[str]:
    return [f"{receipt.what} {receipt.detail}" for receipt in hs.verify(run.directory) if not receipt.intact]


def test_an_untouched_run_verifies(probed: hs.Run) -> None:
    assert broken(probed) == []


def test_one_changed_pixel_a_moved_and_a_lost_image_are_found(own_run: tuple[hs.Run, Path]) -> None:
    run, data = own_run
    pixels = np.array(Image.open(data / "digit 0" / "000.png"))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(data / "digit 0" / "000.png")
    (data / "digit 1" / "003.png").unlink()
    (data / "digit 7" / "005.png").rename(data / "digit 0" / "005b.png")
    found = broken(run)
    assert "image digit 0/000.png has changed" in found
    assert "image digit 1/003.png is gone" in found
    assert "image digit 7/005.png is gone" in found


def test_a_changed_label_in_a_table_is_found(digits: Path, tmp_path: Path) -> None:
    rows = [f"{path},{path.parent.name}" for path in sorted(digits.rglob("*.png"))]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["image,label", *rows]))
    run = hs.adapt(table, method="probe", out=tmp_path / "run", **SMALL)
    rows[0] = rows[0].replace(",digit 0", ",digit 1")
    table.write_text("\n".join(["image,label", *rows]))
    assert [line for line in broken(run) if "was digit 0, is digit 1" in line]


def test_a_flipped_byte_of_the_weights_and_a_changed_file_are_found(own_probed: hs.Run) -> None:
    weights = own_probed.directory / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1000] ^= 1
    weights.write_bytes(data)
    metrics = json.loads((own_probed.directory / "metrics.json").read_text())
    metrics["test"]["accuracy"]["value"] = 1.0
    (own_probed.directory / "metrics.json").write_text(json.dumps(metrics))
    found = broken(own_probed)
    assert "file model.safetensors is not what the run wrote" in found
    assert "file metrics.json is not what the run wrote" in found
    assert any("the weights are not those that were saved" in line for line in found)


def test_reproduce_gives_exactly_the_same_metrics(finetuned: hs.Run, tmp_path: Path) -> None:
    again = hs.reproduce(finetuned, out=tmp_path / "again")
    assert changed_metrics(finetuned, again) == []
    assert again.predictions["logits"].map(tuple).equals(finetuned.predictions["logits"].map(tuple))


def test_another_seed_is_told_apart(probed: hs.Run, digits: Path, tmp_path: Path) -> None:
    other = hs.adapt(digits, method="probe", seed=1, out=tmp_path / "run", **SMALL)
    assert changed_metrics(probed, other)


def test_an_unfinished_run_is_not_reproduced(own_probed: hs.Run) -> None:
    record = json.loads((own_probed.directory / "run.json").read_text())
    (own_probed.directory / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    with pytest.raises(hs.HeadstartError, match="only a finished run can be reproduced"):
        hs.reproduce(own_probed.directory)
