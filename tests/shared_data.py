"""Where the development data sets are; tests that need one skip when it is absent."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("HEADSTART_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared(name: str) -> Path:
    """Return the folder (or file) of a shared data set, or skip the test."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"needs {path}, a development data set that is not in the repository")
    return path
