"""VOC folders: where the XML files of Pascal VOC's layout lie."""

from __future__ import annotations

from pathlib import Path

from headstart.data.annotations import entries, folders_in, glimpse
from headstart.data.splits import as_split

NAMES = frozenset({"annotations", "annotation", "xml", "xmls", "labels"})


def annotated(folder: Path) -> bool:
    """Return whether the first XML file of a folder is an annotation."""
    files = entries(folder, ".xml")
    return bool(files) and b"<annotation" in glimpse(files[0])


def data_sets_in(outer: Path) -> list[Path]:
    """Return the data sets in the outer folder of a download: VOCdevkit/VOC2012, with or without VOCdevkit's own."""
    for home in (outer, outer / "VOCdevkit"):
        found = [folder for folder in folders_in(home) if annotated(folder / "Annotations")]
        if found:
            return [folder for folder in found if not as_split(folder.name)]
    return []


def places(root: Path) -> list[Path]:
    """Return the folders that may hold the XML files."""
    inner = folders_in(root)
    splits = [folder for folder in inner if as_split(folder.name)]
    named = [folder for folder in inner if folder.name.lower() in NAMES]
    deeper = [part for folder in named for part in folders_in(folder) if as_split(part.name)]
    return [*named, *deeper, root, *splits]
