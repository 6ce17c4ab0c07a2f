"""The source code as the tests of this folder see it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "headstart"
PLURAL_ROOMS = {"readers": "reader", "writers": "writer", "methods": "method", "tasks": "task",
                "backbones": "source", "losses": "loss", "segmenters": "segmenter", "mask_losses": "mask_loss",
                "regularisers": "regulariser", "averages": "average", "mixes": "mix",
                "alignments": "alignment", "distances": "distance", "validators": "validator"}
"""Extension points and the files that bear their contracts."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of headstart by its path, such as `cli/adapt.py`."""
    return {str(file.relative_to(PACKAGE)): ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of everything imported, anywhere in the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
