import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from headstart.cli import guarded
from headstart.cli.mismatch import mismatch as verb
from tests.selection.scenes import paled, write_scenes
from tests.selection.small import write_weights

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(guarded(verb))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("headstart.selection.apart.HALVINGS", 1)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    weights = write_weights(tmp_path / "weights.safetensors")
    return ["--backbone", weights, "--set", "image_size=32", "--set", "fit=squash", "--set", "device=cpu"]


@pytest.fixture
def sets(tmp_path: Path) -> list[str]:
    return [str(write_scenes(tmp_path / "here", (15, 15), seed=1)),
            str(write_scenes(tmp_path / "there", (15, 15), seed=2, spoil=paled(0.2)))]


def called(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_tables_the_verdict_and_what_to_do_next(sets: list[str], options: list[str]) -> None:
    result = called(*sets, *options)
    assert result.exit_code == 0, result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    names = ("proxy_a", "mmd", "frechet", "coral", "sliced_wasserstein", "brightness", "contrast", "noise")
    for name in names:
        assert any(line.startswith(name) for line in lines), name
    assert "poorer in contrast" in result.stdout
    assert any(" mismatch of here and there: " in line for line in lines)
    assert "page     mismatches/here-1/mismatch.html" in lines
    assert Path("mismatches/here-1/mismatch.html").is_file()
    assert lines[lines.index("next:") + 1].startswith(f"headstart adapt {sets[0]} --target {sets[1]}")
    assert max(map(len, (line for line in lines if "─" in line))) <= 80


def test_json_is_one_object_and_alone_on_standard_output(sets: list[str], options: list[str]) -> None:
    result = called(*sets, *options, "--json", "--images", "20", "--seed", "3", "--out", "found")
    value = json.loads(result.stdout)
    assert value.pop("mismatch") == "found"
    assert value == json.loads(Path("found/mismatch.json").read_text())
    assert (value["settings"]["seed"], value["comparisons"][0]["images"]) == (3, [20, 20])
    assert value["comparisons"][0]["prospects"]["label_shift"]["source"].keys() == {"disc", "square"}


def test_data_alone(sets: list[str], options: list[str]) -> None:
    result = called(sets[0], *options)
    assert result.exit_code == 0, result.stderr
    assert "train and test:" in result.stdout
    assert "pretraining" in result.stdout
    assert "next:" not in result.stdout


@pytest.mark.parametrize(("words", "code", "message"), [
    (["nowhere", "THERE"], 2, "nowhere: no such file or folder"),
    (["HERE", "nowhere"], 2, "nowhere: no such file or folder"),
    (["HERE", "THERE", "--images", "3"], 2, "--images 3: too few to compare"),
    (["HERE", "THERE", "--out", "HERE"], 2, "is not empty"),
    (["HERE", "THERE", "--backbone", "resnot"], 2, 'unknown backbone "resnot"')])
def test_errors_say_what_is_wrong_without_a_traceback(sets: list[str], words: list[str], code: int,
                                                      message: str) -> None:
    places = {"HERE": sets[0], "THERE": sets[1]}
    result = called(*(places.get(word, word) for word in words))
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
