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
from headstart.training.idle import reason

TASKS = ("classification", "multilabel")
"""The tasks for which a search can tell settings apart."""

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


class Around(Part):
    """A range on a log scale around the default of each method: rates of different methods have different homes."""

    factor: float = Field(10, gt=1)

    def of(self, default: float) -> Range:
        """Return the range from default/factor to default*factor."""
        # In numbers that people would write: 0.001, not 0.0009999999999999998.
        low, high = (float(f"{value:.6g}") for value in (default / self.factor, default * self.factor))
        return Range(low=low, high=high, log=True)


Dimension = Choice | Range
Suggest = Callable[[str, Dimension], Any]
"""Draws a value for the setting of this name."""

SEARCHED: Mapping[str, Dimension | Around] = {
    "scope": Choice(values=("head", "last-1", "last-2", "norm-only", "all")),
    "unfreeze": Choice(values=("none", "fixed")),
    "lr_head": Around(),
    "lr_backbone": Around(),
    "layer_decay": Range(low=0.5, high=1.0),
    "weight_decay": Range(low=1e-4, high=0.3, log=True),
    "augment": Choice(values=("none", "light", "standard")),
    "label_smoothing": Choice(values=(0.0, 0.1)),
    "rank": Choice(values=(4, 8, 16)),
}
"""What is searched unless the user says otherwise, for each method that has the setting."""

FIRST = ("scope", "unfreeze", "patience", "teacher_weight")
"""Drawn before the others, because it depends on them whether those have an effect."""


@dataclass(frozen=True)
class Space:
    """What a search may choose from, and where it starts."""

    searched: Mapping[str, Mapping[str, Dimension]]
    """Method -> setting -> what it may be, in the order in which they are drawn."""
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
        for name, dimension in self.searched[method].items():
            if reason(name, {**self.base[method], **drawn}) is None:
                drawn[name] = suggest(self.label(method, name), dimension)
        return drawn

    def start(self, method: str) -> dict[str, Any]:
        """Return the settings of the first trial of a method: what it does without a search, as near as may be."""
        base = self.base[method]
        return self.draw(lambda label, dimension: dimension.nearest(base[label.rpartition(".")[2]]), method=method)

    def label(self, method: str, name: str) -> str:
        """Return what a setting of a method is called in the study: its name, where it is the same for all methods.

        Else `method.name`, so that nothing is learned about one method from the rates of another.
        """
        others = [settings[name] for settings in self.searched.values() if name in settings]
        return name if all(other == self.searched[method][name] for other in others) else f"{method}.{name}"

    def record(self) -> dict[str, Any]:
        """Return the space as plain values: method -> setting -> what it may be."""
        return {method: {name: _plain(dimension) for name, dimension in settings.items()}
                for method, settings in self.searched.items()}


def default_space(methods: Sequence[Method]) -> Space:
    """Return the space of `SEARCHED`; what the user has set is kept, and not searched.

    The defaults always lie inside, so that no search ends with less than they give.
    """
    searched: dict[str, dict[str, Dimension]] = {}
    for method in methods:
        found: dict[str, Dimension] = {}
        free = set(method.settings_for(TASKS)) - set(method.changed())
        for name, dimension in SEARCHED.items():
            if name not in free:
                continue
            default = _default(method, name)
            if isinstance(dimension, Around):
                found[name] = dimension.of(default)
            elif isinstance(dimension, Range):
                found[name] = dimension.including(default)
            elif default in dimension.values:
                # A method with another default, such as a scope of its own, means something else by the setting.
                found[name] = dimension
        searched[method.part_name] = _ordered(found)
    return Space(searched, _bases(methods))


