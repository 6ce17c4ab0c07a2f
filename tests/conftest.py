"""What holds for the whole suite."""

import gc

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep what was collected out of the garbage collector: it would look at these million objects again and again.

    A full collection, which every training ends with, took a second for them alone.
    """
    gc.collect()
    gc.freeze()
