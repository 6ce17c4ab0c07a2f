"""The suite makes what a module shares once, on one worker: without a word, a release of pytest had ended that."""

import os

import pytest


@pytest.fixture(scope="module")
def shared() -> object:
    return object()


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process has no workers to share among")
def test_tests_that_share_a_fixture_go_to_one_worker(shared: object, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("loadgroup"):
        pytest.skip("the workers are not asked to keep groups together (--dist loadgroup)")
    assert request.node.nodeid.endswith("@tests/architecture/test_groups.py")
