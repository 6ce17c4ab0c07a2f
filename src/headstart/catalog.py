"""Catalog: name -> part, by file name in a folder, or by entry point from another package."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, Generic, TypeVar

from headstart.errors import ConfigError, nearest
from headstart.part import NamedError

T = TypeVar("T")


class Catalog(Generic[T]):
    """The parts of one extension point.

    folder: the last name of the package, such as `methods`; entry points use the group `headstart.methods`.
    contract: the class that each part must derive from; the file that defines it is not a part,
    nor are the files that the folder's `__init__.py` names in `NOT_PARTS`.
    """

    def __init__(self, folder: str, contract: type[T]) -> None:
        self.folder = folder
        self.contract = contract
        self.singular = contract.__module__.rpartition(".")[2]

    def names(self) -> list[str]:
        """Return the names of all parts, sorted, without importing them."""
        return sorted({*self._leaves(), *self._plugins()})

    def get(self, name: str) -> type[T]:
        """Return the class called `name`. Raises ConfigError with the nearest name if there is none."""
        if name in self._leaves():
            module = importlib.import_module(f"headstart.{self.folder}.{name}")
            return self._class_in(module.__name__, vars(module))
        if name in self._plugins():
            return self._plugins()[name].load()  # type: ignore[no-any-return]
        raise ConfigError(f'unknown {self.singular} "{name}".' + nearest(name, self.names()))

    def all(self) -> dict[str, type[T]]:
        """Return every part by name; imports them all."""
        return {name: self.get(name) for name in self.names()}

    def parse(self, value: Any) -> T:
        """Return a part from its name, from `{loss: name, setting: value}` (here of `losses`), or as it is.

        Raises ConfigError naming the wrong word or setting.
        """
        if isinstance(value, self.contract):
            return value
        if isinstance(value, str):
            return self.get(value)()
        if isinstance(value, dict) and isinstance(value.get(self.singular), str):
            settings = {key: item for key, item in value.items() if key != self.singular}
            part: Any = self.get(value[self.singular])
            return part.parse(settings, where=f"{self.singular} {value[self.singular]}")  # type: ignore[no-any-return]
        raise ConfigError(f"{self.singular}: write a name, or {{{self.singular}: NAME, setting: value}} "
                          f"(--set {self.singular}=NAME --set {self.singular}.setting=value); "
                          f"got {value!r}. Choices: {', '.join(self.names())}.")

    def validated(self, value: Any) -> T:
        """Do what `parse` does, as a validator of pydantic: what is wrong is told without a path."""
        try:
            return self.parse(value)
        except ConfigError as error:
            raise NamedError(str(error)) from None

    def plain(self, part: Any) -> dict[str, Any]:
        """Return the plain values from which `parse` makes an equal part; a serializer of pydantic."""
        return {self.singular: part.part_name, **part.model_dump(mode="json")}

    def _class_in(self, module: str, found: dict[str, object]) -> type[T]:
        classes = [c for c in found.values() if isinstance(c, type) and issubclass(c, self.contract)
                   and c.__module__ == module and not c.__name__.startswith("_")]
        assert len(classes) == 1, f"{module} must define exactly one public {self.contract.__name__}"
        return classes[0]

    def _leaves(self) -> frozenset[str]:
        return leaves(self.folder) - {self.singular}

    def _plugins(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in _points(f"headstart.{self.folder}", tuple(sys.path))}


@cache
def _points(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Return what all packages on the path offer; to ask each of hundreds of packages anew takes milliseconds."""
    return entry_points(group=group)


@cache
def leaves(folder: str) -> frozenset[str]:
    """Return the names of the parts directly inside `headstart/<folder>`, and of the file of their contract."""
    package = importlib.import_module(f"headstart.{folder}")
    names = (m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))
    return frozenset(names) - frozenset(getattr(package, "NOT_PARTS", ()))
