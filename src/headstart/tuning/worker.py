"""Worker: a process that carries out trials of a search beside others; `parallel.py` starts it."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
from dataclasses import dataclass
from types import FrameType

from headstart.errors import HeadstartError, Interrupted
from headstart.events import silent
from headstart.job import countdown
from headstart.starting import starting_model
from headstart.tuning.search import Search, search


@dataclass(frozen=True)
class Order:
    """What a worker is told, pickled, on its standard input, which stays open as long as who gave it lives."""

    search: Search
    seconds: float
    """Time that is left; infinite where there is no limit."""
    threads: int


def work(order: Order) -> None:
    """Carry out trials until there are no more. Raises as `search`."""
    import torch

    torch.set_num_threads(order.threads)
    plan = order.search
    start, _ = starting_model(plan.base, plan.splits.train, silent)
    study = plan.study()
    try:
        search(plan, study, start, listen=silent,
               remaining=countdown(None if order.seconds == float("inf") else max(order.seconds, 1e-9)))
    finally:
        study.close()


def _leave_with_parent() -> None:
    """End at once when the other end of standard input is gone: two searches must not write one study."""
    with contextlib.suppress(OSError):
        os.read(0, 1)
    os._exit(1)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Interrupted("stopped", signal_number=number)


def main() -> int:
    """Work, and return the exit code; an error that ends the search is one line of JSON on standard output."""
    signal.signal(signal.SIGTERM, _stop)
    channel, sys.stdout = sys.stdout, sys.stderr
    size = int.from_bytes(os.read(0, 8), "big")
    data = bytearray()
    while len(data) < size and (more := os.read(0, size - len(data))):
        data += more
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        work(pickle.loads(data))
    except Interrupted as error:
        return error.exit_code
    except HeadstartError as error:
        channel.write(json.dumps({"kind": type(error).__name__, "message": str(error)}) + "\n")
        channel.flush()
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