def own_space(methods: Sequence[Method], settings: Mapping[str, Any], *, where: str) -> Space:
    """Return the space that the user wrote: {setting: [values]} or {setting: {low, high, log}}.

    A key `method.setting` is for that method alone; any other for each method that has the setting and takes the value.
    where: the file, for messages. Raises ConfigError naming the setting, bound or value that no method has or takes.
    """
    searched: dict[str, dict[str, Dimension]] = {method.part_name: {} for method in methods}
    # What is for one method comes last, so that it takes the place of what is for all.
    for key, value in sorted(settings.items(), key=lambda item: "." in item[0]):
        if key == METHOD:
            continue
        only, _, name = key.rpartition(".")
        having = [m for m in methods if name in m.settings_for(TASKS) and only in ("", m.part_name)]
        if not having:
            fields = {f"{m.part_name}.{field}" if only else field for m in methods for field in m.settings_for(TASKS)}
            raise ConfigError(f'{where}: unknown setting "{key}" for {", ".join(m.part_name for m in methods)}.'
                              + nearest(key, fields | {METHOD}))
        for method, dimension in _dimensions(f"{where}: {key}", name, value, having).items():
            searched[method][name] = dimension
    return Space({name: _ordered(found) for name, found in searched.items()}, _bases(methods))


def methods_of(settings: Mapping[str, Any] | None, *, where: str) -> list[str] | None:
    """Return the methods that the user's space names, or None. Raises ConfigError for one that does not exist."""
    if not settings or METHOD not in settings:
        return None
    names = settings[METHOD] if isinstance(settings[METHOD], list) else [settings[METHOD]]
    for name in names:
        if name not in METHODS.names():
            raise ConfigError(f'{where}: unknown method "{name}".' + nearest(str(name), METHODS.names()))
    return list(dict.fromkeys(names))


def _dimensions(place: str, name: str, value: Any, having: Sequence[Method]) -> dict[str, Dimension]:
    """Return what the setting may be, by method; those that take no value, or not the whole range, are left out.

    place: file and key, for messages. Raises ConfigError for a value or a range that no method takes.
    """
    if isinstance(value, list):
        chosen = Choice.parse({"values": value}, where=place)
        plain = [_plain_by_method(place, name, item, having) for item in chosen.values]
        by_method = {m.part_name: tuple(item[m.part_name] for item in plain if m.part_name in item) for m in having}
        return {method: Choice(values=values) for method, values in by_method.items() if values}
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: write a list of values, or {{low: ..., high: ..., log: true}}; got {value!r}.")
    wanted = Range.parse(value, where=place)
    lows, highs = (_plain_by_method(place, name, bound, having) for bound in (wanted.low, wanted.high))
    both = [m.part_name for m in having if m.part_name in lows and m.part_name in highs]
    if not both:
        raise ConfigError(f"{place}: no method takes the whole range: {wanted.low} is taken by {', '.join(lows)}, "
                          f"{wanted.high} by {', '.join(highs)}. Write one for each, as {next(iter(lows))}.{name}.")
    return {m: wanted.model_copy(update={"low": lows[m], "high": highs[m]}) for m in both}


def _plain_by_method(place: str, name: str, value: Any, having: Sequence[Method]) -> dict[str, Any]:
    """Return the value as each method that takes it writes it down, so that equal values look equal.

    Raises ConfigError where none of the methods takes it.
    """
    plain: dict[str, Any] = {}
    refusals = []
    for method in having:
        try:
            plain[method.part_name] = type(method).parse({name: value}).model_dump(mode="json")[name]
        except ConfigError as error:
            refusals.append(f"  {method.part_name}: {str(error).removeprefix(f'{name}: ')}")
    if not plain:
        raise ConfigError("\n".join([f"{place}: no method takes {value!r}:", *refusals,
                                     "Mend the value, or leave it out."]))
    return plain


def _default(method: Method, name: str) -> Any:
    return type(method)().model_dump(mode="json")[name]


def _ordered(found: Mapping[str, Dimension]) -> dict[str, Dimension]:
    return dict(sorted(found.items(), key=lambda item: FIRST.index(item[0]) if item[0] in FIRST else len(FIRST)))


def _bases(methods: Sequence[Method]) -> dict[str, dict[str, Any]]:
    return {method.part_name: method.model_dump(mode="json") for method in methods}


def _plain(dimension: Dimension) -> Any:
    return list(dimension.values) if isinstance(dimension, Choice) else dimension.model_dump(mode="json")
