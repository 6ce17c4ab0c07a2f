"""Signals: remembered while a training can stop at a step, and never lost."""

import signal

import pytest

from headstart.errors import Interrupted
from headstart.training.signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_step_reaches_whoever_is_outside(number):
    heard = []
    before = signal.signal(number, lambda *words: heard.append(words[0]))
    try:
        with StopSignals() as stop:
            stop.raise_if_requested("step 1")
            signal.raise_signal(number)
            assert heard == []
    finally:
        signal.signal(number, before)
    assert heard == [number]


def test_a_signal_that_stopped_a_step_is_not_heard_twice():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *words: heard.append(words[0]))

    def stopped() -> None:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGTERM)
            stop.raise_if_requested("step 2")

    try:
        with pytest.raises(Interrupted, match="stopped by SIGTERM"):
            stopped()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == []
