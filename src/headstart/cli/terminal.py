"""The terminal listener: bars with time left, loss lines and notes, on standard error; plain lines without a tty."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn

from headstart import events

STYLES = {"info": "dim", "warning": "yellow", "error": "bold red"}
PLAIN_SECONDS = 10.0
"""Without a tty, a step says how far it is at most this often."""
NARROW = 72
"""Below this width, in characters, a bar has no room beside its text."""


def terminal(*, quiet: bool = False) -> events.Listen:
    """Return a listener that shows a run on standard error. quiet: warnings and errors only."""
    live = sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal
    console = Console(stderr=True, highlight=False, force_terminal=None if live else False)
    if quiet:
        return lambda event: show_note(console, event) if loud(event) else None
    return Bars(console) if live else Lines(console)


class Bars:
    """Shows steps as bars that move; for a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(*columns(console.width), console=console, transient=True, refresh_per_second=4,
                                 expand=True)
        self.tasks: dict[str, TaskID] = {}
        self.empty: set[str] = set()
        atexit.register(self.progress.stop)  # a hidden cursor must come back, however the process ends

    def __call__(self, event: events.Event) -> None:
        """Show the event."""
        match event:
            case events.Started(step=step, total=0):
                self.empty.add(step)
            case events.Started(step=step, total=total, unit=unit):
                self._task(step, total, unit)
            case events.Progress(step=step, done=done, detail=detail):
                self.progress.update(self._task(step), completed=done, detail=printable(detail))
            case events.Finished(step=step):
                if step not in self.empty:  # a step that had nothing to do is not worth a line
                    show_finished(self.console, event)
                self.empty.discard(step)
                self._forget(step)
            case events.RunFinished():
                for step in list(self.tasks):
                    self._forget(step)
            case events.EpochEnded():
                self.console.print(epoch_line(event), markup=False)
            case events.RunStarted():
                self.console.print(opening(event), markup=False)
            case events.Note():
                show_note(self.console, event)

    def _task(self, step: str, total: int | None = None, unit: str = "") -> TaskID:
        if step not in self.tasks:
            self.tasks[step] = self.progress.add_task(printable(step), total=total, unit=printable(unit), detail="")
            self.progress.start()
        return self.tasks[step]

    def _forget(self, step: str) -> None:
        if step in self.tasks:
            self.progress.remove_task(self.tasks.pop(step))
        if not self.tasks:
            self.progress.stop()


@dataclass
class Step:
    """A step in progress, and when it was last spoken of."""

    total: int | None
    unit: str
    spoke: float
    first: tuple[float, int] | None = None
    """When it was first heard of, and how far it was then: the time until that is no measure of its pace."""


class Lines:
    """Writes plain lines, no control characters, a step at most every ten seconds; for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: dict[str, Step] = {}
        self.lock = threading.Lock()

    def __call__(self, event: events.Event) -> None:
        """Show the event."""
        now = time.monotonic()
        with self.lock:
            match event:
                case events.Started(step=step, total=total, unit=unit):
                    self.steps[step] = Step(total, unit, now)
                case events.Progress():
                    self._advance(event, now)
                case events.Finished(step=step):
                    done = self.steps.pop(step, None)
                    if done is None or done.total != 0:  # a step that had nothing to do is not worth a line
                        show_finished(self.console, event)
                case events.EpochEnded():
                    self._say(epoch_line(event))
                case events.RunStarted():
                    self._say(opening(event))
                case events.Note():
                    show_note(self.console, event)

    def _advance(self, event: events.Progress, now: float) -> None:
        step = self.steps.setdefault(event.step, Step(None, "", now))
        step.first = step.first or (now, event.done)
        if now - step.spoke < PLAIN_SECONDS:
            return
        step.spoke = now
        of = f" of {step.total}" if step.total else ""
        left = ""
        since, before = step.first
        if step.total and event.done > before:
            left = f", {duration((now - since) / (event.done - before) * (step.total - event.done))} left"
        self._say(f"{event.step}: {event.done}{of} {step.unit}".rstrip() + left
                  + (f"  {event.detail}" if event.detail else ""))

    def _say(self, text: str) -> None:
        self.console.print(printable(text), markup=False, soft_wrap=True)


def columns(width: int) -> list[ProgressColumn]:
    """Return the columns of a bar that fit a terminal of so many characters."""
    text = TextColumn("{task.description}", markup=False)
    count = TextColumn("{task.completed:.0f}/{task.total} {task.fields[unit]}", markup=False)
    left = TimeRemainingColumn(compact=True)
    if width < NARROW:
        return [text, TextColumn("{task.percentage:>3.0f}%"), left]
    return [text, BarColumn(bar_width=20), count, left, TextColumn("{task.fields[detail]}", style="dim", markup=False)]


def loud(event: events.Event) -> bool:
    """Return whether the event is shown even when quiet."""
    return isinstance(event, events.Note) and event.level != "info"


def show_note(console: Console, event: events.Event) -> None:
    """Print the sentence of a note in the style of its level."""
    assert isinstance(event, events.Note)
    # Colour says nothing in a log or to the colour-blind: what is not plain information says so in a word.
    prefix = "" if event.level == "info" else f"{event.level}: "
    console.print(printable(prefix + event.text), style=STYLES[event.level], markup=False, soft_wrap=True)


def show_finished(console: Console, event: events.Finished) -> None:
    """Print how long a step took."""
    detail = f"  {event.detail}" if event.detail else ""
    console.print(printable(f"{event.step}: {duration(event.seconds)}{detail}"), markup=False, soft_wrap=True)


def opening(event: events.RunStarted) -> str:
    """Return the first line of a run."""
    return printable(f"{'Going on with' if event.resumed else 'Writing to'} {event.directory}")


def epoch_line(event: events.EpochEnded) -> str:
    """Return `finetune  epoch 3  train loss 0.412  val loss 0.520  val accuracy 0.910`: losses first."""
    shown = [name for name in ("train_loss", "val_loss") if name in event.values]
    shown += sorted(name for name in event.values if name.startswith("val_") and name != "val_loss")
    parts = [f"{name.replace('_', ' ')} {event.values[name]:.3f}" for name in shown]
    return printable("  ".join([f"{event.method}  epoch {event.epoch}", *parts]))


def duration(seconds: float) -> str:
    """Return `0.8 s`, `42 s`, `3 min 20 s` or `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def printable(text: str) -> str:
    """Return the text with control characters shown, not obeyed: a file name may hold any of them.

    Blanks that do not break (6.3 %) are none of them, though Python calls no blank but one printable.
    """
    return "".join(c if c.isprintable() or c in "\n\u00a0\u202f" else
                   c.encode("unicode_escape", "surrogatepass").decode() for c in text)
