"""Boxes table: a CSV, TSV, Parquet or JSONL file with a row for each box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from headstart.data.annotations import (
    Marked,
    Outside,
    Picture,
    class_name,
    detection,
    number,
    refuse_missing,
    require_detection,
    size_of,
)
from headstart.data.columns import (
    CORNERS,
    GROUP,
    IMAGE,
    LABEL,
    LENGTHS,
    SPLIT,
    column,
    files_of,
    has_boxes,
    names_images,
    normal,
    one_table,
    splits_of,
    tables,
)
from headstart.data.dataset import Dataset
from headstart.data.rows import ENDINGS, Rows, header, read_rows
from headstart.errors import ConfigError
from headstart.images import printable
from headstart.readers.reader import Reader
from headstart.types import SplitName


@dataclass(frozen=True)
class _Roles:
    """Which column is what. `sides`: four columns of edges, or of left, top, width, height where `lengths`."""

    image: str
    label: str
    sides: tuple[str, ...]
    lengths: bool
    size: tuple[str, str] | None
    split: str | None
    group: str | None


class BoxesTable(Reader):
    """A row for each box: image, label, xmin, ymin, xmax, ymax, or image, label, x, y, width, height.

    Numbers are edges in pixels, the first reaching from 0 to 1. A row without label and box is an image without any.
    """

    tasks: ClassVar[tuple[str, ...]] = ("detection",)

    image: str | None = None
    """Column of the image paths, relative to the table's folder."""
    label: str | None = None
    """Column of the class names."""
    split: str | None = None
    """Column that says train, val or test; an empty name leaves it out."""
    group: str | None = None
    """Column of what must not be in two splits; an empty name leaves it out."""
    missing: Literal["refuse", "keep"] = "refuse"
    """What to do with a row whose file does not exist; kept ones are found, and can be skipped, by the check."""
    outside: Outside = "allow"
    """Whether paths may lead out of the table's folder; `refuse` for a table that somebody else wrote."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` is a table with columns of boxes, or a folder with one."""
        place = Path(path)
        if place.is_dir():
            return any(_fits(header(file)) for file in tables(place))
        return place.suffix.lower() in ENDINGS and has_boxes(header(place))

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises ConfigError for unclear columns, DataError naming the first wrong row."""
        require_detection(path, task, "boxes_table")
        rows = read_rows(one_table(Path(path), _fits))
        roles = self._roles(rows)
        names = [str(cell).strip() for cell in rows.columns[roles.image]]
        marks = _marks(rows, roles)
        files_of(rows, roles.image, outside=self.outside)
        by_image: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            by_image.setdefault(name, []).append(row)
        splits = splits_of(rows, roles.split) if roles.split else [None] * len(rows)
        pictures = [self._picture(rows, roles, positions, marks, splits) for positions in by_image.values()]
        refuse_missing(rows.path.name, [p.where + ": " + p.id for p in pictures if not Path(str(p.source)).is_file()],
                       self.missing)
        said = [("image", roles.image), ("label", roles.label), ("box", ", ".join(roles.sides)),
                ("size", ", ".join(roles.size or ())), ("split", roles.split), ("group", roles.group)]
        used = {roles.image, roles.label, *roles.sides, *(roles.size or ()), roles.split, roles.group}
        rest = [name for name in rows.columns if name not in used]
        notes = ["columns: " + ", ".join(f"{role} = {name}" for role, name in said if name)]
        notes += [f"columns left aside: {', '.join(rest)}"] if rest else []
        return detection(pictures, format="boxes_table", root=rows.path.parent, notes=notes)

    def _roles(self, rows: Rows) -> _Roles:
        columns = list(rows.columns)
        image = column("image", self.image, IMAGE, columns)
        label = column("label", self.label, LABEL, columns)
        corners = [column("box", None, names, columns) for names in CORNERS]
        lengths = [column("box", None, names, columns) for names in LENGTHS]
        sides = corners if None not in corners else lengths
        if image is None or label is None or None in sides:
            lacking = [what for what, found in (("image", image), ("label", label), ("box", None not in sides or None))
                       if found is None]
            raise ConfigError(f"{rows.path.name}: no column for {' and '.join(lacking)} among {', '.join(columns)}. It "
                              "needs image, label, and xmin, ymin, xmax, ymax or x, y, width, height. Name a column "
                              "with --set reader.image=COLUMN or reader.label=COLUMN.")
        # Beside corners, width and height are those of the image.
        size = next(((h, w) for h in columns for w in columns if (normal(h), normal(w)) in
                     (("height", "width"), ("image_height", "image_width"))), None) if sides is corners else None
        return _Roles(image, label, tuple(side for side in sides if side), sides is lengths, size,
                      column("split", self.split, SPLIT, columns), column("group", self.group, GROUP, columns))

    def _picture(self, rows: Rows, roles: _Roles, positions: list[int], marks: Sequence[Marked | None],
                 splits: Sequence[SplitName | None]) -> Picture:
        first = positions[0]
        name = str(rows.columns[roles.image][first]).strip()
        for what in filter(None, (roles.split, roles.group, *(roles.size or ()))):
            cells = rows.columns[what]
            other = [row for row in positions if cells[row] != cells[first]]
            if other:
                raise rows.refuse(other, f'{what} of "{printable(name)}" is "{cells[other[0]]}", but "{cells[first]}" '
                                  f"in row {first + 1}", "differ so", "Give all rows of an image the same.")
        objects = tuple(mark for row in positions if (mark := marks[row]))
        size = size_of(*(rows.columns[what][first] for what in roles.size)) if roles.size else None
        group = str(rows.columns[roles.group][first]).strip() or None if roles.group else None
        return Picture(printable(name), rows.path.parent / name, objects, f"{rows.path.name} row {first + 1}",
                       splits[first], size, group)


def _fits(columns: Sequence[str]) -> bool:
    return has_boxes(columns) and names_images(columns)


def _marks(rows: Rows, roles: _Roles) -> list[Marked | None]:
    """Return the object of each row; None where label and box are empty."""
    wrong: list[tuple[int, str]] = []
    found: list[Marked | None] = []
    for row in range(len(rows)):
        name = class_name(rows.columns[roles.label][row])
        cells = [rows.columns[side][row] for side in roles.sides]
        sides = [number(cell) for cell in cells]
        values = [side for side in sides if side is not None]
        mark = None
        if not name and any(str(cell).strip() for cell in cells):
            wrong.append((row, f"{roles.label} is empty, but there is a box"))
        elif name and len(values) < 4:
            bad = sides.index(None)
            wrong.append((row, f'{roles.sides[bad]} is "{cells[bad]}", not a finite number'))
        elif name:
            left, top, third, fourth = values
            mark = Marked(name, (left, top, left + third, top + fourth) if roles.lengths
                          else (left, top, third, fourth))
        found.append(mark)
    if wrong:
        kinds = Counter(what.split(" is ")[0] for _, what in wrong)
        raise rows.refuse([row for row, _ in wrong], wrong[0][1], f"are wrong in {', '.join(kinds)}",
                          "Mend them; an image without objects has a row with label and box empty.")
    return found
