"""The example of a third party's format in docs/how-to/add-a-format.md, as a package with an entry point."""

import sys
from pathlib import Path

import pytest

from headstart.data.load import load_data
from headstart.readers.reader import Reader
from tests.docs.test_examples import ROOT, blocks
from tests.shared_data import shared


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the files of the page on the path as `pip install` would: the module, and what says its entry point."""
    files = {block.file: block.code for block in blocks(ROOT / "docs/how-to/add-a-format.md") if block.file}
    (tmp_path / "penn_fudan.py").write_text(files["penn_fudan.py"])
    (line,) = [line for line in files["pyproject.toml"].splitlines() if line.startswith("penn_fudan = ")]
    information = tmp_path / "headstart_penn_fudan-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: headstart-penn-fudan\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[headstart.readers]\n" + line.replace('"', "") + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "penn_fudan", raising=False)
    return tmp_path


def test_the_pedestrians_are_read_without_being_told_how(installed: Path) -> None:
    data = load_data(shared("pennfudan"))
    assert (data.format, data.task, data.classes, len(data)) == ("penn_fudan", "detection", ("pedestrian",), 170)
    assert sum(len(sample.objects or ()) for sample in data.samples) == 423
    first = data.samples[0]
    assert first.objects is not None
    assert [found.box for found in first.objects] == [(159, 181, 302, 431), (419, 170, 535, 486)]
    assert (first.annotated, first.where) == ((536, 559), "Annotation/FudanPed00001.txt")
    assert issubclass(sys.modules["penn_fudan"].PennFudan, Reader)
