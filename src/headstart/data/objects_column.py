"""Objects column: a column of a `datasets` table that holds, for each image, lists of boxes and of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from headstart.data.annotations import Marked, class_name, number
from headstart.errors import ConfigError, DataError, listed

BOXES = ("bbox", "bboxes", "box", "boxes")
CATEGORIES = ("category", "categories", "category_id", "label", "labels", "class", "classes", "name")
Form = Literal["coco", "voc"]


def object_columns(features: Mapping[str, Any]) -> list[str]:
    """Return the columns whose cells hold boxes and categories."""
    return [name for name, feature in features.items() if _first(BOXES, inner(feature))
            and _first(CATEGORIES, inner(feature))]


def inner(feature: Any) -> Mapping[str, Any]:
    """Return the fields of a feature that is a mapping of lists, or a list of mappings; nothing for any other."""
    found = getattr(feature, "feature", feature[0] if isinstance(feature, list) and feature else feature)
    return found if isinstance(found, Mapping) else {}


def marked_cells(feature: Any, cells: Sequence[Any], *, form: Form,
                 titles: Sequence[str]) -> tuple[list[tuple[Marked, ...]], list[str]]:
    """Return the objects of each cell, and the names that the column declares.

    form: `coco` for left, top, width, height; `voc` for left, top, right, bottom; edges in pixels.
    Raises DataError naming the rows that are wrong, each by its title.
    """
    fields = inner(feature)
    box_field, category_field = _first(BOXES, fields), _first(CATEGORIES, fields)
    if box_field is None or category_field is None:
        raise ConfigError(f"the column holds {', '.join(fields) or 'no fields'}, where bbox and category are expected.")
    category = fields[category_field]
    names = getattr(getattr(category, "feature", category), "names", None)
    found, problems = [], []
    for title, cell in zip(titles, cells, strict=True):
        try:
            found.append(_objects(cell, box_field, category_field, names, form))
        except ValueError as error:
            problems.append(f"{title}: {error}")
    if problems:
        raise DataError(f"{len(problems)} rows hold objects that can't be read:\n{listed(problems)}\n"
                        "Mend them, or leave the rows out.")
    return found, [class_name(name) for name in names or ()]


def _objects(cell: Any, box_field: str, category_field: str, names: Sequence[str] | None,
             form: Form) -> tuple[Marked, ...]:
    if isinstance(cell, Mapping):
        boxes, categories = list(cell.get(box_field) or ()), list(cell.get(category_field) or ())
    else:
        boxes = [item[box_field] for item in cell or ()]
        categories = [item[category_field] for item in cell or ()]
    if len(boxes) != len(categories):
        raise ValueError(f"{len(boxes)} boxes, but {len(categories)} categories")
    return tuple(_marked(row, box, category, names, form)
                 for row, (box, category) in enumerate(zip(boxes, categories, strict=True), 1))


def _marked(row: int, box: Any, category: Any, names: Sequence[str] | None, form: Form) -> Marked:
    if names is not None and isinstance(category, int):
        if not 0 <= category < len(names):
            raise ValueError(f"object {row} has the category {category}, not one of 0 to {len(names) - 1}")
        category = names[category]
    name = class_name(category)
    values = [value for item in (box if isinstance(box, Sequence) and not isinstance(box, str) else ())
              if (value := number(item)) is not None]
    if not name or len(values) != 4 or len(box) != 4:
        raise ValueError(f"object {row} ({name or 'without a category'}): its box {str(box)[:80]} is not four numbers"
                         if name else f"object {row} has no category")
    left, top, third, fourth = values
    return Marked(name, (left, top, left + third, top + fourth) if form == "coco" else (left, top, third, fourth))


def _first(names: Sequence[str], fields: Mapping[str, Any]) -> str | None:
    return next((name for name in names if name in fields), None)
