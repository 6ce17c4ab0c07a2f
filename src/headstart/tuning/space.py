"""Space: what a search may choose from. The default is the table `SEARCHED`; a user's own is a YAML file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, model_validator

from headstart.errors import ConfigError, nearest
from headstart.job import METHODS
from headstart.methods.method import Method
from headstart.part import Part

METHOD = "method"
"""The one setting of a space that is no field of a method: which method."""


class Choice(Part):
    """One of several values."""

    values: tuple[Any, ...] = Field(min_length=1)
    """What may be chosen, as it stands in YAML."""

    def nearest(self, value: Any) -> Any:
        """Return `value` if it may be chosen, else the first that may."""
        return value if value in self.values else self.values[0]


class Range(Part):
    """A number between two bounds, which are part of it; a whole one if both bounds are."""

    low: int | float
    high: int | float
    log: bool = False
    """Whether each tenfold is as likely as the next: for rates and strengths."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low ({self.low}) must be less than high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError(f"on a log scale low must be above 0, not {self.low}")
        return self

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def nearest(self, value: Any) -> Any:
        """Return `value` if it lies inside, else the bound nearer to it; the low one for what is no number."""
        return min(max(value, self.low), self.high) if isinstance(value, int | float) else self.low

    def including(self, value: Any) -> Range:
        """Return the range, widened so that `value` lies inside if it is a number."""
        if not isinstance(value, int | float):
            return self
        return self.model_copy(update={"low": min(self.low, value), "high": max(self.high, value)})


Dimension = Choice | Range
Suggest = Callable[[str, Dimension], Any]
"""Draws a value for the setting of this name."""

SEARCHED: Mapping[str, Dimension] = {
    "scope": Choice(values=("head", "last-1", "last-2", "norm-only", "all")),
    "unfreeze": Choice(values=("none", "fixed")),
    "lr_head": Range(low=1e-4, high=1e-2, log=True),
    "lr_backbone": Range(low=1e-5, high=1e-3, log=True),
    "layer_decay": Range(low=0.5, high=1.0),
    "weight_decay": Range(low=1e-4, high=0.3, log=True),
    "augment": Choice(values=("none", "light", "standard")),
    "label_smoothing": Choice(values=(0.0, 0.1)),
}
"""What is searched unless the user says otherwise, for each method that has the setting."""

IDLE: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "lr_backbone": ("scope", ("head",)),
    "layer_decay": ("scope", ("head",)),
    "drop_path": ("scope", ("head",)),
    "unfreeze": ("scope", ("head",)),
    "unfreeze_every": ("unfreeze", ("none",)),
}
"""Setting -> the setting, and its values, that leave it without effect: then it is not searched."""

FIRST = ("scope", "unfreeze")
"""Drawn before the others, because it depends on them whether those have an effect."""


@dataclass(frozen=True)
class Space:
    """What a search may choose from, and where it starts."""

    dimensions: Mapping[str, Dimension]
    """Setting -> what it may be."""
    searched: Mapping[str, tuple[str, ...]]
    """Method -> the settings that are searched for it, in the order in which they are drawn."""
    base: Mapping[str, Mapping[str, Any]]
    """Method -> all its settings where the search leaves them alone, as plain values."""

    @property
    def settled(self) -> list[str]:
        """Methods for which there is nothing to search: one trial tells all of them."""
        return [name for name, settings in self.searched.items() if not settings]

    @property
    def open(self) -> list[str]:
        """Methods for which there is something to search."""
        return [name for name, settings in self.searched.items() if settings]

    def draw(self, suggest: Suggest, *, method: str | None = None) -> dict[str, Any]:
        """Return a draw of the settings, `method` first; those without effect beside the others are left out.

        method: the method to draw for, where it is given.
        """
        if method is None:
            method = suggest(METHOD, Choice(values=tuple(self.open))) if len(self.open) > 1 else self.open[0]
        drawn: dict[str, Any] = {METHOD: method}
        for name in self.searched[method]:
            if not self._idle(name, {**self.base[method], **drawn}):
                drawn[name] = suggest(name, self.dimensions[name])
        return drawn

    def start(self, method: str) -> dict[str, Any]:
        """Return the settings of the first trial of a method: what it does without a search, as near as may be."""
        return self.draw(lambda name, dimension: dimension.nearest(self.base[method][name]), method=method)

    def record(self) -> dict[str, Any]:
        """Return the space as plain values: method -> setting -> what it may be."""
        return {method: {name: _plain(self.dimensions[name]) for name in settings}
                for method, settings in self.searched.items()}

    def _idle(self, name: str, settings: Mapping[str, Any]) -> bool:
        other, values = IDLE.get(name, ("", ()))
        return other in settings and settings[other] in values


