import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from headstart.cli import application
from tests.readers.boxes import voc, voc_xml

ONE = voc_xml([("cat", (1, 1, 60, 40)), ("dog", (11, 6, 30.5, 20))])


def called(*arguments: object) -> Result:
    return CliRunner().invoke(application(), ["convert", *map(str, arguments)])


def test_data_are_converted_and_what_is_not_as_it_was_is_said(tmp_path: Path) -> None:
    root = voc(tmp_path / "data", {"a": ONE, "b": ONE})
    result = called(root, "--to", "yolo", "--out", tmp_path / "yolo")
    assert result.exit_code == 0, result.output
    assert "2 images with 4 objects, as yolo" in result.stdout
    assert "2 images have no split, and stand under train" in result.stderr
    result = called(tmp_path / "yolo", "--to", "coco", "--out", tmp_path / "coco", "--images", "link", "--json")
    found = json.loads(result.stdout)
    assert (found["images"], found["objects"], found["notes"]) == (2, 4, [])


def test_wrong_words_are_refused_with_the_choices(tmp_path: Path) -> None:
    root = voc(tmp_path / "data", {"a": ONE, "b": ONE})
    for arguments, message in (
            (["--to", "coca"], 'unknown writer "coca". Did you mean "coco"'),
            (["--to", "coco", "--images", "move"], 'images "move": copy or link'),
            (["--to", "voc", "--set", "writer.decimal=1"], 'unknown setting "decimal". Did you mean "decimals"'),
            (["--to", "voc", "--set", "seed=1"], "takes settings of the reader and the writer only")):
        result = called(root, "--out", tmp_path / "out", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_sheet_of_the_ground_truth(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    root = voc(tmp_path / "data", dict.fromkeys("abcdef", ONE))
    result = CliRunner().invoke(application(), ["check", str(root), "--sheet", str(tmp_path / "sheet.png")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "sheet.png").is_file()
    result = CliRunner().invoke(application(), ["check", str(root), "--sheet", str(tmp_path / "sheet.gif")])
    assert result.exit_code == 2
