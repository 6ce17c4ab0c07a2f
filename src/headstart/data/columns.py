"""Columns: which column of a table plays which part, by its name, and what the cells of some of them mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from headstart.data.annotations import within
from headstart.data.rows import ENDINGS, Rows, header
from headstart.data.splits import as_split
from headstart.errors import ConfigError, nearest
from headstart.images import printable
from headstart.types import SplitName

IMAGE = ("image", "images", "image_path", "image_file", "image_name", "img", "img_path", "path", "file", "filename",
         "file_name", "filepath", "file_path", "image_id")
LABEL = ("label", "class", "class_name", "category", "target")
SPLIT = ("split", "subset", "partition")
GROUP = ("group", "group_id", "patient", "patient_id", "subject", "subject_id")
CORNERS = (("xmin", "x_min", "left", "x1"), ("ymin", "y_min", "top", "y1"), ("xmax", "x_max", "right", "x2"),
           ("ymax", "y_max", "bottom", "y2"))
LENGTHS = (("x", "bbox_x"), ("y", "bbox_y"), ("width", "w", "bbox_width"), ("height", "h", "bbox_height"))


def has_boxes(columns: Sequence[str]) -> bool:
    """Return whether these are the columns of a table with a row for each box."""
    found = set(map(normal, columns))
    return any(all(found & set(names) for names in sides) for sides in (CORNERS, LENGTHS))


def names_images(columns: Sequence[str]) -> bool:
    """Return whether one of the columns is called as image paths are."""
    return bool(set(map(normal, columns)) & set(IMAGE))


def tables(folder: Path) -> list[Path]:
    """Return the table files of a folder, sorted; nothing where it can't be read."""
    try:
        return sorted(file for file in folder.iterdir()
                      if file.suffix.lower() in ENDINGS and not file.name.startswith(".") and file.is_file())
    except OSError:
        return []


def one_table(path: Path, wanted: Callable[[Sequence[str]], bool] = names_images) -> Path:
    """Return the table file: `path` itself, or the one in it that names images."""
    if not path.is_dir():
        return path
    found = [file for file in tables(path) if wanted(header(file))]
    if len(found) != 1:
        raise ConfigError(f"{path}: " + ("has several tables. Point at one of them: " + ", ".join(map(str, found))
                                         if found else "has no table with a column of image paths. Point at the file."))
    return found[0]


def normal(name: str) -> str:
    """Return a column's name as it is compared: small letters, with underscores."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def column(role: str, given: str | None, names: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return the column of a role: the given one, or the only one with a fitting name; None where there is none."""
    if given is not None:
        if given and given not in columns:
            raise ConfigError(f'reader.{role}: the table has no column "{given}".' + nearest(given, columns))
        return given or None
    found = [name for name in columns if normal(name) in names]
    if len(found) > 1:
        raise ConfigError(f"several columns could be the {role}: {', '.join(found)}. Say which: "
                          + " or ".join(f"--set reader.{role}={name}" for name in found) + ".")
    return found[0] if found else None


def ids_of(cells: Sequence[object]) -> list[str]:
    """Return a printable id for each row: the image's path, with the row where another has the same."""
    names = [printable(str(cell).strip()) for cell in cells]
    count = Counter(names)
    return [name if count[name] == 1 else f"{name} (row {row})" for row, name in enumerate(names, 1)]


def splits_of(rows: Rows, column: str) -> list[SplitName | None]:
    """Return the split of each row. Raises DataError naming the row whose cell names none."""
    found = [as_split(str(cell)) for cell in rows.columns[column]]
    wrong = [i for i, split in enumerate(found) if split is None]
    if wrong:
        raise rows.refuse(wrong, f'{column} is "{rows.columns[column][wrong[0]]}", not train, val or test',
                          "name no split", 'Mend them, or leave the column out with --set reader.split="".')
    return found


def files_of(rows: Rows, column: str, *, outside: str) -> list[Path]:
    """Return the file that each row names, beside the table; it need not be there.

    outside: `refuse` where none may lie outside the table's folder. Raises DataError naming the rows that name no file,
    hold an address, or lead out.
    """
    names, root = [str(cell).strip() for cell in rows.columns[column]], rows.path.parent
    empty = [row for row, name in enumerate(names) if not name or "\0" in name]
    if empty:
        raise rows.refuse(empty, f"{column} is empty", "name no image", "Fill them in, or remove the rows.")
    remote = [row for row, name in enumerate(names) if "://" in name]
    if remote:
        raise rows.refuse(remote, f'"{printable(names[remote[0]])}" is an address', "hold addresses",
                          "Headstart fetches nothing: download the images and give their paths.")
    out = [row for row, name in enumerate(names) if outside == "refuse" and not within(root / name, root)]
    if out:
        raise rows.refuse(out, f'"{printable(names[out[0]])}" leads out of the folder {root}', "lead out of it",
                          "Move the table, or leave reader.outside at `allow`.")
    return [root / name for name in names]
