"""Searches that are made once a session, in children of their own: what they load must not be forked again."""

import sqlite3
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def small_and_quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread; a cache of our own; and no waiting for the disk, which a killed process does not need."""
    real, threads = sqlite3.connect, torch.get_num_threads()

    def connect(*words: object, **names: object) -> sqlite3.Connection:
        connection = real(*words, **names)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)
