"""Hugging Face: a data set of the `datasets` library, from the folder that `save_to_disk` wrote or as an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from headstart.data.annotations import Picture, detection, size_of
from headstart.data.cells import CellBytes
from headstart.data.dataset import Dataset
from headstart.data.objects_column import Form, marked_cells, object_columns
from headstart.data.splits import as_split
from headstart.errors import ConfigError, DataError, ResourceError, listed, nearest
from headstart.readers.reader import Reader
from headstart.types import Sample, SplitName


class Huggingface(Reader):
    """A `datasets.Dataset` or `DatasetDict`. Its split names become the splits."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "detection")

    image: str | None = None
    """Column of the images; needed where there is more than one."""
    label: str | None = None
    """Column of the label or labels; needed where there is more than one that could be."""
    group: str | None = None
    """Column of what must not be in two splits."""
    objects: str | None = None
    """Column of the boxes and categories; needed where there is more than one."""
    bbox: Form = "coco"
    """What four numbers of a box are: `coco` left, top, width, height; `voc` left, top, right, bottom."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether `save_to_disk` wrote the folder."""
        place = Path(path)
        return (place / "dataset_dict.json").is_file() or \
            ((place / "state.json").is_file() and (place / "dataset_info.json").is_file())

    @classmethod
    def claims_object(cls, value: object) -> bool:
        """Return whether `value` is of the `datasets` library."""
        return type(value).__module__.partition(".")[0] == "datasets"

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set in a folder. Raises ResourceError where `datasets` is not installed."""
        library = _library()
        if not self.claims(path):
            raise DataError(f"{path}: not a data set that datasets.save_to_disk wrote.")
        try:
            value = library.load_from_disk(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: the saved data set can't be read ({error}). Save it again.") from error
        return self._convert(value, Path(path), task)

    def read_object(self, value: object, *, task: str | None = None) -> Dataset:
        """Return the data set that a `Dataset` or `DatasetDict` holds."""
        return self._convert(value, None, task)

    def _convert(self, value: Any, root: Path | None, task: str | None) -> Dataset:
        parts = _parts(value)
        features = next(iter(parts.values())).features
        for name, part in parts.items():
            if set(part.features) != set(features):
                raise DataError(f"the parts of the data set have other columns: {name or 'one'} has "
                                f"{', '.join(part.features)}, the first {', '.join(features)}.")
        library = _library()
        image = _choose("image", self.image, [n for n, f in features.items() if isinstance(f, library.Image)], features)
        if self.group is not None and self.group not in features:
            raise ConfigError(f'reader.group: no column "{self.group}".' + nearest(self.group, features))
        if self._has_boxes(features, task, _label_columns(features, library)):
            return self._detection(parts, image, root)
        label = _choose("label", self.label, _label_columns(features, library), features)
        cells = {name: part.with_format(None)[label] for name, part in parts.items()}
        classes, place, several = _classes(features[label], [cell for part in cells.values() for cell in part], task)
        samples: list[Sample] = []
        for name, part in parts.items():
            samples += self._samples(name, part.with_format(None), image, list(cells[name]), place, several)
        note = f"columns: image = {image}, label = {label}" + (f", group = {self.group}" if self.group else "")
        found = "multilabel" if several else "classification"
        return Dataset(tuple(samples), classes, found, "huggingface", root, (note,))

    def _has_boxes(self, features: Mapping[str, Any], task: str | None, labels: Sequence[str]) -> bool:
        """Return whether the data are read for detection. Raises ConfigError where they could be for another task."""
        boxes = object_columns(features)
        if task is None and boxes and labels and self.label is None and self.objects is None:
            raise ConfigError(f"the columns {boxes[0]} and {labels[0]} are labels for different tasks. Say which to "
                              "use: --task detection, classification or multilabel (--set task=... in a job).")
        return task == "detection" or (task is None and (self.objects is not None or bool(boxes and not self.label)))

    def _detection(self, parts: Mapping[str, Any], image: str, root: Path | None) -> Dataset:
        """Return the data set of the column of objects."""
        features = next(iter(parts.values())).features
        objects = _choose("objects", self.objects, object_columns(features), features)
        pictures, declared = list[Picture](), list[str]()
        for name, part in parts.items():
            plain = part.with_format(None)
            samples = self._samples(name, plain, image, [()] * len(part), {}, several=True)
            found, declared = marked_cells(features[objects], list(plain[objects]), form=self.bbox,
                                           titles=[sample.id for sample in samples])
            sides = [plain[side] if side in features else [None] * len(part) for side in ("height", "width")]
            pictures += [Picture(sample.id, sample.source, marks, f"{sample.id} column {objects}", sample.split,
                                 size_of(height, width), sample.group)
                         for sample, marks, height, width in zip(samples, found, *sides, strict=True)]
        means = "left, top, width, height" if self.bbox == "coco" else "left, top, right, bottom"
        note = f"columns: image = {image}, objects = {objects}, read as {means} (reader.bbox={self.bbox})"
        return detection(pictures, format="huggingface", root=root, declared=declared, notes=[note])

    def _samples(self, name: str, part: Any, image: str, labels: Sequence[Any], place: Mapping[Any, int],
                 several: bool) -> list[Sample]:
        table = part.select_columns([image]).cast_column(image, _library().Image(decode=False))
        groups = part[self.group] if self.group else [None] * len(part)
        prefix = f"{name} " if name else ""
        found = []
        for row, (label, group) in enumerate(zip(labels, groups, strict=True)):
            title = f"{prefix}row {row + 1}"
            found.append(Sample(title, CellBytes(table, image, row, title),
                                tuple(sorted({place[one] for one in label})) if several else place[label],
                                _split(name), None if group is None else str(group)))
        return found


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ResourceError("reading Hugging Face data sets needs the package datasets: "
                            "pip install headstart[datasets]") from error
    return datasets


def _parts(value: Any) -> dict[str, Any]:
    """Return the data sets by split name; one without a split has the empty name."""
    parts = dict(value) if isinstance(value, Mapping) else {"": value}
    if any(not hasattr(part, "select_columns") or not hasattr(part, "__len__") for part in parts.values()):
        raise ConfigError("streamed data can't be split or checked. Load the data set without streaming=True.")
    strange = [name for name in parts if name and not as_split(name)]
    if len(parts) > 1 and strange:
        raise ConfigError(f"the data set has parts that are no train, val or test: {', '.join(strange)}. Choose what "
                          "to use: hs.load_data(dataset[\"train\"]), or rename the parts.")
    if not parts:
        raise DataError("the data set has no part.")
    return parts


def _split(name: str) -> SplitName | None:
    return as_split(name) if name else None


def _label_columns(features: Mapping[str, Any], library: Any) -> list[str]:
    """Return the columns that are class labels, else those that are called so."""
    typed = [name for name, feature in features.items()
             if isinstance(getattr(feature, "feature", feature), library.ClassLabel)]
    return typed or [name for name in features if name.lower() in {"label", "labels", "class", "category"}]


def _choose(role: str, given: str | None, found: list[str], columns: Mapping[str, Any]) -> str:
    if given is not None:
        if given not in columns:
            raise ConfigError(f'reader.{role}: no column "{given}".' + nearest(given, columns))
        return given
    if len(found) == 1:
        return found[0]
    choices = found or list(columns)
    raise ConfigError(f"{'several' if found else 'none'} of the columns {'could be' if found else 'is'} the {role}: "
                      + ", ".join(choices) + f". Say which: --set reader.{role}=COLUMN.")


def _classes(feature: Any, cells: Sequence[Any], task: str | None) -> tuple[tuple[str, ...], dict[Any, int], bool]:
    """Return the class names, the position of each value among them, and whether an image has several."""
    several = any(isinstance(cell, list | tuple) for cell in cells)
    if task is not None and several != (task == "multilabel"):
        raise ConfigError(f"the labels are {'lists' if several else 'single'}, which the task {task} can't use.")
    flat = [(row, one) for row, cell in enumerate(cells, 1) for one in (cell if several else [cell])]
    bad = [row for row, one in flat if one is None or (isinstance(one, int) and one < 0)]
    if bad:
        raise DataError(f"{len(bad)} images have no label:\n{listed([f'row {row}' for row in bad])}\n"
                        "Leave out the part without labels (often the test split).")
    names = getattr(getattr(feature, "feature", feature), "names", None)
    if names:  # in the order that the data set gives them: the values are positions
        return tuple(names), {position: position for position in range(len(names))}, several
    classes = sorted({str(one) for _, one in flat})
    return tuple(classes), {one: classes.index(str(one)) for _, one in flat}, several
