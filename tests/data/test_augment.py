import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from headstart.data.augment import Augment, Wobble, reduced
from headstart.data.dataset import Dataset
from headstart.data.transforms import Preprocessing, to_tensor
from headstart.training.pictures import Pictures, TrainImages, ValImages
from headstart.types import Sample

PRESETS = ("none", "light", "standard", "strong")
LEVELS = (0, 1, 2)
FACTORS = (1.0, 1.5, 2.0)
every_level = pytest.mark.parametrize(("level", "factor"), list(zip(LEVELS, FACTORS, strict=True)))


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


@pytest.mark.parametrize("level", LEVELS)
def test_light_never_mirrors(level):
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, :32] = 200
    made = Augment("light", settings(), erasing=0, level=level)
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


def grey(preset, *, seeds: int = 300, **options) -> torch.Tensor:
    """What becomes of a picture that is 100 everywhere: [seeds, 1, 32, 32], blotted out by 255."""
    made = Augment(preset, settings(1), **options)
    plain = reduced(settings(1), np.full((60, 45, 1), 100, np.uint8))
    return torch.stack([made(plain, seed=seed) for seed in range(seeds)])


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_policies_follow_the_seed_alone_on_any_channels(preset, policy, channels):
    made = Augment(preset, settings(channels), policy=policy, erasing=0.5, level=1)
    images = [made(reduced(settings(channels), picture(channels)), seed=seed) for seed in (5, 5, 6)]
    assert images[0].shape == (channels, 32, 32)
    assert images[0].dtype == torch.uint8
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])


@pytest.mark.parametrize(("policy", "transform"), [("randaugment", v2.RandAugment),
                                                   ("trivialaugment", v2.TrivialAugmentWide)])
def test_a_policy_without_a_preset_is_the_librarys_own(policy, transform):
    shown = to_tensor(settings().arrange(picture(3)))
    for seed in range(10):
        torch.manual_seed(seed)
        expected = transform()(shown)
        assert torch.equal(Augment("none", settings(), policy=policy)(reduced(settings(), picture(3)), seed=seed),
                           expected)


def test_a_policy_takes_the_place_of_strongs_own():
    kinds = {policy: {type(step) for step in Augment("strong", settings(), policy=policy).steps}
             for policy in ("preset", "randaugment")}
    assert v2.TrivialAugmentWide in kinds["preset"] - kinds["randaugment"]
    assert v2.RandAugment in kinds["randaugment"] - kinds["preset"]


@pytest.mark.parametrize(("preset", "erasing", "level", "chance"), [
    ("none", None, 0, 0), ("none", 0.5, 0, 0.5), ("light", None, 0, 0), ("light", None, 1, 0.15),
    ("light", None, 2, 0.3), ("light", 0.4, 1, 0.55), ("light", 0.9, 2, 1), ("light", 0, 2, 0),
    ("none", None, 2, 0.15)])
def test_erasing_happens_as_often_as_the_table_says(preset, erasing, level, chance):
    found = float((grey(preset, erasing=erasing, level=level) == 255).flatten(1).any(dim=1).double().mean())
    assert found == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 300) ** 0.5)


def test_strong_erases_by_itself_and_only_if_the_user_lets_it():
    chances = [[step.p for step in Augment("strong", settings(), erasing=erasing, level=level).steps
                if isinstance(step, v2.RandomErasing)] for erasing, level in ((None, 0), (None, 2), (0, 0), (0, 2))]
    assert chances == [[0.25], [0.55], [], []]


@every_level
@pytest.mark.parametrize(("preset", "strength"), [("light", 0.1), ("standard", 0.2)])
def test_a_level_widens_the_brightness_by_half_of_what_it_was(preset, strength, level, factor):
    brightness = grey(preset, erasing=0, level=level)[:, 0, 16, 16].double() / 100
    assert float((brightness - 1).abs().max()) == pytest.approx(strength * factor, rel=0.05)


@every_level
def test_a_level_lets_a_crop_keep_less(level, factor):
    assert Augment("standard", settings(), level=level).steps[0].scale[0] == pytest.approx(0.35 / factor)
    assert Augment("strong", settings(fit="pad"), level=level).steps[0].scale[0] == pytest.approx(0.5 / factor)


@every_level
def test_a_level_turns_shifts_and_zooms_further_and_never_past_the_picture(level, factor):
    wobble = Augment("light", settings(), level=level).steps[0]
    assert isinstance(wobble, Wobble)
    torch.manual_seed(0)
    plain = torch.full((1, 32, 32), 100, dtype=torch.uint8)
    assert min(int(wobble(plain).min()) for _ in range(300)) >= 99  # beyond it all is 0
    assert wobble.affine.degrees == pytest.approx([-10 * factor, 10 * factor])
    assert wobble.affine.scale == pytest.approx((1 - 0.1 * factor, 1 + 0.1 * factor))
    assert wobble.affine.translate[0] * (32 + 2 * wobble.margin) == pytest.approx(0.08 * factor * 32)


@pytest.mark.parametrize(("level", "magnitude"), [(0, 9), (1, 14), (2, 18)])
def test_a_level_raises_the_magnitude_of_randaugment(level, magnitude):
    assert Augment("light", settings(), policy="randaugment", level=level).steps[3].magnitude == magnitude


@pytest.mark.parametrize("level", [1, 2])
def test_none_is_raised_to_light(level):
    for seed in range(5):
        raised, light = (Augment(preset, settings(), level=at)(reduced(settings(), picture(3)), seed=seed)
                         for preset, at in (("none", level), ("light", level - 1)))
        assert torch.equal(raised, light)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_level_adds_no_kind_but_erasing(preset):
    kinds = [{type(step) for step in Augment("light" if preset == "none" else preset, settings(), level=level).steps}
             for level in LEVELS]
    assert kinds[2] - kinds[0] <= {v2.RandomErasing}


def test_training_images_hand_their_options_on(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(picture(3)).save(path)
    dataset = Dataset((Sample("a", path, 0),), ("x", "y"), "classification", "class_folders")
    images = TrainImages(Pictures(dataset, settings(), budget=0.0), np.ones(1, np.float32), preset="none",
                         policy="randaugment", erasing=1.0, level=2, seed=0)
    kinds = [type(step) for step in images.augment.steps]
    assert kinds[0] is Wobble
    assert kinds[-2:] == [v2.RandAugment, v2.RandomErasing]
