import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from headstart import events
from headstart.cli import terminal as subject
from headstart.cli.terminal import Bars, Lines, columns, duration, epoch_line, printable, terminal

RUN = """
import sys, time
from pathlib import Path
from headstart import events
from headstart.cli.terminal import terminal
show = terminal()
show(events.RunStarted(Path("runs/flowers"), {}))
show(events.Note("3 classes: daisy, rose, tulip"))
show(events.Started("extract features", 200, "images"))
for done in range(0, 201, 50):
    show(events.Progress("extract features", done, "loss 0.41  val 0.52"))
    time.sleep(0.15)
show(events.Note("two images are the same", level="warning"))
show(events.Finished("extract features", 0.75))
show(events.EpochEnded("finetune", 1, 20, {"train_loss": 0.5, "val_loss": 0.75, "val_accuracy": 0.875}))
show(events.RunFinished(Path("runs/flowers"), "finished"))
"""


def on_a_terminal(program: str, *, width: int) -> str:
    """Return what the program writes to a terminal of that many characters on standard error."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "LINES": "24", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", program], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    written = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 1.0)[0]:
            try:
                written += os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
    out, _ = process.communicate(timeout=30)
    os.close(ours)
    assert out == b""
    assert process.returncode == 0
    return written.decode()


def plain(event: events.Event, *more: events.Event) -> str:
    """Return what the events look like without a terminal."""
    file = io.StringIO()
    show = Lines(Console(file=file, highlight=False, width=40))
    for each in (event, *more):
        show(each)
    return file.getvalue()


def test_a_terminal_shows_a_bar_the_time_left_and_the_losses():
    text = on_a_terminal(RUN, width=120)
    assert "━" in text
    assert re.search(r"\d+/200 images", text)
    assert re.search(r"\d:\d\d", text)
    assert "loss 0.41  val 0.52" in text
    assert "finetune  epoch 1  train loss 0.500  val loss 0.750  val accuracy 0.875" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor must come back"


def test_a_narrow_terminal_keeps_each_bar_on_one_line():
    text = on_a_terminal(RUN, width=40)
    assert re.search(r"extract features +\d+%", text)
    assert "200 images" not in text


def test_a_pipe_gets_plain_lines_and_standard_output_stays_empty():
    answer = subprocess.run([sys.executable, "-c", RUN], capture_output=True, check=True,
                            env={**os.environ, "FORCE_COLOR": "1"})
    assert answer.stdout == b""
    assert answer.stderr.decode().splitlines() == [
        "Writing to runs/flowers",
        "3 classes: daisy, rose, tulip",
        "warning: two images are the same",
        "extract features: 0.8 s",
        "finetune  epoch 1  train loss 0.500  val loss 0.750  val accuracy 0.875",
    ]


def test_a_long_step_speaks_from_time_to_time_and_says_how_long_it_takes(monkeypatch):
    clock = iter([0.0, 4.0, 10.0, 15.0, 20.0])
    monkeypatch.setattr(subject.time, "monotonic", lambda: next(clock))
    text = plain(events.Started("extract features", 100, "images"),
                 *[events.Progress("extract features", done) for done in (20, 50, 60, 80)])
    assert text.splitlines() == ["extract features: 50 of 100 images, 10 s left",
                                 "extract features: 80 of 100 images, 5.3 s left"]


def test_the_time_before_the_first_step_says_nothing_of_the_pace(monkeypatch):
    clock = iter([0.0, 60.0, 66.0, 71.0])
    monkeypatch.setattr(subject.time, "monotonic", lambda: next(clock))
    text = plain(events.Started("finetune", 48, "steps"),
                 *[events.Progress("finetune", done) for done in (1, 7, 12)])
    assert text.splitlines() == ["finetune: 1 of 48 steps", "finetune: 12 of 48 steps, 36 s left"]


@pytest.mark.parametrize("make", [Bars, Lines])
def test_a_step_with_nothing_to_do_takes_no_line(make):
    console = Console(file=io.StringIO(), force_terminal=make is Bars, width=80)
    listener = make(console)
    for total in (0, 3):
        listener(events.Started("features", total, "images"))
        listener(events.Finished("features", 0.1, f"{total} images"))
    shown = console.file.getvalue()
    assert "3 images" in shown
    assert "0 images" not in shown


def test_a_step_of_unknown_length_needs_no_start(monkeypatch):
    clock = iter([0.0, 11.0])
    monkeypatch.setattr(subject.time, "monotonic", lambda: next(clock))
    text = plain(events.Progress("fit", 1), events.Progress("fit", 7, "penalty 0.1"))
    assert text == "fit: 7  penalty 0.1\n"


def test_long_lines_are_not_broken_in_a_log():
    sentence = "a sentence " * 30
    assert plain(events.Note(sentence)).count("\n") == 1


@pytest.mark.parametrize("make", [Bars, Lines])
def test_a_hostile_file_name_is_shown_and_not_obeyed(make):
    file = io.StringIO()
    make(Console(file=file, highlight=False, width=200))(
        events.Note("cannot read \x1b[2J\x07[red]\udcff.jpg", level="error"))
    assert file.getvalue() == "error: cannot read \\x1b[2J\\x07[red]\\udcff.jpg\n"


def test_quiet_says_warnings_only(capsys):
    show = terminal(quiet=True)
    for event in (events.Note("fine"), events.Note("careful", level="warning"), events.Started("read", 3),
                  events.Finished("read", 1.0)):
        show(event)
    captured = capsys.readouterr()
    assert captured.err == "warning: careful\n"
    assert captured.out == ""


def test_an_interrupted_run_takes_its_bars_away():
    show = Bars(Console(file=io.StringIO(), force_terminal=True, width=120))
    show(events.Started("read", 3))
    show(events.RunFinished(Path("runs/flowers"), "interrupted"))
    assert show.tasks == {}
    assert not show.progress.live.is_started


def test_losses_come_first_in_an_epoch():
    values = {"val_f1": 0.5, "lr_head": 0.1, "val_loss": float("nan"), "train_loss": 1.0, "seconds": 3.0}
    assert epoch_line(events.EpochEnded("finetune", 2, 9, values)) == (
        "finetune  epoch 2  train loss 1.000  val loss nan  val f1 0.500")


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (9.9, "9.9 s"), (9.97, "10 s"), (59.4, "59 s"),
                                               (60, "1 min 00 s"), (3599, "59 min 59 s"), (7500, "2 h 05 min")])
def test_durations_read_naturally(seconds, text):
    assert duration(seconds) == text


def test_letters_of_every_script_are_printable():
    assert printable("花 é ñ 🌷\nnext") == "花 é ñ 🌷\nnext"


def test_a_blank_that_does_not_break_is_a_blank():
    assert printable("6.3\u00a0% of 1\u202f000") == "6.3\u00a0% of 1\u202f000"


def test_a_wide_bar_has_more_columns_than_a_narrow_one():
    assert len(columns(120)) > len(columns(40))
