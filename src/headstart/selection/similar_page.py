"""Similar page: each query beside its nearest images, as one HTML file with the pictures in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.report import words
from headstart.selection.page import Page, Picture, Section, small, write_page
from headstart.selection.similar import Neighbour, Similar
from headstart.types import ImageSource

COLUMNS = ("Rank", "Image", "Class", "Split", "Cosine")


def write_similar_page(similar: Similar, path: Path) -> None:
    """Write the page of a search, at once and whole."""
    sources = {sample.id: sample.source for sample in similar.searched.samples}
    parts = [Section(image.name, verdict(found), "", COLUMNS, [row(rank, item) for rank, item in enumerate(found, 1)],
                     (4,), pictures=[Picture(str(image), small(image), [("", "the image asked for", "")]),
                                     *(picture(rank, item, sources[item.id]) for rank, item in enumerate(found, 1))])
             for image, found in zip(similar.images, similar.neighbours, strict=True)]
    made = f"{len(similar.searched)} images searched · features of {similar.backbone} · {similar.origin}"
    write_page(path, Page("Headstart similar images", Path(similar.origin).name or similar.origin, made,
                          sentences(similar), parts))


def sentences(similar: Similar) -> list[str]:
    """Return what the page shows, in words."""
    inside = sum(any(item.same for item in found) for found in similar.neighbours)
    said = [f"The nearest of {words.count(len(similar.searched))} images to each of "
            f"{words.count(len(similar.images))}, by the cosine of their features."]
    if inside:
        said.append(f"{inside} of {len(similar.images)} are among the searched images themselves, byte for byte.")
    return said


def verdict(found: Sequence[Neighbour]) -> str:
    """Return a sentence where the query is one of the searched images, else nothing."""
    names = [item.id for item in found if item.same]
    return f"This image is in the data itself: {words.named(names)}." if names else ""


def row(rank: int, item: Neighbour) -> list[str]:
    """Return the cells of one neighbour."""
    return [str(rank), item.id, " + ".join(item.labels) or words.DASH, item.split or words.DASH,
            words.number(item.cosine)]


def picture(rank: int, item: Neighbour, source: ImageSource) -> Picture:
    """Return one neighbour as a picture."""
    _, _, labels, split, cosine = row(rank, item)
    same = [("", "the same image", "")] if item.same else []
    return Picture(item.id, small(source), [(f"{rank}.", labels, cosine), *([("", split, "")] if item.split else []),
                                            *same])
