"""Not there yet."""

import contextlib


@contextlib.contextmanager
def recomputed(modules):
    """Do nothing yet."""
    yield
