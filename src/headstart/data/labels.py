"""Labels: from the cells of a table to class indices, one for each image, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.data.rows import Cell, Rows
from headstart.errors import ConfigError

SEPARATORS = (";", "|", ",")
ONE, ZERO = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})


@dataclass(frozen=True)
class Labels:
    """The label of each row, as positions in `classes`, and what was inferred on the way."""

    task: str
    classes: tuple[str, ...]
    values: tuple[int | tuple[int, ...], ...]
    note: str = ""


def from_column(rows: Rows, column: str, *, plural: bool, separator: str | None, task: str | None,
                empty: Literal["refuse", "none"] = "refuse") -> Labels:
    """Return the labels of one column.

    plural: whether the column's name is a plural, such as `labels`: then a separator in it means several labels.
    Raises DataError for empty cells, ConfigError where one or several labels are meant is not clear.
    """
    cells = rows.columns[column]
    several, separator, note = _several(rows, column, plural, separator, task)
    if not several:
        _refuse_empty(rows, [i for i, cell in enumerate(cells) if not _only(cell)], column, "")
        names = [_only(cell) for cell in cells]
        classes = tuple(sorted(set(names)))
        place = {name: index for index, name in enumerate(classes)}
        return Labels("classification", classes, tuple(place[name] for name in names), note)
    sets = [_parts(cell, separator) for cell in cells]
    if empty == "refuse":
        _refuse_empty(rows, [i for i, names in enumerate(sets) if not names], column,
                      ", or read empty cells as images of no class with --set reader.empty=none")
    classes = tuple(sorted(set().union(*sets)))
    place = {name: index for index, name in enumerate(classes)}
    return Labels("multilabel", classes, tuple(tuple(sorted(place[name] for name in names)) for names in sets), note)


def from_columns(rows: Rows, columns: Sequence[str], *, task: str | None) -> Labels:
    """Return the labels of several columns of 0 and 1, one for each class (one-hot).

    Raises DataError for another value, or for task `classification` where a row has not exactly one 1.
    """
    order = sorted(columns)
    for column in order:
        wrong = [i for i, cell in enumerate(rows.columns[column]) if str(cell).strip().lower() not in ONE | ZERO]
        if wrong:
            raise rows.refuse(wrong, f'{column} is "{rows.columns[column][wrong[0]]}", not 0 or 1',
                              "have another value in it", "Mend them, or leave the column out of reader.label.")
    table = list(zip(*(rows.columns[column] for column in order), strict=True))
    values = [tuple(i for i, cell in enumerate(row) if str(cell).strip().lower() in ONE) for row in table]
    crowded = [i for i, found in enumerate(values) if len(found) != 1]
    if task == "multilabel" or (task is None and crowded):
        return Labels("multilabel", tuple(order), tuple(values), f"{len(order)} columns of 0 and 1: one class each")
    if crowded:
        raise rows.refuse(crowded, f"{len(values[crowded[0]])} of the classes are 1 where one should be",
                          "have none or several", "Mend them, or say --set task=multilabel.")
    return Labels("classification", tuple(order), tuple(found[0] for found in values),
                  f"{len(order)} columns of 0 and 1 with a single 1 in each row: one class for each image")


def is_one_hot(cells: Sequence[Cell]) -> bool:
    """Return whether a column holds 0 and 1 only."""
    return {str(cell).strip().lower() for cell in cells} <= ONE | ZERO


def _several(rows: Rows, column: str, plural: bool, separator: str | None,
             task: str | None) -> tuple[bool, str, str]:
    """Return whether a cell means several labels, the separator, and a note."""
    cells = rows.columns[column]
    if separator is not None:
        if task == "classification":
            raise ConfigError(f'reader.separator="{separator}" means several labels, but the task is classification.')
        return True, separator, f'{column}: several labels for each image, separated by "{separator}"'
    if any(isinstance(cell, tuple) for cell in cells):
        several = task != "classification" or any(isinstance(cell, tuple) and len(cell) != 1 for cell in cells)
        if several and task == "classification":
            raise ConfigError(f"{rows.path.name}: {column} holds lists of labels, but the task is classification.")
        return several, "", f"{column}: a list of labels for each image" if several else ""
    found = [mark for mark in SEPARATORS if any(mark in cell for cell in cells)]
    if task == "classification" or (task is None and not found):
        return False, "", ""
    if len(found) > 1:
        raise ConfigError(f"{rows.path.name}: {column} holds {' and '.join(found)}. Which of them separates labels? "
                          + " or ".join(f"--set reader.separator='{mark}'" for mark in found)
                          + (", or --set task=classification if none does." if task is None else "."))
    if task is None and not plural:
        example = next(cell for cell in cells if found[0] in cell)
        raise ConfigError(f'{rows.path.name}: {column} has values such as "{example}". Is that one label, or several? '
                          "Say --set task=classification or --set task=multilabel.")
    mark = found[0] if found else ";"
    return True, mark, f'{column}: several labels for each image, separated by "{mark}"'


def _only(cell: Cell) -> str:
    return cell.strip() if isinstance(cell, str) else "".join(cell).strip()


def _parts(cell: Cell, separator: str) -> set[str]:
    parts = cell if isinstance(cell, tuple) else cell.split(separator) if separator else (cell,)
    return {part.strip() for part in parts if part.strip()}


def _refuse_empty(rows: Rows, empty: list[int], column: str, way_out: str) -> None:
    if empty:
        raise rows.refuse(empty, f"{column} is empty", "have no label", f"Give each image a label{way_out}.")
