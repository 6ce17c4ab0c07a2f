"""YOLO lines: from a line of a label file to a marked object, and from data.yaml to names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from headstart.data.annotations import Marked, class_name, number
from headstart.data.masks import box_of_polygons
from headstart.errors import DataError

WHOLE = re.compile(r"([+-]?\d{1,9})(\.0*)?")
FARTHEST = 2.0
"""A share of the picture that is larger is none: such numbers are pixels."""


def names_of(value: Any, count: Any, file: str) -> list[str]:
    """Return the class names by index, from a list, or from a mapping of index to name.

    count: the value of `nc`, or None. Raises DataError where an index is missing, or names and `nc` don't agree.
    """
    if isinstance(value, dict):
        wrong = [key for key in value if not str(key).isdecimal() or int(str(key)[:9]) >= len(value)]
        if wrong:
            raise DataError(f"{file}: names has the index {wrong[0]!r}, but {len(value)} names have the indices 0 to "
                            f"{len(value) - 1}. Number them so.")
        value = [value[key] for key in sorted(value, key=lambda key: int(str(key)))]
    if not isinstance(value, list) or not value:
        raise DataError(f"{file}: has no names. List the class names: names: [cat, dog].")
    names = [class_name(name) for name in value]
    if not all(names):
        raise DataError(f"{file}: the name of class {names.index('')} is empty or no text. Name each class.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{file}: several classes are called {', '.join(twice)}. Give each class its own name.")
    if count is not None and str(count) != str(len(names)):
        raise DataError(f"{file}: nc is {count}, but there are {len(names)} names. Mend one of them.")
    return names


def read_lines(file: Path, names: list[str], size: tuple[int, int]) -> tuple[list[Marked], list[str]]:
    """Return the objects of a label file, in its order, and what is wrong with other lines, each as `line 3: ...`.

    size: H, W of the picture, upright, of which the numbers are shares.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return [], [f"can't be read ({error})"]
    found, problems = [], []
    for row, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(_marked(line.split(), names, size))
        except ValueError as error:
            problems.append(f"line {row}: {error}")
    return found, problems


def _marked(words: list[str], names: list[str], size: tuple[int, int]) -> Marked:
    """Return the object of a line. Raises ValueError saying what is wrong with it."""
    match = WHOLE.fullmatch(words[0])
    if match is None:
        raise ValueError(f'the class "{words[0][:40]}" is no whole number')
    label = int(match[1])
    if not 0 <= label < len(names):
        raise ValueError(f"the class {label} is not one of 0 to {len(names) - 1} (is the first class 0?)")
    shares = [number(word) for word in words[1:]]
    if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
        raise ValueError(f"{len(shares)} numbers behind the class, where a box has 4 and an outline 6, 8, 10, ...")
    if any(share is None for share in shares):
        raise ValueError("holds something that is no finite number")
    values = [share for share in shares if share is not None]
    far = next((value for value in values if abs(value) > FARTHEST), None)
    if far is not None:
        raise ValueError(f"{far:g} is no share of the picture (0 to 1); are these pixels?")
    height, width = size
    if len(values) > 4:
        outline = tuple(value * (height if place % 2 else width) for place, value in enumerate(values))
        return Marked(names[label], box_of_polygons([outline]), polygons=(outline,))
    x, y, across, down = values
    return Marked(names[label], ((x - across / 2) * width, (y - down / 2) * height,
                                 (x + across / 2) * width, (y + down / 2) * height))
