import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import headstart as hs
from headstart.data.check import check
from headstart.data.duplicates import thumbnail
from headstart.data.load import load_data
from headstart.errors import ResourceError
from headstart.events import Event, Note, silent
from headstart.features import engine
from headstart.selection import lookalikes
from headstart.selection.alignment import aligned_correlation
from headstart.selection.lookalikes import CORRELATION, LEAST, MOST, SURROUNDINGS, alike_pairs, finder
from tests.data.planted import folder, picture, truncate
from tests.features.conftest import Counting


class Symmetric(Counting):
    """Features that mirroring does not change: each pixel and the one opposite, added."""

    def __init__(self) -> None:
        super().__init__()
        self.width = 3 * 16 * 16

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        self.runs += images.shape[0]
        return (images + images.flip(3)).flatten(1)


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """A backbone without weights instead of a pretrained one, and a cache of the test's own."""
    engine._exported.clear()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    backbone = Symmetric()
    monkeypatch.setattr(lookalikes, "load", lambda name: (backbone, ""))
    return backbone


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", {"train/a": 15, "train/b": 15, "test/a": 3, "test/b": 3})


def mirror(source: Path, target: Path) -> None:
    Image.open(source).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(target)


def scattered(count: int = 60, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def test_a_slightly_moved_vector_is_found_and_nothing_else() -> None:
    features = scattered()
    features = np.concatenate([features, features[[4, 40]] + 0.1])
    assert alike_pairs(features).tolist() == [[4, 60], [40, 61]]


def test_a_tight_cluster_of_many_is_no_set_of_copies() -> None:
    """A dozen scans of one organ are all near each other: the ratio to the surroundings tells them from copies."""
    close = scattered(1) + 0.1 * np.random.default_rng(1).normal(size=(SURROUNDINGS + 5, 32)).astype(np.float32)
    features = np.concatenate([scattered(), close])
    assert alike_pairs(features).tolist() == []
    features = np.concatenate([features, features[[62]] + 0.005])
    assert alike_pairs(features).tolist() == [[62, len(features) - 1]]


def test_a_few_copies_of_one_image_are_all_linked() -> None:
    features = scattered()
    features = np.concatenate([features, features[[7, 7, 7]] + np.array([[0.05], [0.08], [0.11]], np.float32)])
    linked = {7}
    for i, j in alike_pairs(features).tolist() * 3:
        linked |= {i, j} if linked & {i, j} else set()
    assert linked == {7, 60, 61, 62}


def test_blocks_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.concatenate([scattered(), scattered()[:9] + 0.1])
    whole = alike_pairs(features).tolist()
    monkeypatch.setattr(lookalikes, "QUERIES", 7)
    monkeypatch.setattr("headstart.neighbours.BLOCK", 11)
    assert len(whole) == 9
    assert alike_pairs(features).tolist() == whole


def changed(image: Image.Image) -> dict[str, Image.Image]:
    return {"mirrored": image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "turned": image.rotate(2),
            "cropped": image.crop((6, 4, 90, 67)), "brighter": image.point(lambda value: min(255, int(value * 1.2)))}


@pytest.mark.parametrize("kind", ["mirrored", "turned", "cropped", "brighter"])
def test_a_changed_picture_can_be_laid_over_the_first_and_another_one_can_not(kind: str) -> None:
    def small(image: Image.Image) -> np.ndarray:
        return thumbnail(np.asarray(image.convert("RGB")))

    first = np.stack([small(picture(seed)) for seed in range(6)])
    second = np.stack([small(changed(picture(seed))[kind]) for seed in range(6)])
    side = int(kind == "mirrored")
    assert aligned_correlation(first, second)[:, side].min() > CORRELATION[side]
    assert aligned_correlation(first, second)[:, 1 - side].max() < CORRELATION[0] - 0.1
    assert aligned_correlation(first, np.roll(second, 1, axis=0)).max() < CORRELATION[0] - 0.1


def test_no_pairs_and_flat_pictures_align_with_nothing() -> None:
    flat = np.full((2, 32, 32), 7, np.uint8)
    assert aligned_correlation(flat[:0], flat[:0]).shape == (0, 2)
    assert aligned_correlation(flat, flat[::-1]).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("features", [scattered(LEAST - 1), np.ones((40, 4), np.float32)])
def test_nothing_is_said_where_there_is_nothing_to_compare_with(features: np.ndarray) -> None:
    assert alike_pairs(np.asarray(features)).tolist() == []


def test_near_copies_of_either_way_are_told_once(root: Path) -> None:
    mirror(root / "train/a/001.png", root / "test/b/mirrored.png")
    Image.open(root / "train/a/001.png").resize((48, 36)).save(root / "train/a/smaller.png")
    shutil.copy(root / "train/a/001.png", root / "train/a/again.png")
    plain = hs.check(root, features=False)
    report = hs.check(root)
    names = ("test/b/mirrored.png", "train/a/001.png", "train/a/again.png", "train/a/smaller.png")
    assert plain.near_sets == plain.hash_sets == report.hash_sets == (names[1:],)
    assert report.near_sets == (names,)
    near = report.finding("duplicates_near")
    assert near.count == 2
    assert "1 set (1 by their perceptual hash, 1 by their features)" in near.text
    assert "if their perceptual hash" in report.finding("leak_near").advice
    assert report.finding("leak_near").count == 1
    assert report.finding("conflicting_labels_near").count == 1
    assert plain.finding("leak_near").count == 0


def test_what_features_alone_find_is_marked(root: Path) -> None:
    mirror(root / "train/a/001.png", root / "train/a/mirrored.png")
    near = hs.check(root).finding("duplicates_near")
    assert near.items == ("train/a/001.png = train/a/mirrored.png (by their features)",)
    assert "of the others take the superfluous ones out" in near.advice


def test_without_near_copies_both_ways_are_named(root: Path) -> None:
    assert hs.check(root).finding("duplicates_near").text == \
        "No two images look the same, by their perceptual hash or features."
    assert hs.check(root, features=False).finding("duplicates_near").text == "No two images look the same."


def test_unreadable_images_are_left_out(root: Path) -> None:
    truncate(root / "train/b/003.png")
    mirror(root / "train/a/001.png", root / "train/a/mirrored.png")
    report = hs.check(root)
    assert list(report.unreadable) == ["train/b/003.png"]
    assert report.near_sets == (("train/a/001.png", "train/a/mirrored.png"),)


def test_features_are_computed_once(root: Path, tiny: Counting) -> None:
    hs.check(root)
    runs = tiny.runs
    hs.check(root)
    assert tiny.runs == runs == 36


def test_few_images_and_many_are_left_to_the_hash() -> None:
    told: list[Event] = []
    assert finder(LEAST - 1, None, told.append) is None
    assert finder(LEAST, False, told.append) is None
    assert told == []
    assert finder(MOST + 1, None, told.append) is None
    assert isinstance(told[0], Note)
    assert "more than 5000 images. --features compares" in told[0].text
    assert finder(MOST + 1, True, told.append) is not None


def test_without_weights_the_hash_alone_is_used_unless_features_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ResourceError("backbone auto: no model is here.")

    monkeypatch.setattr(lookalikes, "load", absent)
    told: list[Event] = []
    assert finder(100, None, told.append) is None
    assert "by their perceptual hash alone: backbone auto: no model is here." in told[0].text
    with pytest.raises(ResourceError):
        finder(100, True, told.append)


def test_the_gate_asks_the_hash_alone(root: Path, tiny: Counting) -> None:
    check(load_data(str(root)), listen=silent)
    assert tiny.runs == 0
