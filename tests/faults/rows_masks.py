"""Rows 30 to 32 of the fault matrix: masks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.check import check
from headstart.data.load import load_data
from headstart.errors import DataError
from headstart.events import silent
from headstart.mask_losses.mask_loss import MASK_LOSSES
from headstart.types import IGNORED
from tests.faults.matrix import row

HALVES = np.repeat(np.array([[0], [1]], np.uint8), 12, axis=0).repeat(32, axis=1)


def pair(root: Path, name: str, mask: np.ndarray | None, size: tuple[int, int] = (24, 32)) -> None:
    for part in ("images", "masks"):
        (root / part).mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(len(name)).integers(0, 255, (*size, 3), np.uint8)).save(
        root / f"images/{name}.png")
    if mask is not None:
        Image.fromarray(mask).save(root / f"masks/{name}.png")


@row(30, "mask of another size, mask missing: the first twenty are listed")
def mask_sizes(folder: Path) -> None:
    for number in range(30):
        pair(folder, f"{number:02}", HALVES[:, :16] if number % 2 else None if number > 25 else HALVES)
    with pytest.raises(DataError) as told:
        load_data(folder, format="masks", settings={"classes": "a,b"})
    text = str(told.value)
    assert "17 of 30 images have no mask that can be used" in text
    assert "images/26.png: has no mask" in text
    assert "images/01.png: 32x24 pixels, its mask 16x24" in text
    assert text.count("images/") == 17
    for number in range(30, 60):
        pair(folder, f"{number:02}", None)
    with pytest.raises(DataError, match="and 27 more"):
        load_data(folder, format="masks", settings={"classes": "a,b"})


@row(31, "undefined numbers: 255, RGB where numbers are expected")
def undefined_numbers(folder: Path) -> None:
    for name in "abc":
        pair(folder, name, np.where(HALVES == 1, 255, 0).astype(np.uint8) if name == "c" else HALVES)
    with pytest.raises(DataError, match=r"c.png: .*the values 255 \(384 pixels\), which no class has"):
        load_data(folder, format="masks", settings={"classes": "a,b"})
    with pytest.raises(DataError, match=r"hold 0, 1, 255.*--set reader.ignore=255"):
        load_data(folder, format="masks")
    dataset = load_data(folder, format="masks", settings={"classes": "a,b", "ignore": "255"})
    assert [sample.label for sample in dataset.samples] == [(0, 1), (0, 1), (0,)]
    pair(folder, "c", np.stack([HALVES * 200] * 3, axis=-1))
    with pytest.raises(DataError, match="a mask in colours"):
        load_data(folder, format="masks", settings={"classes": "a,b"})


@row(32, "a mask that is wholly ignored adds 0 and is counted")
def wholly_ignored(folder: Path) -> None:
    for name in "abcdef":
        pair(folder, name, np.full_like(HALVES, 255) if name == "f" else HALVES)
    found = check(load_data(folder, format="masks", settings={"classes": "a,b", "ignore": "255"}), listen=silent)
    finding = found.finding("mask_ignored")
    assert finding is not None
    assert finding.items == ("images/f.png",)
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    for name, loss in MASK_LOSSES.all().items():
        value = loss()(logits, torch.full((1, 4, 4), IGNORED), torch.ones(2))
        assert float(value.detach()) == 0, name
