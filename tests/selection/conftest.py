"""Data and weights that are written once; a cache of each test's own; one thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from headstart.features import engine
from tests.selection.small import write_data, write_weights


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
