"""Files that fit a screen or four, functions that fit one, names that say what is inside."""

import ast

import pytest

from tests.architecture.source import PACKAGE, PLURAL_ROOMS, modules

LEAF, SPINE, FUNCTION = 200, 300, 50
DUMPING_GROUNDS = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "tools"}


def is_leaf(module: str) -> bool:
    room, _, file = module.rpartition("/")
    return room in PLURAL_ROOMS and file not in ("__init__.py", f"{PLURAL_ROOMS[room]}.py")


@pytest.mark.parametrize("module", modules())
def test_a_file_stays_short(module):
    lines = len((PACKAGE / module).read_text().splitlines())
    assert lines <= (LEAF if is_leaf(module) else SPINE)


@pytest.mark.parametrize("module", modules())
def test_a_function_stays_short(module):
    long = [f"{node.name}: {node.end_lineno - node.lineno + 1} lines" for node in ast.walk(modules()[module])
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.end_lineno - node.lineno + 1 > FUNCTION]
    assert long == []


@pytest.mark.parametrize("module", modules())
def test_no_file_is_a_dumping_ground(module):
    assert not set(module.removesuffix(".py").split("/")) & DUMPING_GROUNDS


@pytest.mark.parametrize("module", modules())
def test_every_file_says_what_lives_there(module):
    assert ast.get_docstring(modules()[module])


@pytest.mark.parametrize("module", [module for module in modules() if module != "cli/__init__.py"])
def test_nothing_prints_but_the_command_line(module):
    prints = [node.lineno for node in ast.walk(modules()[module])
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert prints == [] or module == "tracking/recorder.py"  # its standard output is a pipe to the run
