"""Labels table: labels.csv, a row for each image, to be corrected by hand and read as data again."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.labels import SEPARATORS
from headstart.files import write_text
from headstart.selection.label_errors import TABLE

# N images, C classes


def write_labels_table(directory: Path, data: Dataset, suggested: np.ndarray, quality: np.ndarray, issues: np.ndarray,
                       splits: Mapping[str, str]) -> None:
    """Write labels.csv: path, label (as given), suggested, quality, issue, split; and group and weight, if there are.

    suggested: int64 [N] or 0/1 [N, C]. quality: float [N]. issues: bool [N]. splits: by the image's id.
    Paths are absolute, so that the table can be moved. An image inside another table has its id in place of a path.
    """
    several = data.task == "multilabel"
    groups = data.groups()
    weighted = bool((data.weights() != 1).any())
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "labels" if several else "label", "suggested", "quality", "issue", "split",
                     *(["group"] if groups else []), *(["weight"] if weighted else [])])
    mark = separator(data.classes)
    for row, sample in enumerate(data.samples):
        path = str(sample.source.absolute()) if isinstance(sample.source, Path) else sample.id
        given = sample.label if isinstance(sample.label, tuple) else (sample.label,)
        meant = np.flatnonzero(suggested[row]) if several else [suggested[row]]
        cells = [mark.join(data.classes[int(c)] for c in label if c is not None) for label in (given, meant)]
        writer.writerow([path, *cells, f"{quality[row]:.4f}", "true" if issues[row] else "false", splits[sample.id],
                         *([groups[row]] if groups else []), *([f"{sample.weight:g}"] if weighted else [])])
    # A name that is no UTF-8 can't stand in the table; its row then tells that the file does not exist.
    write_text(directory / TABLE, text.getvalue().encode("utf-8", "replace").decode("utf-8"))


def separator(classes: Sequence[str]) -> str:
    """Return a mark that no class name holds, to stand between several labels."""
    return next((mark for mark in SEPARATORS if not any(mark in name for name in classes)), SEPARATORS[0])


def table_settings(data: Dataset) -> tuple[str, ...]:
    """Return what a reader of labels.csv has to be told, as key=value: nothing where the table speaks for itself."""
    if data.task != "multilabel":
        unclear = any(mark in name for name in data.classes for mark in SEPARATORS)
        return ("task=classification",) if unclear else ()
    empty = any(not sample.label for sample in data.samples)
    return ("task=multilabel", f"reader.separator={separator(data.classes)}",
            *(("reader.empty=none",) if empty else ()))
