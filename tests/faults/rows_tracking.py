"""Rows 56 to 59: the tracker is down, shared, or left behind by a kill; two runs want one folder."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headstart import events, files
from headstart.errors import ConfigError
from headstart.tracking import MlflowListener
from headstart.tracking.journal import Journal
from headstart.tracking.listener import WITHOUT_TELEMETRY
from headstart.tracking.recorder import Store
from tests.faults.matrix import row
from tests.tracking.stores import empty_store, rows


def eventually(holds, *, seconds=120.0):
    """Wait until it holds; the machine may be busy."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it never came true")


def run_of_three_epochs(directory, uri, notes):
    """Return the seconds that the listener took from a run of three epochs, and the listener, which is still up."""
    directory.mkdir(parents=True)
    listener = MlflowListener(uri, listen=notes.append)
    begin = time.perf_counter()
    listener(events.RunStarted(directory, {"seed": 0}))
    for epoch in range(3):
        listener(events.EpochEnded("probe", epoch, epoch, {"val_loss": 1.0 / (epoch + 1)}))
    return time.perf_counter() - begin, listener


@row(56, "MLflow is down, locked or can't be opened")
def a_tracker_that_fails_costs_one_warning(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    uris = {"down": "http://127.0.0.1:9", "locked": empty_store(tmp_path),
            "unopenable": f"sqlite:///{tmp_path}/a-file/mlflow.db"}
    notes: dict[str, list[events.Event]] = {kind: [] for kind in uris}
    listeners = {}
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        for kind, uri in uris.items():
            seconds, listeners[kind] = run_of_three_epochs(tmp_path / kind, uri, notes[kind])
            assert seconds < 1.0
        eventually(lambda: all(notes.values()))
        for kind, listener in listeners.items():
            begin = time.perf_counter()
            listener(events.RunFinished(tmp_path / kind, "finished"))
            assert time.perf_counter() - begin < 1.0, "a store known to be down is not waited for"
    for kind, uri in uris.items():
        assert len(notes[kind]) == 1
        assert f"MLflow at {uri} can't be reached" in notes[kind][0].text
        assert [record.kind for record in Journal(tmp_path / kind).records()] == ["start", *["metrics"] * 3, "end"]
    Store(uris["locked"]).catch_up(tmp_path)  # as the next run does when it starts
    assert rows(tmp_path, "SELECT name, status FROM runs ORDER BY name") == [
        (kind, "FINISHED") for kind in sorted(uris)]
    assert rows(tmp_path, "SELECT count(*) FROM metrics") == [(9,)]


@row(57, "eight processes use a fresh database at once")
def the_first_use_is_not_a_race(tmp_path: Path) -> None:
    program = """
import faulthandler, os, sys
import mlflow.tracking  # once, before the fork: the import takes seconds
from headstart.tracking.recorder import Store
children = []
for number in range(8):
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(200, exit=True)
        store = Store(sys.argv[1])
        for step in range(5):
            store.client.log_metric(store.client.create_run(store.experiment).info.run_id, "loss", 1.0, step=step)
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitpid(child, 0)[1] for child in children) != 0)
"""
    # With its telemetry MLflow starts a thread when it is imported, and what that holds at the fork is held for ever.
    answer = subprocess.run([sys.executable, "-c", program, f"sqlite:///{tmp_path}/mlflow.db"], capture_output=True,
                            timeout=280, env={**os.environ, **WITHOUT_TELEMETRY})
    assert answer.returncode == 0, answer.stderr.decode()[-2000:]
    assert rows(tmp_path, "SELECT count(*) FROM runs") == [(40,)]
    assert rows(tmp_path, "SELECT count(*) FROM experiments WHERE name = 'headstart'") == [(1,)]
    assert rows(tmp_path, "PRAGMA journal_mode") == [("wal",)]


@row(58, "a run and its recorder are killed")
def a_killed_run_does_not_stay_running(tmp_path: Path) -> None:
    uri = empty_store(tmp_path)
    program = """
import sys, time
from pathlib import Path
from headstart import events
from headstart.tracking import MlflowListener
directory = Path(sys.argv[1])
directory.mkdir()
listener = MlflowListener(sys.argv[2])
listener(events.RunStarted(directory, {}))
listener(events.EpochEnded("probe", 0, 0, {"val_loss": 0.5}))
print(listener._recorder.pid, flush=True)
time.sleep(300)
"""
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run"), uri], stdout=subprocess.PIPE)
    assert process.stdout is not None
    recorder = int(process.stdout.readline())
    eventually(lambda: rows(tmp_path, "SELECT status FROM runs") == [("RUNNING",)])
    os.kill(recorder, signal.SIGKILL)
    process.kill()
    process.communicate()
    Store(uri).catch_up(tmp_path)
    assert rows(tmp_path, "SELECT status FROM runs") == [("KILLED",)]
    assert rows(tmp_path, "SELECT value FROM metrics WHERE key = 'probe/val_loss'") == [(0.5,)]


@row(59, "two runs, one folder; a folder that can't be written")
def a_folder_belongs_to_one_run(tmp_path: Path) -> None:
    program = "import sys, pathlib; from headstart import files\n" \
              "with files.exclusive(pathlib.Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "run")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"mine\n"
    with pytest.raises(ConfigError, match=f"pid {holder.pid}.*choose another --out"), \
            files.exclusive(tmp_path / "run"):
        pass
    holder.communicate()
    with files.exclusive(tmp_path / "run"):
        pass
    with pytest.raises(ConfigError, match="can't be written"), files.exclusive(Path("/proc/headstart-run")):
        pass
