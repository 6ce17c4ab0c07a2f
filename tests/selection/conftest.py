"""Data and weights that are written once; a cache of each test's own; one thread."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from headstart.features import engine
from tests.selection.small import write_data, write_weights

Row = tuple[Path, str]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    engine._exported.clear()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "user_cache"))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty pictures in two classes."""
    return write_data(tmp_path_factory.mktemp("strips") / "strips")


@pytest.fixture(scope="session")
def alive(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_weights(tmp_path_factory.mktemp("weights") / "alive.safetensors")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_weights(tmp_path_factory.mktemp("weights") / "other.safetensors", seed=1)


@pytest.fixture(scope="session")
def dead(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_weights(tmp_path_factory.mktemp("weights") / "dead.safetensors", dead=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[int, int], list[Row]]:
    """Write pictures of zeros and ones, so many of each, and return their paths with the true labels."""
    def write(zeros: int, ones: int) -> list[Row]:
        images, digits = load_digits(return_X_y=True)
        rows = []
        for digit, count, name in ((0, zeros, "zero"), (1, ones, "one")):
            for number, pixels in enumerate(images[digits == digit][:count]):
                path = tmp_path / "images" / f"{name}-{number:02d}.png"
                path.parent.mkdir(exist_ok=True)
                Image.fromarray(np.uint8(pixels.reshape(8, 8) * 15)).resize((32, 32)).save(path)
                rows.append((path, name))
        return rows

    return write
