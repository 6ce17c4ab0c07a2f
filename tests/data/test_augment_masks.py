"""Augmentation of pictures with masks: the mask follows the picture, and is never interpolated."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headstart.data import augment_masks
from headstart.data.augment_masks import Labelled, MaskAugment
from headstart.data.pixel_classes import resized_classes
from headstart.types import IGNORED

PRESETS = ("none", "light", "standard", "strong")
GREYS = {0: 20, 7: 120, 200: 230}
"""Class -> grey level of the picture where it is."""


def item(height: int = 40, width: int = 56, seed: int = 0) -> Labelled:
    """A picture whose grey levels are its classes: three patches with straight edges."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((height, width), np.uint8)
    classes[:, rng.integers(width // 3, 2 * width // 3):] = 7
    classes[rng.integers(height // 3, 2 * height // 3):, :width // 2] = 200
    picture = np.zeros((height, width, 3), np.uint8)
    for label, grey in GREYS.items():
        picture[classes == label] = grey
    return Labelled(picture, classes)


@given(preset=st.sampled_from(PRESETS), seed=st.integers(0, 10_000), level=st.integers(0, 2), height=st.integers(3, 70),
       width=st.integers(3, 70))
@example(preset="strong", seed=198, level=0, height=8, width=8)  # the elastic blur was wider than the picture
@settings(max_examples=60, deadline=None)
def test_a_mask_has_no_class_that_was_not_there_and_keeps_the_size(preset: str, seed: int, level: int, height: int,
                                                                   width: int) -> None:
    given_item = item(height, width, seed)
    image, classes = MaskAugment(preset, background=255, channels=3, level=level)(given_item, seed=seed)  # type: ignore[arg-type]
    assert image.shape == (3, height, width)
    assert classes.shape == (height, width)
    assert set(np.unique(classes.numpy())) <= {*np.unique(given_item.classes).tolist(), IGNORED}


@pytest.mark.parametrize("preset", PRESETS)
def test_the_mask_lies_where_the_picture_lies(preset: str) -> None:
    """Colours are left alone here, so that the grey level still says the class of a pixel away from edges."""
    augment = MaskAugment(preset, background=255, channels=3)  # type: ignore[arg-type]
    augment._colour = []
    right = total = 0
    for seed in range(25):
        image, classes = augment(item(seed=seed), seed=seed)
        grey = image[0].numpy().astype(int)
        for label, level in GREYS.items():
            sure = np.abs(grey - level) < 3
            total += int(sure.sum())
            right += int((sure & (classes.numpy() == label)).sum())
    assert total > 25 * 40 * 56 / 2
    assert right / total > 0.985


def test_none_leaves_every_pixel_and_equal_seeds_give_equal_pictures() -> None:
    given_item = item()
    image, classes = MaskAugment("none", background=255, channels=3)(given_item, seed=3)
    assert np.array_equal(image.numpy().transpose(1, 2, 0), given_item.picture)
    assert np.array_equal(classes.numpy(), given_item.classes)
    strong = MaskAugment("strong", background=255, channels=3)
    first, again, other = (strong(given_item, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_zooms_look_at_a_rare_class_more_often_than_chance_would(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = np.zeros((64, 64), np.uint8)
    classes[2:6, 2:6] = 1
    rare = Labelled(np.zeros((64, 64, 3), np.uint8), classes)
    augment = MaskAugment("standard", background=255, channels=3)

    def share() -> float:
        return float(np.mean([(augment(rare, seed=seed)[1] == 1).float().mean() for seed in range(300)]))

    aware = share()
    monkeypatch.setattr(augment_masks, "_looked_at", lambda _: tuple(torch.rand(2).tolist()))
    assert aware > 1.15 * share()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 90), st.integers(1, 90))
def test_resizing_takes_the_pixel_on_which_a_centre_falls(height: int, width: int, high: int, wide: int) -> None:
    found = np.arange(height * width, dtype=np.int64).reshape(height, width)
    small = resized_classes(found, (high, wide))  # type: ignore[arg-type]
    for row, column in ((0, 0), (high - 1, wide - 1), (high // 2, wide // 3)):
        expected = found[int((row + 0.5) * height / high), int((column + 0.5) * width / wide)]
        assert small[row, column] == expected
