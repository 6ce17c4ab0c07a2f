"""Strict JSON: what JSON itself allows and no more: no NaN, no key twice, and an error instead of a crash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headstart.errors import DataError

MOST_DIGITS = 300
"""Of a whole number; a float holds no more before it is infinite."""


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises DataError saying what is wrong and, where known, in which record."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: the text is not UTF-8 (byte {error.start}). Save the file as UTF-8.") from error
    value = parse_json(text, where=path.name)
    if not isinstance(value, dict):
        raise DataError(f"{path.name}: holds a {type(value).__name__} where a JSON object {{...}} is expected.")
    return value


def parse_json(text: str, *, where: str) -> Any:
    """Return the value of a JSON text.

    Raises DataError for what is no JSON, for NaN and Infinity, keys that stand twice, whole numbers of more than 300
    digits and nesting without end; it names the innermost object with an `id` around the fault.
    """
    faults = _Faults()
    try:
        value = json.loads(text, object_pairs_hook=faults.close, parse_constant=faults.constant, parse_int=faults.whole)
    except _InRecord as error:
        raise DataError(f"{where}: {error}. Write the file anew.") from None
    except RecursionError:
        raise DataError(f"{where}: nested too deep to be read. Write the file anew.") from None
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}).") from None
    if faults.waiting:
        raise DataError(f"{where}: {faults.waiting}. Write the file anew.")
    return value


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a mapping; for `json.loads`. Raises ValueError for a key that stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f'the key "{_twice(pairs)}" stands there twice')
    return found


def not_json(word: str) -> Any:
    """Raise ValueError for NaN and Infinity; for `json.loads`."""
    raise ValueError(f"{word} is not JSON")


class _InRecord(Exception):
    """A fault, with the record that it stands in."""


class _Faults:
    """Notices a fault, and tells it when the object around it that has an `id` is complete."""

    def __init__(self) -> None:
        self.waiting = ""

    def constant(self, word: str) -> float:
        self.waiting = self.waiting or f"{word} is not JSON"
        return 0.0

    def whole(self, digits: str) -> int:
        if len(digits) > MOST_DIGITS:
            self.waiting = self.waiting or f"a whole number of {len(digits)} digits"
            return 0
        return int(digits)

    def close(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            self.waiting = self.waiting or f'the key "{_twice(pairs)}" stands there twice'
        if self.waiting and isinstance(found.get("id"), int | str):
            raise _InRecord(f"{_kind(found)} {found['id']}: {self.waiting}")
        return found


def _twice(pairs: list[tuple[str, Any]]) -> str:
    names = [name for name, _ in pairs]
    return next(name for name in names if names.count(name) > 1)


def _kind(record: dict[str, Any]) -> str:
    if "bbox" in record or "segmentation" in record or "category_id" in record:
        return "annotation"
    return "image" if "file_name" in record else "category" if "name" in record else "the record with the id"
