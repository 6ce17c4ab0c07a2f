"""Table: a CSV, TSV, Parquet or JSONL file with a row for each image: its path and its label or labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from headstart.data.columns import (
    GROUP,
    IMAGE,
    LABEL,
    SPLIT,
    column,
    files_of,
    has_boxes,
    ids_of,
    names_images,
    normal,
    one_table,
    splits_of,
    tables,
)
from headstart.data.dataset import Dataset
from headstart.data.labels import Labels, from_column, from_columns, is_one_hot
from headstart.data.rows import ENDINGS, Rows, header, read_rows
from headstart.errors import ConfigError, DataError
from headstart.images import printable
from headstart.readers.reader import Reader
from headstart.types import Sample

PLURAL = ("labels", "classes", "tags", "categories", "targets")
LABELS = (*LABEL, *PLURAL)
WEIGHT = ("weight", "sample_weight")


class Table(Reader):
    """A file with a row for each image. Columns are found by their names; an empty name leaves a column out."""

    image: str | None = None
    """Column of the image paths, relative to the table's folder."""
    label: str | tuple[str, ...] | None = None
    """Column of the label or labels, or a list of columns of 0 and 1, one for each class."""
    split: str | None = None
    """Column that says train, val or test."""
    group: str | None = None
    """Column of what must not be in two splits: the patient, the plant, the burst of frames."""
    weight: str | None = None
    """Column of the sample weights, 0 or more."""
    separator: str | None = Field(None, min_length=1)
    """What stands between several labels in one cell."""
    empty: Literal["refuse", "none"] = "refuse"
    """What an empty cell among several labels means: a mistake, or that none of the classes applies."""
    missing: Literal["refuse", "keep"] = "refuse"
    """What to do with a row whose file does not exist; kept ones are found, and can be skipped, by the check."""
    outside: Literal["refuse", "allow"] = "allow"
    """Whether paths may lead out of the table's folder; `refuse` for a table that somebody else wrote."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` is a table file, or a folder with a table that names images."""
        place = Path(path)
        if place.is_dir():
            return any(names_images(names) and not has_boxes(names) for names in map(header, tables(place)))
        return place.suffix.lower() in ENDINGS and not has_boxes(header(place))

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises ConfigError for unclear columns, DataError naming the first wrong row."""
        if task not in (None, *self.tasks):
            raise ConfigError(f"{path}: a row of this table is an image with labels, which are no data for {task}. A "
                              "table with a row for each box is read by --format boxes_table.")
        rows = read_rows(one_table(Path(path)))
        columns = list(rows.columns)
        image = column("image", self.image, IMAGE, columns)
        if image is None:
            raise ConfigError(f"{rows.path.name}: no column of image paths among {', '.join(columns)}. "
                              "Name it: --set reader.image=COLUMN.")
        split, group, weight = (column(role, given, names, columns) for role, given, names in (
            ("split", self.split, SPLIT), ("group", self.group, GROUP), ("weight", self.weight, WEIGHT)))
        used = [name for name in (image, split, group, weight) if name is not None]
        labels, label_columns = self._labels(rows, used, task)
        sources = self._sources(rows, image)
        ids = ids_of(rows.columns[image])
        splits = splits_of(rows, split) if split is not None else [None] * len(rows)
        weights = _weights(rows, weight) if weight is not None else [1.0] * len(rows)
        groups = [str(cell).strip() or None for cell in rows.columns[group]] if group else [None] * len(rows)
        samples = tuple(map(Sample, ids, sources, labels.values, splits, groups, weights))
        roles = [("image", image), ("label", ", ".join(label_columns)), ("split", split), ("group", group),
                 ("weight", weight)]
        notes = ["columns: " + ", ".join(f"{role} = {name}" for role, name in roles if name)]
        rest = [name for name in columns if name not in (*used, *label_columns)]
        notes += [labels.note] if labels.note else []
        notes += [f"columns left aside: {', '.join(rest)}"] if rest else []
        return Dataset(samples, labels.classes, labels.task, "table", rows.path.parent, tuple(notes))

    def _labels(self, rows: Rows, used: Sequence[str], task: str | None) -> tuple[Labels, list[str]]:
        """Return the labels and the columns that they stand in."""
        columns = list(rows.columns)
        if isinstance(self.label, tuple):
            for name in self.label:
                column("label", name, (), columns)
            return from_columns(rows, self.label, task=task), list(self.label)
        label = column("label", self.label, LABELS, columns)
        if label is not None:
            return from_column(rows, label, plural=normal(label) in PLURAL, separator=self.separator, task=task,
                               empty=self.empty), [label]
        rest = [name for name in columns if name not in used]
        if len(rest) > 1 and all(is_one_hot(rows.columns[name]) for name in rest):
            return from_columns(rows, rest, task=task), rest
        raise ConfigError(f"{rows.path.name}: no column of labels among {', '.join(columns)}. Name it: --set "
                          "reader.label=COLUMN, or a list of columns of 0 and 1: --set reader.label=[CAT,DOG].")

    def _sources(self, rows: Rows, column: str) -> list[Path]:
        """Return the file of each row; refuse empty cells, addresses, ways out of the folder, and missing files."""
        paths = files_of(rows, column, outside=self.outside)
        missing = [i for i, path in enumerate(paths) if not path.is_file()]
        if missing and self.missing == "refuse":
            first = printable(str(rows.columns[column][missing[0]]).strip())
            raise rows.refuse(missing, f'image "{first}" does not exist', "point to missing files",
                              "Fix the paths, or leave them out with `--set skip_bad=true` (adapt: `--skip-bad`).")
        return paths


def _weights(rows: Rows, column: str) -> list[float]:
    def number(cell: object) -> float:
        try:
            return float(str(cell))
        except ValueError:
            return math.nan

    values = [number(cell) for cell in rows.columns[column]]
    wrong = [i for i, value in enumerate(values) if not (math.isfinite(value) and value >= 0)]
    if wrong:
        raise rows.refuse(wrong, f'{column} is "{rows.columns[column][wrong[0]]}", not a number of 0 or more',
                          "have no weight", 'Mend them, or leave the column out with --set reader.weight="".')
    if not any(values):
        raise DataError(f"{rows.path.name}: every {column} is 0, so that nothing would be learnt.")
    return values
