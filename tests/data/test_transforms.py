import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from headstart.data.transforms import Preprocessing, to_tensor
from headstart.errors import ConfigError
from tests.pictures import noise, picture


@pytest.mark.parametrize("size", [(61, 40), (40, 61), (33, 33), (128, 97), (20, 35)])
@pytest.mark.parametrize("name", ["bilinear", "bicubic", "nearest", "lanczos"])
def test_crop_equals_torchvisions_evaluation_transform(tmp_path: Path, size: tuple[int, int], name: str) -> None:
    path = picture(tmp_path / "a.png", size=size)
    ours = Preprocessing(size=28, crop_fraction=0.875, interpolation=name)  # type: ignore[arg-type]
    theirs = Compose([Resize(32, InterpolationMode(name)), CenterCrop(28), ToTensor(), Normalize(ours.mean, ours.std)])
    torch.testing.assert_close(ours(path), theirs(Image.open(path)), atol=1e-6, rtol=0)


def test_squash_equals_pillows_resize(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", size=(50, 31))
    wanted = np.asarray(Image.open(path).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(Preprocessing(size=16, fit="squash").pixels(path), wanted)


def test_pad_keeps_the_whole_picture_on_the_background(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", size=(32, 16))
    pixels = Preprocessing(size=32, fit="pad", background=5).pixels(path)
    np.testing.assert_array_equal(pixels[8:24], noise(0, (32, 16)))
    assert (pixels[:8] == 5).all()
    assert (pixels[24:] == 5).all()


def test_a_path_and_the_bytes_of_the_file_give_one_tensor(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", size=(70, 50))
    preprocessing = Preprocessing(size=32)
    again = pickle.loads(pickle.dumps(preprocessing))
    assert torch.equal(preprocessing(path), preprocessing(partial(bytes, path.read_bytes())))
    assert torch.equal(preprocessing(path), again(path))


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 90), height=st.integers(1, 90), channels=st.sampled_from([1, 3, 4]),
       fit=st.sampled_from(["crop", "squash", "pad"]), size=st.integers(8, 40))
def test_every_size_becomes_the_one_shape(width: int, height: int, channels: int, fit: str, size: int) -> None:
    ours = Preprocessing(size=size, channels=channels, fit=fit)  # type: ignore[arg-type]
    pixels = ours.arrange(np.full((height, width, channels), 200, np.uint8))
    assert pixels.shape == (size, size, channels)
    assert pixels.dtype == np.uint8
    assert set(np.unique(pixels)) <= {200, 255}  # a flat picture stays flat, beside the background


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (3, 2999)])
def test_extreme_shapes_are_accepted(tmp_path: Path, size: tuple[int, int], fit: str) -> None:
    path = picture(tmp_path / "a.png", size=size)
    assert Preprocessing(size=64, fit=fit)(path).shape == (3, 64, 64)  # type: ignore[arg-type]


def test_a_fourth_channel_is_resized_like_the_others() -> None:
    picture4 = np.concatenate([noise(1), noise(2)[..., :1]], axis=2)
    resized = Preprocessing(size=8, channels=4).resize(picture4, (7, 9))
    plane = Image.fromarray(picture4[..., 3]).resize((9, 7), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resized[..., 3], np.asarray(plane))


def test_normalise_is_the_formula() -> None:
    pixels = torch.tensor([[[0]], [[128]], [[255]]], dtype=torch.uint8)
    found = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5)).normalise(pixels)
    torch.testing.assert_close(found.flatten(), torch.tensor([-2.5, (128 / 255 - 0.4) / 0.25, 1.4]))


def test_to_tensor_puts_channels_first() -> None:
    np.testing.assert_array_equal(to_tensor(noise(0)).numpy(), noise(0).transpose(2, 0, 1))


def test_unknown_settings_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r'unknown setting "sise". Did you mean "size"'):
        Preprocessing.parse({"sise": 3})
