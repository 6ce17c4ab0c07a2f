"""What is committed works on every machine: no paths of one, no package index, nothing large."""

import re
import subprocess

import pytest

from tests.architecture.source import ROOT

INDEX_HOSTS = re.compile("|".join(["pypi" + r"\.org", "python" + r"hosted\.org", "npm" + r"js\.",
                                   "debian" + r"\.org"]))
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|Users|root|work|opt)/\w")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines_with(pattern: re.Pattern) -> list[str]:
    found = []
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" not in data:
            text = data.decode(errors="replace")
            found += [f"{name}:{n}" for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)]
    return found


def test_no_package_index_is_named():
    assert lines_with(INDEX_HOSTS) == []


def test_no_path_of_one_machine_is_named():
    assert lines_with(MACHINE_PATHS) == []


def test_no_large_file_is_committed():
    assert [name for name in tracked() if (ROOT / name).stat().st_size > 1_000_000] == []
