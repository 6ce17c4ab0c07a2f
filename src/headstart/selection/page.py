"""Page: a judgement as one HTML file: sentences, figures and tables, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from headstart.errors import HeadstartError
from headstart.files import write_text
from headstart.images import decode
from headstart.report.mistakes import Thumbnail, thumbnail
from headstart.report.page import fill
from headstart.types import ImageSource

TEMPLATE = Path(__file__).parent / "template.html"


@dataclass(frozen=True)
class Picture:
    """A small picture with lines below it."""

    name: str
    thumbnail: Thumbnail | None
    """None where the picture can't be had: a word stands in its place."""
    lines: Sequence[tuple[str, str, str]] = ()
    """What stands before, what stands out, and what stands after, such as `given`, `cat`, `2 %`."""


@dataclass(frozen=True)
class Section:
    """A heading with a figure, pictures, a table, or several of them below it."""

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
    pictures: Sequence[Picture] = ()


@dataclass(frozen=True)
class Page:
    """What one page shows."""

    brand: str
    name: str
    made: str
    sentences: Sequence[str]
    """The first is the answer."""
    parts: Sequence[Section]


def small(source: ImageSource) -> Thumbnail | None:
    """Return the picture in small, decoded as in training; None where it can't be read any more."""
    try:
        return thumbnail(Image.fromarray(decode(source)))
    except (HeadstartError, OSError, ValueError):
        return None


def write_page(path: Path, page: Page) -> None:
    """Write the page, at once and whole."""
    write_text(path, fill(TEMPLATE, page=page))
