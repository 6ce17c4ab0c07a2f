"""YAML without surprises, and `--set key=value`: from text to plain values and back."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import yaml

from headstart.errors import ConfigError

LISTS = {"method": "method", "baselines": "method", "regularisers": "regulariser"}
"""Settings that are lists of parts, and the key that holds the name of each; a word stands for a list of one."""
WORDS = {"mix": "mix", "loss": "loss", "average": "average", "detector": "detector", "slices": "size",
         "segmenter": "segmenter"}
"""Settings that hold settings of their own, and the one that a value alone stands for: `mix: mixup` is {mix: mixup}."""


MARKS = re.compile(r"""[-?:,&*!|>%@`#]+|[\[\]{}'"]""")
"""Text of nothing but marks by which YAML begins something: a value such as the separator `|`, or a YAML that says
nothing. Pairs, such as [] and '', mean what YAML means by them."""


class _OnceEach:
    """A key stands once in a mapping."""

    def construct_mapping(self: Any, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping. Raises ConfigError for a key that stands twice: the last would win in silence."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                key = str(key)
            if key in seen:
                raise ConfigError(f'line {key_node.start_mark.line + 1}: the key "{key}" stands twice. Remove one.')
            seen.add(key)
        return super().construct_mapping(node, deep=deep)  # type: ignore[misc, no-any-return]


class _Loader(_OnceEach, yaml.SafeLoader):
    """YAML 1.2's core scalars: `no` and `0123` are text, only true/false are booleans; a key stands once."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (the library's own protocol)


class _WordLoader(_OnceEach, yaml.BaseLoader):
    """Every scalar is the text that stands there; a key stands once."""


class _Dumper(yaml.SafeDumper):
    """Quotes text that a reader would take for something else: one of YAML 1.1, as the library is, or `_Loader`."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.I), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$", re.I), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
FLOAT = re.compile(
    r"^[-+]?(?:(?:0|[1-9][0-9]*)?\.[0-9]+|(?:0|[1-9][0-9]*)\.?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|nan)$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))
# 1e5, which YAML 1.1 takes for text. Its own numbers, which are tried first, are written as before.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def parse_yaml(text: str, *, where: str = "") -> Any:
    """Return the plain values of a YAML text. Raises ConfigError with the line where it is not YAML."""
    return _parse(text, where, _Loader)


def parse_words(text: str, *, where: str = "") -> Any:
    """Return lists, mappings and texts: of a YAML text in which `no`, `1e3` and `null` are names, as they stand there.

    Raises ConfigError with the line where it is not YAML.
    """
    return _parse(text, where, _WordLoader)


def _parse(text: str, where: str, loader: Any) -> Any:
    try:
        return yaml.load(text, Loader=loader)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where or 'text'} is not valid YAML: {error}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises ConfigError where it can't be read or is not a mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read ({error}). Give the path of a YAML file.") from None
    values = parse_yaml(text, where=str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected settings as `key: value` lines, found "
                          f"{'nothing' if values is None else 'a ' + type(values).__name__}.")
    return values


def to_yaml(values: dict[str, Any]) -> str:
    """Return YAML that reads back equal, keys in the order given."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def override(values: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Return a copy of `values` with each `path.to.key=value` set; list items by number or by method name.

    Values are read as YAML, but YAML's marks alone, such as `|`, are that text. Raises ConfigError for an assignment
    without `=` or an item that is not there.
    """
    result: dict[str, Any] = copy.deepcopy(values)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f'--set {assignment}: write it as key=value, such as --set method.1.epochs=5.')
        plain = MARKS.fullmatch(text.strip())
        value = text.strip() if plain else parse_yaml(text, where=f"--set {path}")
        _assign(result, path.strip().split("."), value, assignment)
    return result


def _assign(target: Any, steps: list[str], value: Any, assignment: str) -> None:
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        if isinstance(target, list):
            kind = LISTS.get(steps[depth - 1], "method")
            place: Any = _position(target, step, assignment, kind=kind)
            if isinstance(target[place], str) and not last:
                target[place] = {kind: target[place]}
        elif isinstance(target, dict):
            place = step
            if not last:
                existing = target.get(place)
                # `method: finetune` stands for a list of one.
                if isinstance(existing, str | dict) and place in LISTS:
                    target[place] = [existing]
                elif isinstance(existing, str | int) and not isinstance(existing, bool) and place in WORDS:
                    target[place] = {WORDS[place]: existing}
                elif existing is None:
                    target[place] = {}
        else:
            raise ConfigError(f'--set {assignment}: "{".".join(steps[:depth])}" is a single value, it has no '
                              f'"{step}".')
        if last:
            target[place] = _with_own(place, target, value)
        else:
            target = target[place]


def _with_own(place: Any, target: Any, value: Any) -> Any:
    """Return the value; where its own settings came before it (`slices.overlap=0.3`, then `slices=240`), with them."""
    before = target.get(place) if isinstance(target, dict) else None
    if place in WORDS and isinstance(before, dict) and WORDS[place] not in before and not isinstance(value, dict):
        return {**before, WORDS[place]: value}
    return value


def _position(items: list[Any], step: str, assignment: str, *, kind: str) -> int:
    names = [item if isinstance(item, str) else item.get(kind) for item in items]
    if step in names:
        return names.index(step)
    if step.isdigit() and int(step) < len(items):
        return int(step)
    raise ConfigError(f'--set {assignment}: there is no item "{step}" among {", ".join(map(str, names))} '
                      f"(0 to {len(items) - 1}). Name the method first, such as --method finetune.")
