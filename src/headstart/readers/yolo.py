"""YOLO: data.yaml with the class names, and a text file of shares of the picture for each image."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from headstart.configuration import parse_words
from headstart.data.annotations import (
    Outside,
    Picture,
    detection,
    entries,
    folders_in,
    glimpse,
    locate,
    refuse,
    require_detection,
    within,
)
from headstart.data.dataset import Dataset
from headstart.data.mask_sets import Faulty, for_task
from headstart.data.sizes import sizes_of
from headstart.data.splits import as_split
from headstart.data.strict_xml import MOST_BYTES
from headstart.data.walk import walk
from headstart.data.yolo_lines import names_of, read_lines
from headstart.errors import ConfigError, DataError, listed
from headstart.images import printable
from headstart.readers.reader import Reader
from headstart.types import SplitName

YAML = (".yaml", ".yml")
SPLITS: dict[str, SplitName] = {"train": "train", "val": "val", "valid": "val", "test": "test"}
Listed = list[tuple[Path, SplitName | None]]


class Yolo(Reader):
    """YOLO txt: boxes and outlines as shares of the picture, class numbers named by data.yaml."""

    tasks: ClassVar[tuple[str, ...]] = ("detection", "semantic")

    names: tuple[str, ...] | None = None
    """Class names by number, where there is no data.yaml or classes.txt."""
    outside: Outside = "refuse"
    """Whether data.yaml and links may lead out of its folder."""
    faulty: Faulty = "refuse"
    """For pixels (task semantic): what to do with an image in which an object has no outline."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` is a data.yaml, a folder with one, or one with images/ and text files in labels/."""
        place = Path(path)
        if place.is_file():
            return _is_data(place)
        return any(map(_is_data, entries(place, *YAML))) or bool(_label_folders(place))

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises DataError naming the file and line that is wrong."""
        require_detection(path, task, "yolo", self.tasks)
        place = Path(path)
        file = place if place.is_file() else _one_yaml(place)
        root = place if place.is_dir() else place.parent
        values = _values(file) if file else {}
        names = list(self.names) if self.names else names_of(values.get("names"), values.get("nc"), file.name) \
            if file else _listed_names(root)
        images = self._from_yaml(values, root, file) if file and any(key in values for key in SPLITS) \
            else self._from_folders(root)
        if not images:
            raise DataError(f"{path}: no image where {file.name if file else 'images/'} says. Mend its paths.")
        twice = [_title(image, root) for image, count in Counter(image for image, _ in images).items() if count > 1]
        if twice:
            raise DataError(f"{path}: {len(twice)} images are in two splits:\n{listed(twice)}\nTake each out of one; "
                            "without `val`, Headstart makes the splits.")
        return for_task(self._assemble(images, names, root), task, faulty=self.faulty)

    def _assemble(self, images: Listed, names: list[str], root: Path) -> Dataset:
        sizes = sizes_of([image for image, _ in images])
        pictures, problems, bare = list[Picture](), list[str](), 0
        for (image, split), size in zip(images, sizes, strict=True):
            label = _label_of(image, root)
            bare += label is None
            # An unreadable picture is found by the check, which leaves it out with its objects.
            found, wrong = read_lines(label, names, size if isinstance(size, tuple) else (1, 1)) if label else ([], [])
            where = _title(label, root) if label else _title(image, root)
            problems += [f"{where} {what}" for what in wrong]
            pictures.append(Picture(_title(image, root), image, tuple(found), where, split))
        refuse(root, problems, "Mend these lines: class, centre x, centre y, width, height, as shares of the picture.")
        notes = [f"{bare} images have no label file, and count as images without objects"] if bare else []
        return detection(pictures, format="yolo", root=root, declared=names, notes=notes)

    def _from_yaml(self, values: dict[str, Any], root: Path, file: Path) -> Listed:
        found: Listed = []
        base = values.get("path")
        bases = [root / base, root] if isinstance(base, str) and base else [root]
        for key, split in SPLITS.items():
            value = values.get(key)
            for item in value if isinstance(value, list) else [value] if value else []:
                if not isinstance(item, str):
                    raise DataError(f"{file.name}: {key} is not a path, or a list of paths.")
                found += [(image, split) for image in self._images(bases, item, root, f"{file.name}: {key}")]
        return found

    def _images(self, bases: list[Path], item: str, root: Path, where: str) -> list[Path]:
        """Return the images of a folder, or of a text file that lists them."""
        # Roboflow writes ../train/images for what lies beside the file.
        plain = item.removeprefix("../")
        candidates = [base / name for base in bases for name in dict.fromkeys((plain, item))]
        inside = [place for place in candidates
                  if "\0" not in item and (self.outside == "allow" or within(place, root))]
        place = next((place for place in inside if os.path.exists(place)), None)
        if place is None:
            out = " Where it leads out of the folder, it is followed with --set reader.outside=allow." \
                if len(inside) < len(candidates) else ""
            raise DataError(f'{where} is "{printable(item)}", which is not there.{out} Mend the path.')
        if place.is_dir():
            tree = walk(place, outside=self.outside)
            return [tree.root.joinpath(*parts) for parts in tree.images]
        found = []
        for row, line in enumerate(place.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
            if line.strip():
                image = locate([place.parent, *bases], line.strip().removeprefix("./"), root=root, outside=self.outside)
                if image is None:
                    raise DataError(f'{place.name} line {row}: "{printable(line.strip())}" does not exist. Mend the '
                                    "list.")
                found.append(image)
        return found

    def _from_folders(self, root: Path) -> Listed:
        """Return the images of images/, images/train, train/images and their like."""
        found: Listed = []
        for labels in _label_folders(root):
            images = Path(*("images" if part == "labels" else part for part in labels.relative_to(root).parts))
            split = next((split for part in images.parts if (split := as_split(part))), None)
            tree = walk(root / images, outside=self.outside) if (root / images).is_dir() else None
            found += [(tree.root.joinpath(*parts), split) for parts in tree.images] if tree else []
        return found


def _values(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{file.name}: more than {MOST_BYTES // 10**6} MB; this is no data.yaml.")
        values = parse_words(file.read_text(encoding="utf-8-sig"), where=file.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: can't be read ({error}). Save it as UTF-8.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file.name}: no `key: value` lines. It needs names, and the paths train and val.")
    return values


def _is_data(file: Path) -> bool:
    seen = b"\n" + glimpse(file)
    return file.suffix.lower() in YAML and b"\nnames:" in seen and any(f"\n{key}:".encode() in seen for key in SPLITS)


def _one_yaml(folder: Path) -> Path | None:
    files = [file for file in entries(folder, *YAML) if _is_data(file)]
    if len(files) > 1:
        raise ConfigError(f"{folder}: several files could be its data.yaml. Point at one of them: "
                          + ", ".join(map(str, files)))
    return files[0] if files else next((f for f in entries(folder, *YAML) if b"\nnames:" in b"\n" + glimpse(f)), None)


def _label_folders(root: Path) -> list[Path]:
    """Return labels/, labels/train, train/labels and their like, those with text files in them."""
    places = [root, *(folder for folder in folders_in(root) if as_split(folder.name))]
    tops = [place / "labels" for place in places if (place / "images").is_dir() and (place / "labels").is_dir()]
    inner = [folder for top in tops for folder in folders_in(top) if as_split(folder.name)]
    return [folder for folder in (*tops, *inner) if entries(folder, ".txt")]


def _listed_names(root: Path) -> list[str]:
    for file in (root / "classes.txt", root / "labels" / "classes.txt", root / "obj.names"):
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            return names_of([line for line in lines if line.strip()], None, file.name)
    raise DataError(f"{root}: no data.yaml or classes.txt names the classes. Add one, or say --set reader.names=[A,B].")


def _label_of(image: Path, root: Path) -> Path | None:
    """Return the label file of an image: in labels/ where it lies in images/, else beside it."""
    places = [image.with_suffix(".txt")]
    parts = list(image.relative_to(root).parts) if image.is_relative_to(root) else list(image.parts)
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        places.insert(0, root.joinpath(*parts[:last], "labels", *parts[last + 1:]).with_suffix(".txt"))
    return next((place for place in places if place.is_file()), None)


def _title(path: Path, root: Path) -> str:
    return printable(str(path.relative_to(root) if path.is_relative_to(root) else path))
