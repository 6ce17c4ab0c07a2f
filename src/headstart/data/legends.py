"""Legends: which number or colour in a mask is which class, as people and programs write it down."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.data.annotations import class_name
from headstart.data.strict_json import parse_json
from headstart.errors import ConfigError, DataError
from headstart.images import printable

NAMES = ("classes.txt", "labels.txt", "names.txt", "codes.txt", "labelmap.txt", "label_colors.txt", "legend.txt",
         "class_dict.csv", "classes.csv", "labels.csv", "legend.csv", "classes.json", "legend.json", "labels.json")
"""Files in a data folder that are taken for a legend, lower case."""
VOID = frozenset({"void", "unlabelled", "unlabeled", "ignore", "ignored", "unknown", "don't care", "dontcare"})
"""Names of what is no class."""
COLOUR = re.compile(r"#([0-9a-fA-F]{6})$")
MOST = 254
"""Classes at most: a pixel takes a byte."""


@dataclass(frozen=True)
class Legend:
    """Names by number, or by colour."""

    names: tuple[tuple[int, str], ...]
    """(number, or red * 65536 + green * 256 + blue; name), in the order of the classes. Several may have one name."""
    colours: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that are classes, each once."""
        return tuple(dict.fromkeys(name for _, name in self.names if name.casefold() not in VOID))

    @property
    def void(self) -> frozenset[int]:
        """The numbers whose name says that they are no class."""
        return frozenset(value for value, name in self.names if name.casefold() in VOID)

    def labels(self) -> dict[int, int]:
        """Return number -> class index."""
        place = {name: index for index, name in enumerate(self.classes)}
        return {value: place[name] for value, name in self.names if name in place}


def legend_of_words(words: Sequence[str]) -> Legend:
    """Return the legend of `sky,road` (numbers from 0), `0:membrane,255:cell` or `#ff0000:road,#000000:rest`.

    Raises ConfigError for a word that is none of these, for a mixture, and for a number that stands twice.
    """
    pairs = []
    for place, word in enumerate(words):
        head, colon, name = word.partition(":")
        value = _value(head) if colon else None
        pairs.append((value, class_name(name if value is not None else word), place))
    return _legend(pairs, "reader.classes", ConfigError)


def find_legend(root: Path) -> Path | None:
    """Return the legend that lies in a folder, or None. Raises ConfigError where there are several."""
    try:
        found = sorted(path for path in root.iterdir() if path.name.lower() in NAMES and path.is_file())
    except OSError:
        return None
    if len(found) > 1:
        raise ConfigError(f"{root}: {', '.join(path.name for path in found)} could each be the legend. Say which: "
                          f"--set reader.legend={found[0]}.")
    return found[0] if found else None


def read_legend(path: Path) -> Legend:
    """Return the legend in a file: JSON, a table with a header, or lines of a name with its number or its colour.

    JSON is {name: number, or [red, green, blue]}, or a list of names or of {name, id or color}. A header has `name`
    with `r`, `g` and `b`, or with `id`. A line is `name`, `3 name`, `name 3`, `64 0 128 name`, or CVAT's
    `name:64,0,128`.
    Raises DataError naming the line that is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read ({error}). Save it as UTF-8.") from None
    if path.suffix.lower() == ".json":
        return _legend(_of_json(parse_json(text, where=str(path)), path), str(path), DataError)
    lines = [(row, line.strip()) for row, line in enumerate(text.splitlines(), 1)]
    lines = [(row, line) for row, line in lines if line and not line.startswith("#")]
    header = [cell.strip().lower() for cell in lines[0][1].split(",")] if lines else []
    if "name" in header and len(header) > 1:
        return _legend(_of_table(header, lines[1:], path), str(path), DataError)
    return _legend([_of_line(line, place, f"{path.name}:{row}") for place, (row, line) in enumerate(lines)], str(path),
                   DataError)


Entry = tuple[int | str | None, str, int]
"""Number, colour as #rrggbb or None; name; place in the list."""