def default_space(methods: Sequence[Method]) -> Space:
    """Return the space of `SEARCHED`; what the user has set is kept, and not searched.

    The defaults always lie inside, so that no search ends with less than they give.
    """
    dimensions = dict(SEARCHED)
    searched: dict[str, tuple[str, ...]] = {}
    for method in methods:
        names = [name for name in SEARCHED if name in type(method).model_fields and not _changed(method, name)
                 and _fits(SEARCHED[name], _default(method, name))]
        searched[method.part_name] = _ordered(names)
        for name in names:
            dimension = dimensions[name]
            if isinstance(dimension, Range):
                dimensions[name] = dimension.including(_default(method, name))
    return Space(dimensions, searched, _bases(methods))


def own_space(methods: Sequence[Method], settings: Mapping[str, Any], *, where: str) -> Space:
    """Return the space that the user wrote: {setting: [values]} or {setting: {low, high, log}}.

    where: the file, for messages. Raises ConfigError naming each wrong setting, bound or value.
    """
    fields = {name for method in methods for name in type(method).model_fields}
    dimensions: dict[str, Dimension] = {}
    for name, value in settings.items():
        if name == METHOD:
            continue
        having = [method for method in methods if name in type(method).model_fields]
        if not having:
            raise ConfigError(f'{where}: unknown setting "{name}" for {", ".join(m.part_name for m in methods)}.'
                              + nearest(name, fields | {METHOD}))
        dimensions[name] = _dimension(name, value, having, where)
    searched = {method.part_name: _ordered([name for name in dimensions if name in type(method).model_fields])
                for method in methods}
    return Space(dimensions, searched, _bases(methods))


def methods_of(settings: Mapping[str, Any] | None, *, where: str) -> list[str] | None:
    """Return the methods that the user's space names, or None. Raises ConfigError for one that does not exist."""
    if not settings or METHOD not in settings:
        return None
    names = settings[METHOD] if isinstance(settings[METHOD], list) else [settings[METHOD]]
    for name in names:
        if name not in METHODS.names():
            raise ConfigError(f'{where}: unknown method "{name}".' + nearest(str(name), METHODS.names()))
    return list(dict.fromkeys(names))


def _dimension(name: str, value: Any, having: Sequence[Method], where: str) -> Dimension:
    place = f"{where}: {name}"
    if isinstance(value, list):
        # As the method itself would write them down, so that equal values look equal.
        return Choice.parse({"values": tuple(_accepted(name, item, having, where) for item in value)}, where=place)
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: write a list of values, or {{low: ..., high: ..., log: true}}; got {value!r}.")
    found = Range.parse(value, where=place)
    for bound in (found.low, found.high):
        _accepted(name, bound, having, where)
    if isinstance(_default(having[0], name), float):
        found = found.model_copy(update={"low": float(found.low), "high": float(found.high)})
    return found


def _accepted(name: str, value: Any, having: Sequence[Method], where: str) -> Any:
    """Return the value as plain as the method has it. Raises ConfigError where none of the methods takes it."""
    for method in having:
        plain = type(method).parse({name: value}, where=where).model_dump(mode="json")[name]
    return plain


def _default(method: Method, name: str) -> Any:
    return type(method)().model_dump(mode="json")[name]


def _changed(method: Method, name: str) -> bool:
    return bool(method.model_dump(mode="json")[name] != _default(method, name))


def _fits(dimension: Dimension, default: Any) -> bool:
    """Whether the setting means here what the table means: a method with another default (a scope of its own) does
    something else by it."""
    return isinstance(dimension, Range) or default in dimension.values


def _ordered(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)))


def _bases(methods: Sequence[Method]) -> dict[str, dict[str, Any]]:
    return {method.part_name: method.model_dump(mode="json") for method in methods}


def _plain(dimension: Dimension) -> Any:
    return list(dimension.values) if isinstance(dimension, Choice) else dimension.model_dump(mode="json")
