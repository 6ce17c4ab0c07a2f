"""The allocator setting helps or does nothing; it never changes a number."""

import platform

import pytest
import torch

from headstart import memory


@pytest.fixture(autouse=True)
def _afresh() -> None:
    memory.keep_pages.cache_clear()


def test_it_works_on_glibc_and_can_be_asked_again() -> None:
    expected = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
    assert memory.keep_pages() is expected
    assert memory.keep_pages() is expected


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(memory, "_set_thresholds", lambda *_: pytest.fail("mallopt was called"))
    assert memory.keep_pages() is False


def test_a_computation_gives_the_same_bits() -> None:
    x = torch.rand(256, 256, generator=torch.Generator().manual_seed(0))
    before = x @ x
    memory.keep_pages()
    assert torch.equal(before, x @ x)
