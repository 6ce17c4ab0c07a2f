"""What users build on is frozen: a change of these lists is a decision, and goes into CHANGELOG.md."""

from pathlib import Path

import headstart
from headstart.cli import application

HERE = Path(__file__).parent
OPTIONS_PER_VERB = 17
"""A verb with more needs --set or a configuration file instead."""


def frozen(name: str) -> list[str]:
    return (HERE / name).read_text().splitlines()


def options() -> dict[str, list[str]]:
    """Every verb with its arguments (in capitals) and options."""
    from typer.main import get_command

    return {verb: sorted(p.name.upper() if p.param_type_name == "argument" else max(p.opts, key=len)
                         for p in command.params)
            for verb, command in get_command(application()).commands.items()}


def test_public_names_are_the_frozen_ones():
    assert sorted(headstart.__all__) == frozen("public_names.txt")


def test_every_public_name_is_there():
    assert [name for name in headstart.__all__ if not hasattr(headstart, name)] == []


def test_command_line_options_are_the_frozen_ones():
    """To accept a change: write what this test shows into cli_options.txt."""
    assert [f"{verb}: {' '.join(found)}" for verb, found in sorted(options().items())] == frozen("cli_options.txt")


def test_a_verb_has_few_options():
    assert [verb for verb, found in options().items()
            if len([name for name in found if name.startswith("--")]) > OPTIONS_PER_VERB] == []
