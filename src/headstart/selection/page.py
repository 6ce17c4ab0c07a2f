"""Page: a judgement as one HTML file: sentences, figures and tables, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.files import write_text
from headstart.report.page import fill

TEMPLATE = Path(__file__).parent / "template.html"


@dataclass(frozen=True)
class Section:
    """A heading with a figure, a table, or both below it."""

    heading: str
    note: str = ""
    figure: str = ""
    """Markup of an SVG picture."""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    numbers: Sequence[int] = ()
    """Positions of the columns that hold numbers."""
    winner: int | None = None
    """The row that stands out."""


@dataclass(frozen=True)
class Page:
    """What one page shows."""

    brand: str
    name: str
    made: str
    sentences: Sequence[str]
    """The first is the answer."""
    parts: Sequence[Section]


def write_page(path: Path, page: Page) -> None:
    """Write the page, at once and whole."""
    write_text(path, fill(TEMPLATE, page=page))
