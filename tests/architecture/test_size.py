"""Files that fit a screen or four, functions that fit one, names that say what is inside."""

import ast

from tests.architecture.source import PACKAGE, PLURAL_ROOMS, modules

LEAF, SPINE, FUNCTION = 200, 300, 50
DUMPING_GROUNDS = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "tools"}


def is_leaf(module: str) -> bool:
    room, _, file = module.rpartition("/")
    return room in PLURAL_ROOMS and file not in ("__init__.py", f"{PLURAL_ROOMS[room]}.py")


def test_a_file_stays_short():
    lines = {module: len((PACKAGE / module).read_text().splitlines()) for module in modules()}
    assert {module: count for module, count in lines.items() if count > (LEAF if is_leaf(module) else SPINE)} == {}


def test_a_function_stays_short():
    lines = {f"{module}: {node.name}": node.end_lineno - node.lineno + 1 for module, tree in modules().items()
             for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {function: count for function, count in lines.items() if count > FUNCTION} == {}


def test_no_file_is_a_dumping_ground():
    assert [module for module in modules() if set(module.removesuffix(".py").split("/")) & DUMPING_GROUNDS] == []


def test_every_file_says_what_lives_there():
    assert [module for module, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_nothing_prints_but_the_command_line():
    prints = [module for module, tree in modules().items() for node in ast.walk(tree)
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"]
    # The recorder's standard output is a pipe to the run.
    assert set(prints) <= {"cli/__init__.py", "tracking/recorder.py"}
