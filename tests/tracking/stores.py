"""Empty MLflow stores, fast: the schema takes MLflow seconds to make, so it is made once and copied."""

import atexit
import contextlib
import functools
import shutil
import sqlite3
import tempfile
from pathlib import Path

from headstart.tracking.recorder import Store


@functools.cache
def schema() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="headstart-mlflow-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Store(f"sqlite:///{folder / 'mlflow.db'}")
    return folder / "mlflow.db"


def empty_store(runs: Path) -> str:
    """Make `mlflow.db` in the folder, as MLflow leaves it, without our experiment; return its URI."""
    runs.mkdir(parents=True, exist_ok=True)
    with (contextlib.closing(sqlite3.connect(schema())) as source,
          contextlib.closing(sqlite3.connect(runs / "mlflow.db")) as target):
        source.backup(target)
        target.execute("DELETE FROM experiments WHERE name = 'headstart'")
        target.execute("PRAGMA journal_mode=DELETE")
        target.commit()
    return f"sqlite:///{runs / 'mlflow.db'}"


def rows(runs: Path, query: str) -> list[tuple]:
    """Ask the database itself, not MLflow."""
    with contextlib.closing(sqlite3.connect(runs / "mlflow.db")) as connection:
        return connection.execute(query).fetchall()
