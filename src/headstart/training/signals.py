"""Signals: SIGINT and SIGTERM become a request to stop at the next step."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

from headstart.errors import Interrupted


class StopSignals:
    """While entered, remembers the first signal; a second SIGINT stops at once.

    Handlers can only be set in the main thread; elsewhere (a server's worker) this does nothing.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember)
                            for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: object = None, *_: object) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not set from Python; it can't be given back, the default can.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._before and kind is None and self.requested is not None:
            # It came after the last step that asked: whoever is outside must not miss it.
            signal.raise_signal(self.requested)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None and number == signal.SIGINT:
            raise Interrupted("stopped at once by a second Ctrl-C. The last checkpoint is whole: go on with "
                              "`headstart resume`.", signal_number=number)
        self.requested = number

    def raise_if_requested(self, where: str) -> None:
        """Raise Interrupted if a signal came. where: such as `finetune, step 17`."""
        if self.requested is not None:
            name = signal.Signals(self.requested).name
            raise Interrupted(f"{where}: stopped by {name}; all work so far is saved. Go on with `headstart resume`.",
                              signal_number=self.requested)
