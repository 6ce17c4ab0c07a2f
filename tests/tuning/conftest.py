"""Searches that are made once a session, in children of their own: what they load must not be forked again.

Code is another matter: a module that is imported here is there in every child, which would else take seconds for it.
"""

import importlib
import sqlite3
from collections.abc import Iterator

import pytest
import torch

LOADED = ("headstart.tuning.tune", "headstart.training.train", "optuna", "optuna.storages._rdb.storage",
          "optuna.pruners", "optuna.samplers", "alembic.command", "sklearn.linear_model")


@pytest.fixture(scope="package", autouse=True)
def small_and_quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread; a cache of our own; and no waiting for the disk, which a killed process does not need."""
    for name in LOADED:
        importlib.import_module(name)
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
