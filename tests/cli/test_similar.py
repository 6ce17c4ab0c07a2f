import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from headstart.cli import guarded
from headstart.cli.similar import similar as verb
from headstart.selection import similar
from tests.data.planted import folder, truncate
from tests.features.conftest import Counting

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(guarded(verb))


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(similar, "load_backbone", lambda name, **settings: (Counting(), ""))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", {"a": 4, "b": 4})


def called(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_table_for_each_image(root: Path) -> None:
    result = called(root, root / "a/000.png", root / "b/002.png", "-k", 3)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert sum("(the same image)" in line for line in lines) == 2
    assert "This image is in the data itself: a/000.png." in lines
    assert sum(line.strip().startswith(("1 ", "2 ", "3 ")) for line in lines) == 6
    assert max(map(len, (line for line in lines if "─" in line))) <= 80
    assert f"among 8 images of {root}" in result.stdout


def test_json_is_one_object_and_alone_on_standard_output(root: Path) -> None:
    value = json.loads(called(root, root / "a/000.png", "--count", 2, "--json").stdout)
    assert (value["origin"], value["backbone"], value["searched"], value["page"]) == (str(root), "counting", 8, None)
    [found] = value["images"]
    assert (found["image"], found["in_data"]) == (str(root / "a/000.png"), True)
    assert found["neighbours"][0] == {"rank": 1, "id": "a/000.png", "path": str(root / "a/000.png"), "labels": ["a"],
                                      "split": None, "cosine": pytest.approx(1), "same": True}
    assert [item["rank"] for item in found["neighbours"]] == [1, 2]


def test_a_page_is_written_where_it_is_asked_for(root: Path, tmp_path: Path) -> None:
    result = called(root, root / "a/000.png", "--out", tmp_path / "new" / "page.html")
    assert result.exit_code == 0, result.stderr
    assert "<html" in (tmp_path / "new" / "page.html").read_text()
    assert str(tmp_path / "new" / "page.html") in result.stdout.replace("\n", "")


@pytest.mark.parametrize(("words", "code", "message"), [
    (["DATA", "nowhere.png"], 3, "1 of 1 images to look for can't be read"),
    (["nowhere", "IMAGE"], 2, "nowhere: no such file or folder"),
    (["DATA", "IMAGE", "--out", "page.txt"], 2, "use an ending of .html"),
    (["DATA", "IMAGE", "--split", "tran"], 2, 'unknown split "tran"')])
def test_errors_say_what_is_wrong(root: Path, words: list[str], code: int, message: str) -> None:
    places = {"DATA": root, "IMAGE": root / "a/000.png"}
    result = called(*(places.get(word, word) for word in words))
    assert result.exit_code == code
    assert message in result.stderr


def test_a_broken_image_is_left_out_where_that_is_asked_for_and_named(root: Path) -> None:
    truncate(root / "b/003.png")
    stopped = called(root, root / "a/000.png")
    assert stopped.exit_code == 3
    assert "--skip-bad" in stopped.stderr
    result = called(root, root / "a/000.png", "--skip-bad")
    assert result.exit_code == 0, result.stderr
    assert f"among 7 images of {root}" in result.stdout
    assert "1 of 8 images of" in " ".join(result.stderr.split())


def test_images_are_read_and_seen_as_by_the_other_verbs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(similar, "load_backbone", lambda name, **settings: asked.append(settings) or (Counting(), ""))
    result = called(root, root / "a/000.png", "--set", "image_size=64", "--set", "fit=squash",
                    "--format", "class_folders")
    assert result.exit_code == 0, result.stderr
    assert (asked[0]["size"], asked[0]["fit"]) == (64, "squash")
    assert called(root, root / "a/000.png", "--set", "image_size=7").exit_code == 2
    assert called(root, root / "a/000.png", "--format", "coco").exit_code != 0
