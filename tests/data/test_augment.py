import numpy as np
import pytest
import torch
from PIL import Image

from headstart.data.augment import Augment, reduced
from headstart.data.dataset import Dataset
from headstart.data.transforms import Preprocessing
from headstart.training.pictures import Pictures, TrainImages, ValImages
from headstart.types import Sample

PRESETS = ("none", "light", "standard", "strong")


def picture(channels: int, *, height: int = 60, width: int = 45) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, channels)).astype(np.uint8)


def settings(channels: int = 3, **changes) -> Preprocessing:
    return Preprocessing(size=32, channels=channels, mean=(0.5,) * channels, std=(0.2,) * channels, **changes)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 3, 4, 6])
def test_equal_seeds_give_equal_images_of_the_right_shape(preset, channels):
    made = Augment(preset, settings(channels))
    small = reduced(settings(channels), picture(channels))
    before = torch.get_rng_state()
    images = [made(small, seed=seed) for seed in (5, 5, 6)]
    assert torch.equal(torch.get_rng_state(), before)
    assert images[0].shape == (channels, 32, 32)
    assert images[0].dtype == torch.uint8
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2]) == (preset == "none")


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_preset_none_gives_what_validation_sees(fit):
    made = settings(fit=fit)
    image = Augment("none", made)(reduced(made, picture(3)), seed=1)
    assert np.array_equal(image.permute(1, 2, 0).numpy(), made.arrange(picture(3)))


def test_light_never_mirrors():
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, :32] = 200
    made = Augment("light", settings())
    for seed in range(40):
        image = made(reduced(settings(), half), seed=seed).float()
        assert image[..., :12].mean() > image[..., -12:].mean() + 100


@pytest.mark.parametrize("budget", [0.0, 1e9])
@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_validation_gives_bit_for_bit_what_preprocessing_gives(tmp_path, fit, budget):
    path = tmp_path / "a.png"
    Image.fromarray(picture(3)).save(path)
    made = settings(fit=fit)
    pictures = Pictures(Dataset((Sample("a", path, 0),), ("x", "y"), "classification", "class_folders"), made,
                        budget=budget)
    pictures.load(step="decoding", listen=lambda event: None, check=lambda: None)
    assert torch.equal(made.normalise(ValImages(pictures)[0][0]), made(path))
    again = TrainImages(pictures, np.ones(1, np.float32), preset="standard", seed=0)
    assert torch.equal(again[(2, 0)][0], again[(2, 0)][0])
    assert not torch.equal(again[(2, 0)][0], again[(3, 0)][0])
