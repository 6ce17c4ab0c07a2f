"""Walk a user's folder: its images, and everything that is left aside, with the reason. Nothing is opened twice."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headstart.errors import DataError, listed
from headstart.images import EXTENSIONS, printable
from headstart.signatures import opener_of

UNDECODED = frozenset({".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".dcm", ".tga"})
"""Pictures that can't be decoded. They count as images, so that the check names them: none is quietly left out."""
CLUTTER = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "lost+found"})

Parts = tuple[str, ...]


@dataclass
class Tree:
    """What a folder holds. Paths are tuples of names below the root."""

    root: Path
    images: list[Parts] = field(default_factory=list)
    others: list[Parts] = field(default_factory=list)
    """Files that are no images."""
    empty: list[Parts] = field(default_factory=list)
    """Folders without anything in them, clutter aside."""
    ignored: list[str] = field(default_factory=list)
    """Hidden files and clutter, each with its reason in brackets."""


def walk(root: Path, *, outside: Literal["refuse", "allow"] = "refuse") -> Tree:
    """Return what lies under `root`, sorted as text. Hidden files and those of operating systems are ignored.

    Each folder is read once, so that links in a circle end. Links out of the root are refused unless allowed.
    Raises DataError for a folder that can't be read, and for links that lead out, all of them listed.
    """
    tree, leaving = Tree(root), list[str]()
    real_root = os.path.realpath(root)
    visited: set[tuple[int, int]] = set()
    folders: deque[Parts] = deque([()])
    linked: deque[Parts] = deque()  # after all real folders, so that a folder is known by its own name
    while folders or linked:
        parts = folders.popleft() if folders else linked.popleft()
        place = root.joinpath(*parts)
        status = place.stat()
        if (status.st_dev, status.st_ino) in visited:
            tree.ignored.append(f"{shown(parts)}/ (a link to a folder that is read already)")
            continue
        visited.add((status.st_dev, status.st_ino))
        entries = _entries(place)
        kept = [entry for entry in entries if not _clutter(entry.name)]
        tree.ignored += [f"{shown((*parts, e.name))} ({_clutter(e.name)})" for e in entries if _clutter(e.name)]
        if not kept and parts:
            tree.empty.append(parts)
        for entry in kept:
            inner = (*parts, entry.name)
            if entry.is_symlink() and outside == "refuse" and not _within(entry.path, real_root):
                leaving.append(shown(inner))
            elif entry.is_dir():
                (linked if entry.is_symlink() else folders).append(inner)
            else:
                (tree.images if _is_image(entry) else tree.others).append(inner)
    if leaving:
        raise DataError(f"{root}: {len(leaving)} links lead out of the folder:\n{listed(sorted(leaving))}\n"
                        "Copy the files in, or follow the links with --set reader.outside=allow.")
    for found in (tree.images, tree.others, tree.empty, tree.ignored):
        found.sort()  # type: ignore[attr-defined]
    return tree


def shown(parts: Parts) -> str:
    """Return the path below the root, printable."""
    return printable("/".join(parts))


def _entries(place: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            return list(found)
    except OSError as error:
        raise DataError(f"{printable(str(place))}: the folder can't be read ({error.strerror}). Allow reading it, or "
                        "move it out.") from error


def _clutter(name: str) -> str:
    if name.startswith("."):
        return "hidden"
    return "made by the operating system" if name.lower() in CLUTTER else ""


def _within(path: str, real_root: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), real_root]) == real_root


def _is_image(entry: os.DirEntry[str]) -> bool:
    ending = os.path.splitext(entry.name)[1].lower()
    if ending in EXTENSIONS or ending in UNDECODED:
        return True
    if not entry.is_file():
        return False
    try:
        with open(entry.path, "rb") as file:
            return opener_of(file.read(16)) is not None
    except OSError:
        return False  # listed as no image