def _legend(entries: Iterable[Entry], where: str, error: type[ConfigError] | type[DataError]) -> Legend:
    found = list(entries)
    kinds = {"colour" if isinstance(value, str) else "place" if value is None else "number" for value, _, _ in found}
    if len(kinds) != 1:
        raise error(f"{where}: give every class a number, every class a colour as #rrggbb, or none of them any; found "
                    f"{' and '.join(sorted(kinds)) or 'nothing'}.")
    if any(not name for _, name, _ in found):
        raise error(f"{where}: a class has no name.")
    names = [(int(value[1:], 16) if isinstance(value, str) else place if value is None else value, name)
             for value, name, place in found]
    twice = sorted({value for value, _ in names if sum(other == value for other, _ in names) > 1})
    if twice:
        raise error(f"{where}: {', '.join(map(str, twice))} stands for two classes. Give each its own.")
    legend = Legend(tuple(names), kinds == {"colour"})
    if len(legend.classes) > MOST:
        raise error(f"{where}: {len(legend.classes)} classes; {MOST} are the most.")
    return legend


def _value(text: str) -> int | str | None:
    plain = text.strip()
    if COLOUR.match(plain):
        return plain.lower()
    return int(plain) if re.fullmatch(r"\d{1,9}", plain) else None


def _colour(parts: Sequence[object], where: str) -> str:
    numbers = [_value(str(part)) for part in parts]
    if len(numbers) != 3 or not all(isinstance(one, int) and one < 256 for one in numbers):
        raise DataError(f"{where}: {printable(str(list(parts)))[:60]} is no colour of three numbers from 0 to 255.")
    return "#" + "".join(f"{one:02x}" for one in numbers)


def _of_json(value: object, path: Path) -> list[Entry]:
    entries: list[Entry] = []
    items = list(value.items()) if isinstance(value, dict) else value if isinstance(value, list) else []
    for place, item in enumerate(items):
        where = f"{path.name}: entry {place}"
        if isinstance(item, str):
            entries.append((None, class_name(item), place))
        elif isinstance(item, tuple):
            entries.append((_coded(item[1], where), class_name(item[0]), place))
        elif isinstance(item, dict):
            code = next((item[key] for key in ("color", "colour", "rgb", "id", "value") if key in item), None)
            entries.append((None if code is None else _coded(code, where), class_name(item.get("name")), place))
        else:
            raise DataError(f"{where} is neither a name nor an object with one.")
    return entries


def _coded(code: object, where: str) -> int | str:
    if isinstance(code, list):
        return _colour(code, where)
    found = None if isinstance(code, bool) else _value(str(code))
    if found is None:
        raise DataError(f"{where}: {printable(str(code))[:60]} is neither a number nor a colour.")
    return found


def _of_table(header: Sequence[str], lines: Sequence[tuple[int, str]], path: Path) -> list[Entry]:
    entries: list[Entry] = []
    rgb = [name for name in ("r", "g", "b") if name in header]
    code = next((name for name in ("id", "value", "index", "label") if name in header), None)
    for place, (row, line) in enumerate(lines):
        cells = dict(zip(header, next(csv.reader([line], skipinitialspace=True)), strict=False))
        where = f"{path.name}:{row}"
        value = _colour([cells.get(name, "") for name in rgb], where) if len(rgb) == 3 else \
            _coded(cells.get(code, ""), where) if code else None
        entries.append((value, class_name(cells.get("name", "")), place))
    return entries


def _of_line(line: str, place: int, where: str) -> Entry:
    name, colon, rest = line.partition(":")
    if colon and rest.split(":")[0].count(",") == 2:  # CVAT
        return _colour(rest.split(":")[0].split(","), where), class_name(name), place
    words = re.split(r"[\s,:]+", line)
    front = [word for word in words[:3] if word.isdigit()]
    if len(front) == 3 and len(words) > 3:
        return _colour(front, where), class_name(" ".join(words[3:])), place
    if len(words) > 1 and words[0].isdigit():
        return _value(words[0]), class_name(" ".join(words[1:])), place
    if len(words) > 1 and words[-1].isdigit():
        return _value(words[-1]), class_name(" ".join(words[:-1])), place
    return None, class_name(line), place
