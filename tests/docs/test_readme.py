import re
from pathlib import Path

from headstart.cli import VERBS

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_table_has_every_verb():
    assert set(re.findall(r"^\| `headstart (\w+)", README, re.MULTILINE)) == set(VERBS)
