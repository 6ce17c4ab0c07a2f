"""Class folders: one folder for each class, with or without train, val and test folders above or below."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from headstart.data.dataset import Dataset
from headstart.data.foreign import refuse_other_tasks
from headstart.data.splits import as_split
from headstart.data.walk import Parts, Tree, shown, walk
from headstart.errors import ConfigError, DataError
from headstart.images import printable
from headstart.readers.reader import Reader
from headstart.types import Sample

MARKS = ("dataset_dict.json", "state.json")  # of folders that `datasets` wrote
TABLES = frozenset({".csv", ".tsv", ".parquet", ".jsonl", ".ndjson"})


@dataclass(frozen=True)
class Layout:
    """Which name in a path is what: for `data/train/cats/old/1.jpg`, split 1 and class 2."""

    label: int
    split: int | None = None
    note: str = ""


class ClassFolders(Reader):
    """A folder of images for each class."""

    any_folder: ClassVar[bool] = True

    classes_at: int | None = Field(None, ge=1, le=16)
    """Level of the class folders: 1 those directly inside the data folder (or inside its train/val/test folders),
    2 those one deeper; None finds it out. Given, nothing is inferred."""
    outside: Literal["refuse", "allow"] = "refuse"
    """Whether links that lead out of the folder are followed."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` is a folder that no table or library has marked as its own."""
        place = Path(path)
        if not place.is_dir() or any((place / mark).exists() for mark in MARKS):
            return False
        try:
            entries = [entry for entry in place.iterdir() if not entry.name.startswith(".")]
        except OSError:
            return True  # reading it will say why
        table = any(entry.suffix.lower() in TABLES for entry in entries)
        return not table or sum(entry.is_dir() for entry in entries) > 1

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises DataError for a layout that is unlabelled, of another task, or ambiguous."""
        if task not in (None, "classification"):
            raise ConfigError(f"{path}: class folders give one label to an image; multi-label data need a table "
                              "(a row for each image, with its labels), detection needs a format with boxes.")
        root = Path(path)
        tree = walk(root, outside=self.outside)
        if not tree.images:
            raise DataError(f"{path}: no image in this folder ({_held(tree)}). "
                            "Point at a folder with a sub-folder of images for each class.")
        if self.classes_at is None:
            refuse_other_tasks(tree)
        layout = infer_layout(tree) if self.classes_at is None else given_layout(tree, self.classes_at)
        return assemble(tree, layout)


def assemble(tree: Tree, layout: Layout) -> Dataset:
    """Return the data set of a tree in a layout. Images above the class folders are left aside, with a note."""
    inside = [parts for parts in tree.images if len(parts) - 1 > layout.label]
    loose = [parts for parts in tree.images if len(parts) - 1 <= layout.label]
    if not inside:
        raise DataError(f"{tree.root}: no image lies as deep as the class folders should (level {layout.label + 1}). "
                        "Set another --set reader.classes_at, or leave it away.")
    hollow = {_name(parts, layout) for parts in tree.empty if len(parts) == layout.label + 1}
    classes = sorted({_name(parts, layout) for parts in inside} | hollow)
    position = {name: index for index, name in enumerate(classes)}
    samples = tuple(Sample(shown(parts), tree.root.joinpath(*parts), position[_name(parts, layout)],
                           None if layout.split is None else as_split(parts[layout.split])) for parts in inside)
    notes = [layout.note] if layout.note else []
    if loose:
        notes.append(f"{len(loose)} images lie in no class folder and are left aside, such as {shown(loose[0])}")
    ignored = (*(f"{shown(parts)} (in no class folder)" for parts in loose),
               *(f"{shown(parts)} (not an image)" for parts in tree.others), *tree.ignored)
    return Dataset(samples, tuple(classes), "classification", "class_folders", tree.root, tuple(notes), ignored)


def _name(parts: Parts, layout: Layout) -> str:
    # One letter can be written in two ways (macOS decomposes accents): the same class all the same.
    return printable(unicodedata.normalize("NFC", parts[layout.label]))


def given_layout(tree: Tree, level: int) -> Layout:
    """Return the layout with class folders at `level`, counted inside split folders where there are such."""
    tops = {parts[0] for parts in tree.images if len(parts) > 1}
    split = 0 if tops and all(map(as_split, tops)) and any(as_split(name) == "train" for name in tops) else None
    return Layout(level if split == 0 else level - 1, split)


def infer_layout(tree: Tree) -> Layout:
    """Return the one layout that the folder shows. Raises DataError where there is none, or more than one."""
    folders = [parts[:-1] for parts in tree.images if len(parts) > 1] + tree.empty
    if not any(len(parts) > 1 for parts in tree.images):
        raise DataError(f"{tree.root}: {len(tree.images)} images without labels: they lie in no class folder. Move "
                        "them into a folder for each class, or give a table with their labels (CSV, Parquet, JSONL).")
    level, note = 0, ""
    while len(names := {parts[level] for parts in folders if len(parts) > level}) == 1:
        (only,) = names
        if as_split(only) == "train" or any(len(parts) == level + 1 for parts in folders):
            break
        level, note = level + 1, f"the class folders are those inside {'/'.join(folders[0][:level + 1])}/"
    splits = {name for name in names if as_split(name)}
    if not any(as_split(name) == "train" for name in splits) or (len(splits) == 1 and len(names) > 1):
        return _plain(tree, level, note)
    deep = {parts[level] for parts in folders if len(parts) > level + 1}
    if not splits & deep:
        if splits < names:
            return _plain(tree, level, note)
        raise DataError(f"{tree.root}: {' and '.join(sorted(splits))} hold images, but no class folders. Sort the "
                        "images into a folder for each class, or give a table with their labels.")
    if splits < names:
        raise DataError(f"{tree.root}: has split folders ({', '.join(sorted(splits))}) and others beside them "
                        f"({', '.join(sorted(names - splits))}). Move the others away, or say that all of them are "
                        "classes with --format table and a list of the images.")
    label = level + 1
    while len({parts[label] for parts in folders if len(parts) > label}) == 1 and \
            all(len(parts) > label + 1 for parts in folders if len(parts) > label):
        label += 1
    return Layout(label, level, note)


def _plain(tree: Tree, level: int, note: str) -> Layout:
    """Return the layout of class folders at `level`, if it can't as well be the level below."""
    folders = [parts[:-1] for parts in tree.images if len(parts) - 1 > level]
    inner: dict[str, set[str]] = defaultdict(set)
    for parts in folders:
        if len(parts) == level + 1:
            return Layout(level, None, note)  # images lie in a class folder itself: this is the level
        inner[parts[level]].add(parts[level + 1])
    below = set().union(*inner.values())
    if all(map(as_split, below)) and any(as_split(name) == "train" for name in below) \
            and all(len(parts) == level + 2 for parts in folders):
        return Layout(level, level + 1, note)
    counts = Counter(name for names in inner.values() for name in names)
    shared = sorted(name for name, count in counts.items() if count > 1)
    if len(shared) > 1:
        outer = sorted(inner)
        raise DataError(
            f"{tree.root}: the same folders ({_some(shared)}) lie inside each of several others ({_some(outer)}). "
            "Which are the classes? Choose:\n"
            f"  {tree.root / Path(*folders[0][:level + 1])}   one outer folder alone, its inner ones the classes\n"
            f"  --set reader.classes_at={level + 2}   the inner folders are the classes, all outer ones together\n"
            f"  --set reader.classes_at={level + 1}   the outer folders are the classes")
    deeper = (f"all images lie in sub-folders of the class folders ({_some(sorted(below))}), which count as parts of "
              f"their class; if they are the classes: --set reader.classes_at={level + 2}")
    return Layout(level, None, "; ".join(text for text in (note, deeper) if text))


def _some(names: list[str]) -> str:
    return ", ".join(map(printable, names[:4])) + (f", ... {len(names)} in all" if len(names) > 4 else "")


def _held(tree: Tree) -> str:
    if tree.others:
        return f"it holds {_some([shown(parts) for parts in tree.others])}"
    return f"it holds nothing but folders: {_some([shown(parts) for parts in tree.empty])}" if tree.empty else \
        "it is empty"
