import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from headstart.data import fingerprint as module
from headstart.data.fingerprint import content_hashes, fingerprint
from headstart.data.load import load_data
from headstart.errors import DataError
from tests.pictures import folders


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = folders(tmp_path / "data", {"a": 3, "b": 3})
    for path in root.rglob("*.png"):
        os.utime(path, (1_000_000.5, 1_000_000.5))
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "hashes.sqlite"


def seen_later(cache: Path) -> None:
    """Make the hashes of the cache look taken long after the files were written."""
    with sqlite3.connect(cache) as store:
        for *before, seen, digest, _ in store.execute("SELECT * FROM sealed_hashes").fetchall():
            row = (*before, seen + 10_000_000_000, digest)
            store.execute("INSERT OR REPLACE INTO sealed_hashes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                          (*row, module._seal(row)))


def test_hashes_are_those_of_the_files(data: Path, cache: Path) -> None:
    found = load_data(data)
    wanted = [sha256(sample.source.read_bytes()).hexdigest() for sample in found.samples]  # type: ignore[union-attr]
    assert content_hashes(found, cache=cache) == wanted
    assert content_hashes(found, cache=cache) == wanted


def test_the_second_call_opens_no_file(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content_hashes(load_data(data), cache=cache)
    seen_later(cache)
    monkeypatch.setattr(module, "sha256_file", lambda path: pytest.fail(f"opened {path}"))
    assert content_hashes(load_data(data), cache=cache) == first


def test_a_file_changed_with_its_times_put_back_is_seen(data: Path, cache: Path) -> None:
    before = content_hashes(load_data(data), cache=cache)
    seen_later(cache)
    victim = data / "a/a-0.png"
    content = bytearray(victim.read_bytes())
    content[-20] ^= 1
    victim.write_bytes(content)
    os.utime(victim, (1_000_000.5, 1_000_000.5))
    assert sum(a != b for a, b in zip(before, content_hashes(load_data(data), cache=cache), strict=True)) == 1


def test_hashes_taken_while_a_file_was_fresh_are_not_trusted() -> None:
    second = 1_000_000_000
    assert not module._settled((1, 7 * second + 5, 5, 1), 7 * second + 10_000_000)
    assert module._settled((1, 7 * second + 5, 5, 1), 7 * second + 60_000_000)
    assert not module._settled((1, 7 * second, 5, 1), 8 * second)  # a clock of whole seconds


@pytest.mark.parametrize("damage", [b"", b"garbage" * 999])
def test_a_torn_cache_is_made_anew(data: Path, cache: Path, damage: bytes) -> None:
    wanted = content_hashes(load_data(data), cache=cache)
    cache.write_bytes(damage)
    assert content_hashes(load_data(data), cache=cache) == wanted
    assert content_hashes(load_data(data), cache=cache) == wanted
    with sqlite3.connect(cache) as store:
        assert store.execute("SELECT count(*) FROM sealed_hashes").fetchone() == (6,)


def test_a_cache_cut_anywhere_costs_time_only(data: Path, cache: Path) -> None:
    wanted = content_hashes(load_data(data), cache=cache)
    seen_later(cache)
    whole = cache.read_bytes()
    for cut in range(0, len(whole), 97):
        cache.write_bytes(whole[:cut])
        assert content_hashes(load_data(data), cache=cache) == wanted


def test_a_cache_that_can_not_be_written_costs_time_only(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert len(content_hashes(load_data(data), cache=tmp_path / "file" / "hashes.sqlite")) == 6


def test_three_processes_at_once_agree(data: Path, cache: Path) -> None:
    code = ("import sys; from pathlib import Path; from headstart.data.load import load_data; "
            "from headstart.data.fingerprint import fingerprint; "
            "print(fingerprint(load_data(sys.argv[1]), cache=Path(sys.argv[2])))")
    running = [subprocess.Popen([sys.executable, "-c", code, str(data), str(cache)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in running]
    assert {out.strip() for out, _ in outputs} == {fingerprint(load_data(data), cache=cache)}
    assert all(err == "" for _, err in outputs)


def test_missing_files_are_listed(data: Path, cache: Path) -> None:
    found = load_data(data)
    (data / "a/a-1.png").unlink()
    with pytest.raises(DataError, match=r"1 images can't be read:\n  .*a-1\.png: No such file"):
        content_hashes(found, cache=cache)


def test_the_fingerprint_is_of_contents_and_not_of_places(data: Path, cache: Path, tmp_path: Path) -> None:
    before = load_data(data)
    wanted = fingerprint(before, cache=cache)
    assert fingerprint(before.subset(range(5, -1, -1)), cache=cache) == wanted
    shutil.copytree(data, tmp_path / "else/where")
    (tmp_path / "else/where/a/a-0.png").rename(tmp_path / "else/where/a/zzz.png")
    assert fingerprint(load_data(tmp_path / "else/where"), cache=cache) == wanted
    inside = tuple(replace(s, source=partial(bytes, s.source.read_bytes())) for s in before.samples)  # type: ignore[union-attr]
    assert fingerprint(replace(before, samples=inside), cache=cache) == wanted


def test_the_fingerprint_changes_with_all_that_matters(data: Path, cache: Path) -> None:
    base = load_data(data)
    first, *rest = base.samples
    variants = [replace(base, classes=("a", "c")), replace(base, samples=(replace(first, label=1), *rest)),
                replace(base, samples=(replace(first, weight=2.0), *rest)), base.subset(range(5)),
                replace(base, samples=(replace(first, split="test"), *rest)),
                replace(base, samples=(*base.samples, first))]
    prints = {fingerprint(variant, cache=cache) for variant in (base, *variants)}
    path = data / "b/b-1.png"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    prints.add(fingerprint(base, cache=cache))
    assert len(prints) == 8


def test_known_hashes_are_used(data: Path) -> None:
    base = load_data(data)
    assert fingerprint(base, hashes=["x"] * 6) != fingerprint(base, hashes=["y"] * 6)
