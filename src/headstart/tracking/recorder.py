"""The recorder: a process beside the run that reads its journal and tells MLflow. The only door to MLflow.

    python -m headstart.tracking.recorder RUN_DIRECTORY TRACKING_URI

Standard input: any byte says that there are new records, its end says that the run's process is gone. Standard
output: one line, the reason, when the store can't be reached for the first time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from headstart.tracking.journal import FILE_NAME, Journal, Record
from headstart.tracking.listener import WITHOUT_TELEMETRY

EXPERIMENT = "headstart"
ARTIFACTS = ("report.html", "job.yaml", "choice.json", "data.json", "backbone.json", "environment.json", "history.csv",
             "metrics.json", "baselines.json", "details.json", "watch.json", "comparison.json", "run.json")
"""The weights stay where they are: a second copy of them would double the disk that a run takes."""
HEARTBEAT_SECONDS = 60
STALE_SECONDS = 15 * 60
RETRY_SECONDS = 30
GRACE_SECONDS = 60
"""How long the recorder may outlive the run's process."""


class Store:
    """One MLflow tracking store. Every call may be repeated: nothing is recorded twice."""

    def __init__(self, uri: str) -> None:
        os.environ.update(WITHOUT_TELEMETRY)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        from mlflow.tracking import MlflowClient

        database = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
        with prepared(database) if database else contextlib.nullcontext():
            self.client = MlflowClient(tracking_uri=uri)
            found = self.client.get_experiment_by_name(EXPERIMENT)
            folder = (database.parent / "mlartifacts").resolve().as_uri() if database else None
            self.experiment = found.experiment_id if found else self.client.create_experiment(EXPERIMENT, folder)
        self._runs: dict[str, str] = {}

    def deliver(self, journal: Journal) -> None:
        """Pass on, in order, what the journal holds and the store has not got yet."""
        from mlflow.exceptions import MlflowException

        records = journal.records()
        for index in range(journal.delivered(), len(records)):
            try:
                self._deliver(records[index], journal.directory)
            except LookupError:
                pass  # the user has deleted the run in MLflow
            except MlflowException as error:
                # A record that MLflow will never accept must not hold up those behind it.
                if error.error_code != "INVALID_PARAMETER_VALUE":
                    raise
            journal.mark_delivered(index + 1)

    def beat(self, run: str) -> None:
        """Say that the run's process is alive."""
        self.client.set_tag(self._known(run), "headstart.heartbeat", str(int(time.time())))

    def catch_up(self, runs: Path) -> None:
        """Deliver the journals in `runs` whose processes are gone, and end the runs that nobody will end."""
        for file in sorted(runs.glob(f"*/{FILE_NAME}")):
            journal = Journal(file.parent)
            if journal.settled():
                continue
            with journal.held() as handle:
                if handle is not None:
                    journal.close_as_killed()
                    self.deliver(journal)
        for run in self.client.search_runs([self.experiment], "attributes.status = 'RUNNING'"):
            if gone(run.data.tags):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _deliver(self, record: Record, directory: Path) -> None:
        from mlflow.entities import Metric, Param

        run = self._begin(record, directory) if record.kind == "start" else self._known(record.run)
        params = [Param(clean(name), text[:6000]) for name, text in record.words.items()]
        for start in range(0, len(params), 100):  # MLflow's limit for one call
            self.client.log_batch(run, params=params[start:start + 100])
        self.client.log_batch(run, [Metric(clean(name), value, record.milliseconds, record.step)
                                    for name, value in record.numbers.items()])
        if record.kind == "end":
            for name in ARTIFACTS:
                if (directory / name).exists():
                    self.client.log_artifact(run, str(directory / name))
            self.client.set_terminated(run, record.status, end_time=record.milliseconds)

    def _begin(self, record: Record, directory: Path) -> str:
        tags = {"headstart.id": record.run, "headstart.directory": str(directory.resolve()),
                "headstart.host": socket.gethostname(), "headstart.heartbeat": str(int(time.time())),
                "mlflow.source.name": "headstart"}
        try:
            run = self._known(record.run)
        except LookupError:
            made = self.client.create_run(self.experiment, record.milliseconds, tags, run_name=directory.name)
            self._runs[record.run] = made.info.run_id
            return str(made.info.run_id)
        for key, value in tags.items():
            self.client.set_tag(run, key, value)
        self.client.update_run(run, status="RUNNING")
        return run

    def _known(self, run: str) -> str:
        if run not in self._runs:
            found = self.client.search_runs([self.experiment], f"tags.`headstart.id` = '{run}'", max_results=1)
            if not found:
                raise LookupError(f"the store has no run {run}")
            self._runs[run] = found[0].info.run_id
        return self._runs[run]


@contextlib.contextmanager
def prepared(database: Path) -> Iterator[None]:
    """Let one process at a time open the database: MLflow's first use creates the schema, and two of them collide."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(database.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.closing(sqlite3.connect(database, timeout=5)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # readers and a writer no longer wait for each other
        yield


def gone(tags: dict[str, str]) -> bool:
    """Return whether the process of a run with these tags has ended without saying so."""
    if "headstart.id" not in tags:
        return False
    if tags["headstart.host"] == socket.gethostname():
        return Journal(Path(tags["headstart.directory"])).abandoned()
    return time.time() - float(tags["headstart.heartbeat"]) > STALE_SECONDS


def clean(name: str) -> str:
    """Return the name with what MLflow refuses in names replaced."""
    return re.sub(r"[^\w.\- :/]", "_", name).strip("/.")[:250] or "_"


def follow(journal: Journal, uri: str, report: Callable[[str], None]) -> int:
    """Deliver the journal as it grows, until the run's process is gone. Returns the exit code.

    report: is told, once, why the store can't be reached.
    """
    store: Store | None = None
    caught_up = reported = False
    alive, retry_at, beat_at = True, 0.0, 0.0
    while True:
        try:
            if time.monotonic() >= retry_at or not alive:
                store = store or Store(uri)
                store.deliver(journal)
                if not caught_up:
                    store.catch_up(journal.directory.parent)
                    caught_up = True
                if alive and time.monotonic() >= beat_at:
                    store.beat(journal.records()[-1].run)
                    beat_at = time.monotonic() + HEARTBEAT_SECONDS
        except Exception as error:  # SQLAlchemy's, requests', MLflow's, the disk's: each means "not now"
            if not reported:
                report(" ".join(f"{type(error).__name__}: {error}".split())[:300])
            reported, retry_at = True, time.monotonic() + RETRY_SECONDS
        if not alive:
            return 0 if journal.settled() else 1
        alive = wait_for_news(RETRY_SECONDS)
        if not alive:
            signal.alarm(GRACE_SECONDS)
            journal.close_as_killed()


def wait_for_news(seconds: float) -> bool:
    """Wait until there are new records or the time is over; return False when the run's process is gone."""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return not ready or os.read(sys.stdin.fileno(), 65536) != b""


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.nice(10)  # the run comes first
    channel, sys.stdout = sys.stdout, sys.stderr  # what MLflow prints is not a report
    sys.exit(follow(Journal(Path(sys.argv[1])), sys.argv[2], lambda text: print(text, file=channel, flush=True)))
