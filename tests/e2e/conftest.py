"""A small real data set (scikit-learn's digits 0, 1 and 7) and finished runs on it, made once a session."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

import headstart as hs

SMALL = {"backbone": "efficientnet_lite0", "image_size": 32, "fit": "squash", "tracking": "off"}


def write_digits(folder: Path, *, digits: tuple[int, ...] = (0, 1, 7), each: int = 20, start: int = 0) -> Path:
    images, labels = load_digits(return_X_y=True)
    for digit in digits:
        (folder / f"digit {digit}").mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate(images[labels == digit][start:start + each]):
            picture = Image.fromarray((pixels.reshape(8, 8) * 15).astype("uint8")).resize((40, 40))
            picture.save(folder / f"digit {digit}" / f"{start + number:03d}.png")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["HEADSTART_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="session")
def probed(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(digits, method="probe", out=tmp_path_factory.mktemp("runs") / "probe", **SMALL)


@pytest.fixture(scope="session")
def finetuned(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    method = [{"method": "finetune", "epochs": 2}]
    return hs.adapt(digits, method=method, out=tmp_path_factory.mktemp("runs") / "finetune", **SMALL)


@pytest.fixture
def own_probed(probed: hs.Run, tmp_path: Path) -> hs.Run:
    """A copy that the test may damage."""
    return hs.load_run(shutil.copytree(probed.directory, tmp_path / "probe"))
