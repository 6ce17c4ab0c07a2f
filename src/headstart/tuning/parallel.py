"""Parallel: several workers at one study, each a process with its share of the cores."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from headstart import errors
from headstart.adaptation import WORK
from headstart.errors import ResourceError
from headstart.events import Listen, Note
from headstart.tuning.outcome import Outcome, said
from headstart.tuning.search import Search
from headstart.tuning.study import Study
from headstart.tuning.worker import Order

PATIENCE = 30.0
"""Seconds that a worker has to write its checkpoint when the search is stopped."""
LOOK = 0.2
"""Seconds between two looks at what the workers have done."""


def search_together(plan: Search, study: Study, *, workers: int, listen: Listen,
                    remaining: Callable[[], float]) -> None:
    """Carry out trials in `workers` processes. Which settings are drawn depends on which trial ends first.

    Raises the error that ends a search, ResourceError where no worker is left, and lets Interrupted through.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    order = Order(plan, remaining(), threads)
    told = {o.number for o in study.outcomes() if o.state not in ("running", "waiting")}
    with _workers(order, workers, plan.directory / WORK) as processes:
        while processes:
            time.sleep(LOOK)
            for process, log in list(processes.items()):
                if process.poll() is not None:
                    del processes[process]
                    _bury(process, log, study, listen)
            told |= _tell(study, told, plan.metric, listen)
    best = study.best()
    if remaining() > 0 and len(_ended(study)) < plan.limit and best is None:
        raise ResourceError("all workers died before a trial finished. Use fewer --workers: each holds a network and "
                            f"images in memory. What they said last is in {plan.directory / WORK}.")


@contextlib.contextmanager
def _workers(order: Order, count: int, folder: Path) -> Iterator[dict[subprocess.Popen[bytes], Path]]:
    """Start the workers; when left, none is alive."""
    folder.mkdir(parents=True, exist_ok=True)
    data = pickle.dumps(order)
    processes: dict[subprocess.Popen[bytes], Path] = {}
    threads = str(order.threads)
    try:
        for number in range(count):
            log = folder / f"worker-{number}.log"
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "headstart.tuning.worker"], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=file, start_new_session=True,
                    env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads})
            processes[process] = log
        for process in processes:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it died already; its exit code says why
                process.stdin.write(len(data).to_bytes(8, "big") + data)
                process.stdin.flush()
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
            process.wait()


def _bury(process: subprocess.Popen[bytes], log: Path, study: Study, listen: Listen) -> None:
    """Take note of a worker that ended. Raises the error that it reported."""
    assert process.stdout is not None
    last = process.stdout.read().decode().strip()
    if process.returncode == 0:
        return
    if last:
        found = json.loads(last)
        raise getattr(errors, found["kind"])(found["message"])
    tail = log.read_text(errors="replace").strip().splitlines()[-1:]
    reason = f"the worker ended with exit code {process.returncode}" + (f": {tail[0]}" if tail else "")
    study.abandon(process.pid, f"ResourceError: {reason}")
    listen(Note(f"{reason}; its trial counts as failed, the others go on", "warning"))


def _ended(study: Study) -> list[Outcome]:
    return [o for o in study.outcomes() if o.state not in ("running", "waiting")]


def _tell(study: Study, told: set[int], metric: str, listen: Listen) -> set[int]:
    """Tell of the trials that ended since; return their numbers."""
    new = [o for o in _ended(study) if o.number not in told]
    for outcome in new:
        listen(Note(said(outcome, metric, study.best())))
    return {o.number for o in new}
