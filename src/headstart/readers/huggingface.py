"""Hugging Face: a data set of the `datasets` library, from the folder that `save_to_disk` wrote or as an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from headstart.data.annotations import Picture, detection, size_of
from headstart.data.cells import CellBytes
from headstart.data.dataset import Dataset
from headstart.data.dataset_columns import chosen_column, label_classes, label_columns, mask_columns, parts_of
from headstart.data.mask_meaning import ADVICE, MaskMeaning
from headstart.data.mask_sets import with_masks
from headstart.data.objects_column import Form, marked_cells, object_columns
from headstart.data.splits import as_split
from headstart.errors import ConfigError, DataError, ResourceError, nearest
from headstart.readers.reader import Reader
from headstart.types import ImageSource, MaskFiles, Sample, SplitName


class Huggingface(MaskMeaning, Reader):
    """A `datasets.Dataset` or `DatasetDict`. Its split names become the splits."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "detection", "semantic")

    image: str | None = None
    """Column of the images; needed where there is more than one that is no mask."""
    mask: str | None = None
    """Column of the masks; needed where there is more than one that could be."""
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
        parts = parts_of(value)
        features = next(iter(parts.values())).features
        for name, part in parts.items():
            if set(part.features) != set(features):
                raise DataError(f"the parts of the data set have other columns: {name or 'one'} has "
                                f"{', '.join(part.features)}, the first {', '.join(features)}.")
        library = _library()
        pictures = [name for name, feature in features.items() if isinstance(feature, library.Image)]
        masks = [chosen_column("mask", self.mask, [], features)] if self.mask else mask_columns(pictures)
        image = chosen_column("image", self.image, [name for name in pictures if name not in masks] or pictures,
                              features)
        if self.group is not None and self.group not in features:
            raise ConfigError(f'reader.group: no column "{self.group}".' + nearest(self.group, features))
        masks = [name for name in masks if name != image]
        labels = [name for name in label_columns(features, library) if name not in pictures]
        kind = self._kind(features, task, masks, labels)
        if kind == "masks":
            if vain := [name for name in self.changed() if name in ("label", "objects", "bbox")]:
                raise ConfigError(f"reader.{', reader.'.join(vain)}: has no effect on masks. Leave it out.")
            return self._masked(parts, image, chosen_column("mask", self.mask, masks, features), root, task)
        if unused := [name for name in ("mask", *MaskMeaning.model_fields) if name in self.changed()]:
            raise ConfigError(f"reader.{', reader.'.join(unused)}: has no effect on {kind}, only on masks (--task "
                              "semantic; --set task=semantic for adapt).")
        if kind == "objects":
            return self._detection(parts, image, root)
        label = chosen_column("label", self.label, labels, features)
        cells = {name: part.with_format(None)[label] for name, part in parts.items()}
        every = [cell for part in cells.values() for cell in part]
        classes, place, several = label_classes(features[label], every, task)
        samples: list[Sample] = []
        for name, part in parts.items():
            samples += self._samples(name, part.with_format(None), image, list(cells[name]), place, several)
        note = f"columns: image = {image}, label = {label}" + (f", group = {self.group}" if self.group else "")
        found = "multilabel" if several else "classification"
        return Dataset(tuple(samples), classes, found, "huggingface", root, (note,))

    def _kind(self, features: Mapping[str, Any], task: str | None, masks: Sequence[str], labels: Sequence[str]) -> str:
        """Return of which columns the data are read: labels, objects or masks. Raises ConfigError for a choice."""
        if task == "semantic" or self.instances:
            return "masks"
        if task is not None:
            return "objects" if task == "detection" else "labels"
        chosen = {"labels": self.label, "objects": self.objects, "masks": self.mask}
        named = [kind for kind, column in chosen.items() if column]
        there = {"objects": object_columns(features), "masks": masks, "labels": labels}
        kinds = named or [kind for kind, columns in there.items() if columns]
        if len(kinds) > 1:
            columns = " and ".join(chosen[kind] or there[kind][0] for kind in kinds)
            raise ConfigError(f"the columns {columns} are labels for different tasks. Say which to use: --task "
                              "detection, semantic, classification or multilabel (--set task=... in a job).")
        return kinds[0] if kinds else "labels"

    def _detection(self, parts: Mapping[str, Any], image: str, root: Path | None) -> Dataset:
        """Return the data set of the column of objects."""
        features = next(iter(parts.values())).features
        objects = chosen_column("objects", self.objects, object_columns(features), features)
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

    def _masked(self, parts: Mapping[str, Any], image: str, mask: str, root: Path | None, task: str | None) -> Dataset:
        """Return the data set of the column of masks: of the class of each pixel, or of numbered objects."""
        where = str(root or "huggingface")
        self.require_for(where, task)
        samples, masks = list[Sample](), list[ImageSource]()
        for name, part in parts.items():
            plain = part.with_format(None)
            samples += self._samples(name, plain, image, [()] * len(part), {}, several=True)
            masks += self._cells(name, plain, mask, f" column {mask}")
        note = f"columns: image = {image}, mask = {mask}" + (f", group = {self.group}" if self.group else "")
        if self.instances:
            pictures = [Picture(sample.id, sample.source, (), f"{sample.id} column {mask}", sample.split, None,
                                sample.group) for sample in samples]
            return self.numbered(pictures, masks, self.said() if self.divisor else None, format="huggingface",
                                 root=root, notes=[note])
        coding = self.coding(masks, where, self.said())
        found = [replace(sample, where=f"{sample.id} column {mask}", mask=MaskFiles((source,), (coding.codes,)))
                 for sample, source in zip(samples, masks, strict=True)]
        return with_masks(Dataset(tuple(found), coding.classes, "semantic", "huggingface", root, (note, *coding.notes)),
                          [], faulty=self.faulty, advice=ADVICE)

    def _samples(self, name: str, part: Any, image: str, labels: Sequence[Any], place: Mapping[Any, int],
                 several: bool) -> list[Sample]:
        sources = self._cells(name, part, image)
        groups = part[self.group] if self.group else [None] * len(part)
        return [Sample(source.name, source, tuple(sorted({place[one] for one in label})) if several else place[label],
                       _split(name), None if group is None else str(group))
                for source, label, group in zip(sources, labels, groups, strict=True)]

    def _cells(self, name: str, part: Any, column: str, more: str = "") -> list[CellBytes]:
        """Return the encoded pictures of a column, each by the name of its row, and what else is to be said."""
        table = part.select_columns([column]).cast_column(column, _library().Image(decode=False))
        prefix = f"{name} " if name else ""
        return [CellBytes(table, column, row, f"{prefix}row {row + 1}{more}") for row in range(len(part))]


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ResourceError("reading Hugging Face data sets needs the package datasets: "
                            "pip install headstart[datasets]") from error
    return datasets


def _split(name: str) -> SplitName | None:
    return as_split(name) if name else None
