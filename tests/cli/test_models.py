"""headstart models."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from headstart.cli.models import count, models
from headstart.errors import ConfigError

app = typer.Typer()
app.command()(models)


def test_table_says_cost_licence_and_what_is_here() -> None:
    result = CliRunner().invoke(app, ["efficientnet_lite0"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    for part in ("efficientnet_lite0", "packaged", "3.4M", "0.38", "224", "74.8", "apache-2.0", "here"):
        assert part in result.stdout


def test_at_80_columns_no_number_is_cut_and_all_columns_are_there() -> None:
    printed = CliRunner().invoke(app, [], env={"COLUMNS": "80"}).stdout
    assert "…" not in printed
    head, *rows = printed.splitlines()
    assert head.split() == ["name", "source", "params", "GMACs", "input", "top-1", "%", "licence", "weights"]
    row = next(row for row in rows if row.startswith("resnet152 "))
    assert row.split() == ["resnet152", "timm", "58.1M", "11.51", "224", "83.5", "@288", "apache-2.0", "download"]


def test_json_is_one_object_that_options_narrow() -> None:
    result = CliRunner().invoke(app, ["--search", "resnet", "--source", "timm", "--max-params", "12M", "--json"])
    assert [m["architecture"] for m in json.loads(result.stdout)["models"]] == ["resnet18"]


def test_nothing_found_says_what_else_there_is() -> None:
    assert "No model fits" in CliRunner().invoke(app, ["no-such-model"]).stdout


@pytest.mark.parametrize(("text", "number"), [("25M", 25e6), ("1.5b", 1.5e9), ("40k", 4e4), ("3000000", 3e6)])
def test_numbers_of_parameters_are_read_as_people_write_them(text: str, number: float) -> None:
    assert count(text) == number


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigError, match='"many" is no number of parameters'):
        count("many")


def test_listing_waits_for_no_deep_learning_library() -> None:
    code = ("import sys\nfrom headstart.backbones import resolve\nresolve.search()\n"
            "sys.exit(bool({'torch', 'timm', 'torchvision'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_detectors_are_found_by_what_they_are() -> None:
    found = json.loads(CliRunner().invoke(app, ["detector", "--json"]).stdout)["models"]
    assert {"yolox_s", "torchvision/fcos_resnet50_fpn"} <= {model["architecture"] for model in found}
    assert all(model["detector"] for model in found)
