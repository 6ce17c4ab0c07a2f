"""Every example in README.md and docs/ runs, in the order of its page, in a folder with a small data set.

Runs are recorded in MLflow on the pages that a new user reads first: a process beside each run, of seconds. The short
fine-tunings of an advice are of one epoch.

A fenced block of `bash` runs its `headstart` lines; one of `python` runs in the page's own namespace; one of `yaml`,
or of `python`, under `<!-- file: NAME -->` is written to that file. `<!-- not run: REASON -->` leaves the next one out.
"""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
               if page.exists())
FENCE = re.compile(r"(?:<!-- (?P<mark>not run|file): (?P<value>.+?) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```",
                   re.DOTALL)
RECORDED = ("README", "getting-started")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    file: str | None


def blocks(page: Path) -> list[Block]:
    found = FENCE.finditer(page.read_text())
    return [Block(m["language"], m["code"], m["value"] if m["mark"] == "file" else None)
            for m in found if m["mark"] != "not run"]


def draw_flowers(folder: Path) -> None:
    """Three kinds of coloured discs: 12 pictures each, of 48 pixels, and two more beside the folder."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :48]
    for name, colour in {"daisy": (240, 240, 230), "rose": (200, 20, 60), "tulip": (240, 170, 20)}.items():
        (folder / name).mkdir(parents=True)
        for number in range(13):
            disc = (rows - rng.integers(16, 32)) ** 2 + (columns - rng.integers(16, 32)) ** 2 < rng.integers(60, 200)
            picture = rng.integers(0, 90, (48, 48, 3))
            picture[disc] = np.clip(np.array(colour) + rng.integers(-15, 15, 3), 0, 255)
            target = folder / name / f"{number}.png" if number < 12 else folder.parent / f"{name}.png"
            Image.fromarray(picture.astype(np.uint8)).save(target)


def run_verbs(code: str) -> None:
    """Run each line of a bash block as the command line would."""
    from headstart.cli import application

    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "headstart", f"mark the block as not run, or use a headstart command: {line}"
        with pytest.raises(SystemExit) as ended:
            application()(words[1:], prog_name="headstart")
        assert ended.value.code == 0, line


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(os.environ, "COLUMNS", "120")
    draw_flowers(tmp_path / "flowers")
    if page.stem not in RECORDED:
        monkeypatch.setattr("headstart.api.tracked", lambda listen, tracking: listen)
        monkeypatch.setattr("headstart.tracking.tracked", lambda listen, tracking: listen)
    monkeypatch.setattr("headstart.selection.trial.STEPS", 1)
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if block.file:
            (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.file).write_text(block.code)
        elif block.language == "bash":
            run_verbs(block.code)
        elif block.language == "python":
            exec(compile(block.code, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []
