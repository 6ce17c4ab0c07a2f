"""MlflowListener: passes a run's events to MLflow without ever slowing or failing the run.

MLflow takes seconds to import and a store that is down takes longer to say so. So the listener only writes a journal
into the run directory; a process of its own (`recorder.py`) reads it and talks to MLflow. What can't be delivered
stays in the journal, and the next run that starts beside it delivers it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from headstart.events import EpochEnded, Event, Listen, Note, RunFinished, RunStarted, broadcast, silent
from headstart.tracking.journal import Journal, Record

STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
WITHOUT_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
"""MLflow reports its use to its makers unless told not to."""


class MlflowListener:
    """Records a run in MLflow.

    uri: MLflow tracking URI; None takes $MLFLOW_TRACKING_URI, or else `mlflow.db` beside the run directory.
    listen: is told, once, when the store can't be reached.
    patience: seconds to wait at the end of a run for the last records to arrive; after that the recorder has a minute
    to finish on its own, and what is left over waits for the next run.
    """

    def __init__(self, uri: str | None = None, *, listen: Listen = silent, patience: float = 5.0) -> None:
        self.uri = uri
        self.listen = listen
        self.patience = patience
        self._journal: Journal | None = None
        self._run = ""
        self._lock = contextlib.ExitStack()
        self._recorder: subprocess.Popen[bytes] | None = None
        self._ear: threading.Thread | None = None
        self._warned = False

    def __call__(self, event: Event) -> None:
        """Journal the event if it is one that MLflow keeps."""
        try:
            match event:
                case RunStarted():
                    self._start(event)
                case EpochEnded():
                    numbers = {f"{event.method}/{name}": value for name, value in event.values.items()}
                    self._append(Record("metrics", self._run, numbers=numbers, step=event.step))
                case RunFinished():
                    self._finish(event)
        except OSError as error:
            self._journal = None
            self._warn(f"MLflow will not show the rest of this run: its journal could not be written ({error}). "
                       "The run goes on.")

    def _start(self, event: RunStarted) -> None:
        self._lock.close()
        self._warned = False
        journal = self._journal = Journal(event.directory)
        earlier = journal.records()
        self._run = earlier[-1].run if event.resumed and earlier else uuid.uuid4().hex
        self._append(Record("start", self._run, words=dict(flattened(event.settings))))
        handle = self._lock.enter_context(journal.held())
        uri = self.uri or default_uri(event.directory.parent)
        # The recorder shares the lock, so that nobody takes over its journal while it lives. Its standard input is
        # how it learns of new records, and of the end of this process, however that comes.
        self._recorder = subprocess.Popen(
            [sys.executable, "-P", "-m", "headstart.tracking.recorder", str(event.directory), uri],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=[] if handle is None else [handle], env={**os.environ, **WITHOUT_TELEMETRY})
        self._ear = threading.Thread(target=self._hear, args=[self._recorder, uri], daemon=True)
        self._ear.start()

    def _append(self, record: Record) -> None:
        if self._journal is None:
            return
        self._journal.append(record)
        if self._recorder and self._recorder.stdin:
            with contextlib.suppress(BrokenPipeError):  # The recorder is gone; the journal keeps the record.
                self._recorder.stdin.write(b"\n")
                self._recorder.stdin.flush()

    def _finish(self, event: RunFinished) -> None:
        self._append(Record("end", self._run, numbers=dict(headline(event.metrics)), status=STATUS[event.status]))
        recorder, self._recorder = self._recorder, None
        if recorder is None or recorder.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            recorder.stdin.close()
        # A store that has already failed, and a user who has pressed Ctrl-C, are not waited for.
        patience = self.patience if event.status == "finished" and not self._warned else 0.0
        try:
            recorder.wait(patience)
        except subprocess.TimeoutExpired:
            if self._warned:
                recorder.kill()
                recorder.wait()
            else:
                self.listen(Note("MLflow takes in the last of this run in the background.", level="info"))
        if self._ear and recorder.poll() is not None:
            self._ear.join()  # a recorder that failed at the very end has said why
        self._lock.close()

    def _hear(self, recorder: subprocess.Popen[bytes], uri: str) -> None:
        assert recorder.stdout is not None
        for line in recorder.stdout:
            self._warn(f"MLflow at {uri} can't be reached ({line.decode().strip()}). The run goes on; what it has to "
                       "tell waits in its directory until the store is back, or the next run starts.")

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            self.listen(Note(text, level="warning"))


def tracked(listen: Listen, tracking: str) -> Listen:
    """Return `listen` with MLflow beside it, as `Job.tracking` says: `sqlite`, `off`, or the address of a server."""
    if tracking == "off":
        return listen
    return broadcast([listen, MlflowListener(None if tracking == "sqlite" else tracking, listen=listen)])


def default_uri(runs: Path) -> str:
    """Return where runs in the folder `runs` are tracked: $MLFLOW_TRACKING_URI, else `mlflow.db` in that folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{runs.resolve() / 'mlflow.db'}"


def page_command(uri: str, *, port: int) -> list[str]:
    """Return the command that serves MLflow's page of the store on this machine only."""
    return [sys.executable, "-P", "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", "127.0.0.1",
            "--port", str(port), "--workers", "1"]


def flattened(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every leaf of nested settings as (`method.0.epochs`, "5")."""
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            value = dict(enumerate(value))
        if isinstance(value, Mapping):
            yield from flattened({str(k): v for k, v in value.items()}, f"{name}.")
        else:
            yield name, str(value)


def headline(metrics: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> Iterator[tuple[str, float]]:
    """Yield (`test/accuracy`, 0.97), (`test/accuracy_low`, 0.95) ... of every defined metric."""
    for split, of_split in metrics.items():
        for name, interval in of_split.items():
            for bound, value in interval.items():
                if value is not None:
                    yield f"{split}/{name}" + ("" if bound == "value" else f"_{bound}"), float(value)
