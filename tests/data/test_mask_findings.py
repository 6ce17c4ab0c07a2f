"""What the check says of masks, each fault planted once."""

from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.check import check
from headstart.data.findings import CheckReport
from headstart.data.load import load_data
from headstart.data.sheet import draw_sheet
from headstart.events import silent

EDGE = np.zeros((32, 40), np.uint8)
EDGE[:, 20:] = 8


def write(root: Path, masks: dict[str, np.ndarray]) -> None:
    for number, (name, classes) in enumerate(masks.items()):
        for part, pixels in (("images", np.random.default_rng(number).integers(0, 255, (*classes.shape, 3), np.uint8)),
                             ("masks", classes)):
            path = root / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def checked(root: Path, **settings: object) -> CheckReport:
    return check(load_data(root, format="masks", settings=settings), listen=silent)


def test_sound_masks_have_nothing_to_mend(tmp_path: Path) -> None:
    write(tmp_path, {f"{letter}.png": EDGE for letter in "abcdef"})
    report = checked(tmp_path)
    for kind in ("mask_broken", "mask_size", "mask_ignored", "mask_smoothed", "mask_tiny", "class_pixels"):
        found = report.finding(kind)
        assert found is not None, kind
        assert found.level == "ok", (kind, found.text)
    assert report.finding("leak_tiles") is None


def test_a_mask_that_was_resized_with_smoothing_is_told(tmp_path: Path) -> None:
    smooth = np.asarray(Image.fromarray(EDGE[::2, ::2]).resize((40, 32), Image.Resampling.BILINEAR))
    assert set(np.unique(smooth)) > {0, 8}
    write(tmp_path, {**{f"{letter}.png": EDGE for letter in "abcde"}, "z.png": smooth})
    found = checked(tmp_path, classes=",".join(f"c{n}" for n in range(9))).finding("mask_smoothed")
    assert found is not None
    assert found.level == "warning"
    assert len(found.items) == 1
    assert found.items[0].startswith("masks/z.png")


def test_the_sheet_shows_the_classes_in_colour(tmp_path: Path) -> None:
    write(tmp_path, {f"{letter}.png": EDGE for letter in "abcdef"})
    said = draw_sheet(load_data(tmp_path, format="masks"), tmp_path / "sheet.png")
    assert said.endswith("sheet.png: 6 of 6 images with their classes in colour")
    drawn = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    left, right = drawn[20:200, 20:140].mean((0, 1)), drawn[20:200, 180:300].mean((0, 1))
    assert abs(left - right).max() > 40


def test_specks_are_counted(tmp_path: Path) -> None:
    specks = EDGE.copy()
    specks[2:30:4, 2:18:4] = 8
    write(tmp_path, {f"{letter}.png": specks for letter in "abcdef"})
    found = checked(tmp_path).finding("mask_tiny")
    assert found is not None
    assert (found.level, found.count) == ("warning", 6 * 7 * 4)


def test_a_rare_class_is_told_by_pixels(tmp_path: Path) -> None:
    rare = np.zeros((32, 40), np.uint8)
    rare[:4, :4] = 8
    write(tmp_path, {f"{letter}.png": rare for letter in "abcdef"})
    found = checked(tmp_path).finding("class_pixels")
    assert found is not None
    assert found.level == "warning"
    assert "class_weights=balanced" in found.advice
    assert found.items[1].startswith(f"foreground: {16 / 1280:.2%} of the pixels, in 6 images")


def test_tiles_of_one_picture_are_told(tmp_path: Path) -> None:
    names = [f"{scene}_{row}_{column}.png" for scene in ("north", "south") for row in (0, 32) for column in (0, 40)]
    write(tmp_path / "loose", dict.fromkeys(names, EDGE))
    found = checked(tmp_path / "loose").finding("leak_tiles")
    assert found is not None
    assert "look like tiles of 2 pictures" in found.text
    for number, name in enumerate(names):
        write(tmp_path / "torn" / ("train" if number % 2 else "test"), {name: EDGE})
    torn = checked(tmp_path / "torn").finding("leak_tiles")
    assert torn is not None
    assert "lie in several splits" in torn.text
