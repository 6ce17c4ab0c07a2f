"""What holds for the whole suite."""

import gc
import os
from collections.abc import Iterator

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist writes the groups into the names
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests that share something that is made once a module to one worker, which makes it once.

    Tests that share nothing go one by one to the worker that is free. Of a fixture with parameters each is a group of
    its own.
    """
    for item in items:
        if isinstance(item, pytest.Function) and (made := _made_once_a_module(item)):
            chosen = item.callspec.indices if hasattr(item, "callspec") else {}
            parameters = [f"{name}={chosen[name]}" for name in sorted(made & set(chosen))]
            item.add_marker(pytest.mark.xdist_group(" ".join([item.nodeid.partition("::")[0], *parameters])))


def _made_once_a_module(item: pytest.Function) -> set[str]:
    """Return the names of the fixtures of that scope which the test has."""
    return {name for name, found in item._fixtureinfo.name2fixturedefs.items() if found and found[-1].scope == "module"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep what was collected out of the garbage collector: it would look at these million objects again and again.

    A full collection took a second for them alone.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Let nothing wait until the disk has what was written: that outlives a loss of power, which no test brings about.

    What is killed needs it not. Tests of when it is asked for, or of a disk that is full, put their own in its place.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield
