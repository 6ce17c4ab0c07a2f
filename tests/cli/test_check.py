import json
import shutil
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from headstart.cli import guarded
from headstart.cli.check import check
from tests.data.planted import folder, picture, truncate

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(guarded(check))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", {"a": 6, "b": 6})


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_sound_data_exit_with_0(root: Path) -> None:
    result = called(root)
    assert result.exit_code == 0
    assert result.stdout.rstrip().endswith("ok: nothing to mend")
    assert "12 images, 2 classes" in result.stderr


def test_warnings_exit_with_0_and_say_what_to_do(root: Path) -> None:
    shutil.copy(root / "a/000.png", root / "a/copy.png")
    result = called(root)
    assert result.exit_code == 0
    assert "  a/000.png = a/copy.png\n  -> Where Headstart makes the splits" in result.stdout
    assert result.stdout.rstrip().endswith("warning: 1 warning")


def test_errors_exit_with_3_and_name_the_files(root: Path) -> None:
    truncate(root / "b/003.png")
    result = called(root)
    assert result.exit_code == 3
    assert "b/003.png: truncated" in result.stdout
    assert result.stdout.rstrip().endswith("error: 1 error")


def test_strict_makes_any_leak_an_error(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"train/a": 3, "train/b": 3, "test/a": 60, "test/b": 60})
    shutil.copy(root / "train/a/000.png", root / "test/a/copy.png")
    assert called(root).exit_code == 0
    assert called(root, "--strict").exit_code == 3


def test_five_items_are_shown_unless_all_are_asked_for(root: Path) -> None:
    for number in range(6):
        picture(number).save(root / "a" / f"misnamed {number}.jpg", format="PNG")
    short, full = called(root).stdout, called(root, "--all").stdout
    assert "... and 1 more" in short
    assert "misnamed 5.jpg: is PNG" not in short
    assert "misnamed 5.jpg: is PNG" in full


def test_table_fits_80_columns_and_shows_names_as_they_are(root: Path) -> None:
    (root / "a/000.png").rename(root / "a/[red]x[bold].png")
    truncate(root / "a/[red]x[bold].png")
    result = called(root)
    table = [line for line in result.stdout.splitlines() if "│" in line]
    assert max(map(len, table)) <= 80
    assert "[red]x[bold].png" in result.stdout


def test_json_is_one_object_and_alone_on_standard_output(root: Path) -> None:
    truncate(root / "b/003.png")
    result = called(root, "--json")
    assert result.exit_code == 3
    value = json.loads(result.stdout)
    assert (value["level"], value["data"], value["summary"]["readable"]) == ("error", str(root), 11)
    assert list(value["unreadable"]) == ["b/003.png"]
    assert {finding["kind"] for finding in value["findings"]} >= {"counts", "corrupt", "duplicates_exact", "sizes"}
    assert "checking images" in result.stderr


def test_groups_of_an_expression_are_checked_against_the_splits(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"train/a": 3, "train/b": 3, "test/a": 3, "test/b": 3})
    result = called(root, "--group-by", r"(\d+)\.png", "--json")
    assert result.exit_code == 3
    leak = next(one for one in json.loads(result.stdout)["findings"] if one["kind"] == "leak_group")
    assert (leak["level"], leak["count"]) == ("error", 3)


def test_group_by_duplicates_says_what_it_would_make(root: Path) -> None:
    shutil.copy(root / "a/000.png", root / "a/copy.png")
    result = called(root, "--group-by", "duplicates")
    assert "grouped by duplicates: 12 groups in 13 images, the largest of 2" in result.stdout


def test_only_settings_of_the_reader_can_be_set(root: Path) -> None:
    result = called(root, "--set", "method.epochs=3")
    assert result.exit_code == 2
    assert "takes settings of the reader only" in result.stderr


def test_settings_reach_the_reader(root: Path, tmp_path: Path) -> None:
    table = tmp_path / "data" / "table.csv"
    rows = [f"{name}/{number:03d}.png,{name},{number % 2}" for name in "ab" for number in range(6)]
    table.write_text("\n".join(["file,species,patient", *rows]))
    result = called(table, "--set", "reader.image=file", "--set", "reader.label=species", "--group-by", "patient",
                    "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["summary"]["splits"]["all"]["per_class"] == {"a": 6, "b": 6}


def test_a_path_that_does_not_exist_is_a_configuration_error(tmp_path: Path) -> None:
    result = called(tmp_path / "nothing")
    assert result.exit_code == 2
    assert "no such file or folder" in result.stderr


def test_the_output_says_which_way_found_near_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The features are those of `lookalikes`; here another finder stands for it."""
    from headstart.selection import lookalikes

    root = folder(tmp_path / "data", {"a": 13, "b": 13})
    monkeypatch.setattr(lookalikes, "load", lambda name: (None, ""))
    monkeypatch.setattr(lookalikes, "lookalikes", lambda dataset, backbone, listen: [("a/000.png", "b/001.png")])
    found = called(root, "--json")
    finding = next(one for one in json.loads(found.stdout)["findings"] if one["kind"] == "duplicates_near")
    assert "1 set (0 by their perceptual hash, 1 by their features)" in finding["text"]
    assert finding["items"] == ["a/000.png = b/001.png (by their features)"]
    assert "grouped by duplicates: 26 groups" in called(root, "--group-by", "duplicates").stdout
    assert called(root, "--no-features").stdout.rstrip().endswith("ok: nothing to mend")
