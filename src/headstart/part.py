"""Part: the frozen record of settings that every pluggable class is.

A part's fields are at once its constructor, its YAML schema and its command-line help.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from headstart.errors import ConfigError, nearest


def words(value: Any) -> Any:
    """Take `a,b` and `a` as lists of words."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


class NamedError(ValueError):
    """What a validator raises where its message names the setting itself, so that no path is put before it."""


Words = Annotated[tuple[str, ...], BeforeValidator(words)]


class Part(BaseModel):
    """A frozen record of settings. Unknown fields are refused with the nearest name."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    part_name: ClassVar[str] = ""
    """The word by which the user asks for this part: the name of its file."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Name the part after the file that it stands in."""
        cls.part_name = cls.__module__.rpartition(".")[2]

    @classmethod
    def parse(cls, settings: dict[str, Any], *, where: str = "") -> Self:
        """Build the part from plain values.

        where: prefix of the path in messages, such as `job.yaml: method.1`.
        Raises ConfigError naming every wrong field by its path.
        """
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, where)) from None

    @classmethod
    def elsewhere(cls, name: str) -> str:
        """Return a sentence, with a space before it, on where an unknown setting belongs; empty where it is unknown."""
        return ""

    def changed(self) -> list[str]:
        """Return the names of the settings that are not at their default."""
        return [name for name, field in type(self).model_fields.items()
                if getattr(self, name) != field.get_default(call_default_factory=True)]


def explain(error: ValidationError, model: type[BaseModel], where: str = "") -> str:
    """Return one line per wrong field: its path, what is wrong, and the nearest name for an unknown one."""
    lines = []
    for item in error.errors():
        path = ".".join(str(step) for step in item["loc"])
        full = ": ".join(filter(None, (where, path)))
        if item["type"] == "extra_forbidden":
            name, known = str(item["loc"][-1]), fields_at(model, item["loc"][:-1])
            elsewhere = model.elsewhere(name) if len(item["loc"]) == 1 and issubclass(model, Part) else ""
            lines.append(f'{full}: unknown setting "{name}".' + (elsewhere or nearest(name, known)))
        else:
            message = item["msg"]
            # A message of our own says what it got.
            said = message.removeprefix("Value error, ") if item["type"] == "value_error" else \
                f"{message} (got {item['input']!r})"
            known_by = where if isinstance(item.get("ctx", {}).get("error"), NamedError) else full
            lines.append(f"{known_by}: {said}" if known_by else said)
    return "\n".join(lines)


def fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the field names of the (nested) model that `path` leads to."""
    for step in path:
        field = model.model_fields.get(str(step))
        nested = _record_in(field.annotation) if field else None
        if nested is None:
            break
        model = nested
    return list(model.model_fields)


def _record_in(annotation: Any) -> type[BaseModel] | None:
    """Return the record that a field holds, also where it may be None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_record_in, get_args(annotation))), None)
