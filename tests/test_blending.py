"""Blending: slices say of a picture what the whole says, without seams, and never hold all of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.blending import blended, own_parts
from headstart.data.slices import Slices
from headstart.data.transforms import Preprocessing
from headstart.model import Model
from headstart.segmenters.head import SegmentationHead
from headstart.segmenting import segment
from headstart.tasks.semantic import Semantic

REACH = 9
"""Pixels on each side that the network below looks at."""


class Near(nn.Module):
    """Stands for a backbone: its maps are the picture."""

    spec = None

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        return {1: images}


class NearHead(SegmentationHead):
    """Looks at `REACH` pixels on each side."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 2 * REACH + 1, padding=REACH), nn.ReLU(), nn.Conv2d(8, 4, 1))

    def forward(self, maps: dict[int, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        return self.layers(maps[1])


def near(slices: Slices | None, size: int) -> Model:
    torch.manual_seed(0)
    backbone: Backbone = Near()  # type: ignore[assignment]
    return Model(backbone, NearHead(), ("a", "b", "c", "d"), Semantic(slices=slices),
                 Preprocessing(size=size, fit="pad"))


def test_slices_say_what_the_whole_says_away_from_their_edges(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (160, 224, 3), dtype=np.uint8)).save(path)
    whole, = segment(near(None, 224), [path])
    slices = Slices(size=96, overlap=0.34)
    parts, = segment(near(slices, 96), [path])
    windows = slices.windows((160, 224))
    inside = np.zeros((160, 224), int)
    for left, top, right, bottom in windows:
        # What lies within the network's reach of an edge inside the picture was seen with another surrounding.
        inside[top + REACH * (top > 0):bottom - REACH * (bottom < 160),
               left + REACH * (left > 0):right - REACH * (right < 224)] += 1
    covered = np.zeros((160, 224), int)
    for left, top, right, bottom in windows:
        covered[top:bottom, left:right] += 1
    sure = inside == covered
    assert sure.mean() > 0.5
    assert np.array_equal(parts[sure], whole[sure])
    assert (parts == whole).mean() > 0.97, "and near them almost so: the middle of the neighbour outweighs an edge"


def random_parts(windows: list[tuple[int, int, int, int]], classes: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(classes, bottom - top, right - left, generator=generator)
            for left, top, right, bottom in windows]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(32, 60), st.floats(0, 0.9), st.integers(0, 99))
def test_bands_give_what_a_sum_over_the_whole_picture_gives(high: int, wide: int, side: int, overlap: float,
                                                            seed: int) -> None:
    slices = Slices(size=side, overlap=overlap)
    windows = slices.windows((high, wide))
    parts = random_parts(windows, 3, seed)
    margin = slices.shared
    total = np.zeros((3, high, wide))
    for part, (left, top, right, bottom) in zip(parts, windows, strict=True):
        for row in range(top, bottom):
            for column in range(left, right):
                weight = 1.0
                for place, low, end, edge in ((row, top, bottom, high), (column, left, right, wide)):
                    if low > 0:
                        weight *= min(1, (place - low + 0.5) / max(1, margin))
                    if end < edge:
                        weight *= min(1, (end - place - 0.5) / max(1, margin))
                total[:, row, column] += weight * part[:, row - top, column - left].numpy()
    found = blended(iter(parts), windows, (high, wide), margin=margin)
    first, second = np.sort(total, axis=0)[::-1][:2]
    sure = first - second > 1e-5
    assert np.array_equal(found[sure], total.argmax(axis=0)[sure])


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(32, 200), st.floats(0, 0.9))
def test_own_parts_make_up_the_picture_without_overlap(high: int, wide: int, side: int, overlap: float) -> None:
    windows = Slices(size=side, overlap=overlap).windows((high, wide))
    seen = np.zeros((high, wide), int)
    for window, (left, top, right, bottom) in zip(windows, own_parts(windows), strict=True):
        assert window[0] <= left < right <= window[2]
        assert window[1] <= top < bottom <= window[3]
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


def test_parts_are_taken_one_after_the_other() -> None:
    windows = Slices(size=32, overlap=0.25).windows((96, 96))
    alive: list[int] = []

    def parts() -> Iterator[torch.Tensor]:
        for number, (left, top, right, bottom) in enumerate(windows):
            alive.append(number)
            yield torch.ones(2, bottom - top, right - left)

    found = blended(parts(), windows, (96, 96), margin=8)
    assert alive == list(range(len(windows)))
    assert not found.any()


def test_a_seam_is_crossed_gradually() -> None:
    windows = [(0, 0, 100, 32), (60, 0, 160, 32)]
    sure = {0: 0.8, 1: 0.3}  # of class 0, left and right
    parts = [torch.stack([torch.full((32, 100), sure[side]), torch.full((32, 100), 1 - sure[side])]) for side in (0, 1)]
    found = blended(parts, windows, (32, 160), margin=40)
    change = np.flatnonzero(np.diff(found[0]))
    assert len(change) == 1
    # Weights 1 - t and t over the 40 shared pixels: 0.8 (1 - t) + 0.3 t = 0.5 at t = 0.6.
    assert change[0] + 1 == pytest.approx(60 + 0.6 * 40, abs=1)


def test_a_model_of_whole_pictures_can_look_at_parts() -> None:
    model = near(None, 96)
    assert model.in_slices(64).task.slices == Slices(size=64)  # type: ignore[attr-defined]
    kept = replace(model, task=Semantic(slices=Slices(size=64, overlap=0.5)))
    assert kept.in_slices(96).task.slices == Slices(size=96, overlap=0.5)  # type: ignore[attr-defined]
