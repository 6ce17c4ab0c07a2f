"""Everything that a user can name stands in docs/, and a default that is written there is the one that holds."""

import re
from typing import Any

import pytest

from headstart.alignments.alignment import ALIGNMENTS
from headstart.averages.average import AVERAGES
from headstart.distances.distance import DISTANCES
from headstart.job import METHODS
from headstart.losses.loss import LOSSES
from headstart.mixes.mix import MIXES
from headstart.part import Part
from headstart.regularisers.regulariser import REGULARISERS
from headstart.scores.score import SCORES
from headstart.training.plan import Plan
from headstart.validators.validator import VALIDATORS
from tests.architecture.source import PLURAL_ROOMS, ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "reference" / "methods.md").read_text()
ROWS = [line for page in sorted(DOCS.rglob("*.md")) for line in page.read_text().splitlines() if line.startswith("| `")]
PARTS = [(name, part) for catalog in (LOSSES, REGULARISERS, MIXES, AVERAGES, SCORES, DISTANCES, VALIDATORS, ALIGNMENTS)
         for name, part in catalog.all().items()]


def section(heading: str) -> str:
    """The text under a heading of the page, up to the next one."""
    return re.split(r"^#+ ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def defaults(heading: str) -> dict[str, str]:
    """The default of each setting in the table with three columns under a heading; a row may hold several settings."""
    found = re.findall(r"^\| (`[^|]+`) \| ([^|]*) ?\| [^|]+ \|$", section(heading), re.MULTILINE)
    return {name: default.strip() for names, default in found for name in re.findall(r"`([\w.]+)`", names)}


def written(value: Any) -> str:
    """A default as the tables have it: nothing for nothing, the name of a part, a number without needless zeros."""
    if value is None or value == () or value == "":
        return ""
    if isinstance(value, tuple) and all(isinstance(one, Part) for one in value):
        return f"`{','.join(one.part_name for one in value)}`"
    if isinstance(value, Part):
        return f"`{value.part_name}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{str(value).removesuffix('.0')}`".replace(
        "True", "true").replace("False", "false")


def own(name: str) -> dict[str, Any]:
    """The settings that a method has besides those of every training."""
    part = METHODS.get(name)
    return {key: getattr(part(), key) for key in part.model_fields
            if not (issubclass(part, Plan) and key in Plan.model_fields)}


def test_every_method_has_a_row():
    assert sorted(re.findall(r"^\| `(\w+)` \|", section("Methods"), re.MULTILINE)) == METHODS.names()


def test_every_setting_of_one_method_has_a_row_with_its_default():
    expected = {f"{name}.{key}": written(value) for name in METHODS.names() for key, value in own(name).items()}
    assert defaults("Settings of one method") == expected


def test_every_setting_of_a_training_has_a_row_with_its_default():
    expected = {key: written(getattr(Plan(), key)) for key in Plan.model_fields}
    assert defaults("Settings of every training") == expected


@pytest.mark.parametrize("name", [name for name, part in METHODS.all().items() if issubclass(part, Plan)])
def test_a_default_that_differs_from_that_of_every_training_is_written(name):
    method, plain = METHODS.get(name)(), Plan()
    differs = {f"`{key}: {written(getattr(method, key))[1:]}" for key in Plan.model_fields
               if getattr(method, key) != getattr(plain, key)}
    row = re.search(rf"^\| `{name}` \| (.+) \|$", section("Settings of every training"), re.MULTILINE)
    assert set(re.findall(r"`\w+: [\w.-]+`", row[1] if row else "")) - {"`batch_norm: frozen`"} == differs


@pytest.mark.parametrize(("name", "part"), PARTS, ids=[name for name, _ in PARTS])
def test_a_loss_a_regulariser_a_mix_and_an_average_has_a_row_with_its_settings(name, part):
    rows = [row for row in ROWS if re.match(rf"\| `[^`]*\b{name}\b", row)]
    assert [key for key in part.model_fields if not any(f"`{key}`" in row for row in rows)] == []
    assert rows


@pytest.mark.parametrize("room", PLURAL_ROOMS)
def test_the_map_of_the_code_has_every_contract(room):
    page = (DOCS / "architecture.md").read_text()
    contract = PLURAL_ROOMS[room].title().replace("_", "")
    assert re.search(rf"^\| `{contract}` \|", page, re.MULTILINE)
    assert re.search(rf"^\| [^|]+ \| `{room}/<name>.py`", page, re.MULTILINE)


@pytest.mark.parametrize("page", sorted((DOCS / "how-to").glob("*.md")) + sorted((DOCS / "reference").glob("*.md")),
                         ids=lambda page: page.stem)
def test_every_page_is_linked_from_the_index_and_from_the_readme(page):
    assert f"({page.relative_to(DOCS)})" in (DOCS / "index.md").read_text()
    assert f"({page.relative_to(ROOT)})" in (ROOT / "README.md").read_text()
