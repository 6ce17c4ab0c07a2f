"""Files: a place that can't be written is told before the work, and is no bug of ours after it."""

import errno
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import headstart as hs
from headstart.cli import application, guarded
from headstart.errors import ConfigError, IntegrityError, ResourceError
from headstart.files import read_json_list, refuse_taken, write_text

NOWHERE = "/proc/headstart/x"


def test_a_folder_that_can_t_be_made_is_refused_before_the_work(tmp_path: Path):
    (tmp_path / "afile").write_text("mine")
    with pytest.raises(ConfigError, match="afile is a file, so that nothing can be made in it"):
        refuse_taken(tmp_path / "afile" / "x.html")
    with pytest.raises(ConfigError, match=r"nothing can be made in /proc .*Choose another --out"):
        refuse_taken(Path(NOWHERE))
    refuse_taken(tmp_path / "a" / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["afile"]


@pytest.mark.parametrize("verb", [hs.rank, hs.advise, hs.forecast, hs.find_label_errors])
def test_no_judgement_reads_an_image_for_a_place_that_can_t_be_written(verb, tmp_path: Path):
    with pytest.raises(ConfigError, match="nothing can be made in /proc"):
        verb(tmp_path, out=NOWHERE)


def test_similar_refuses_a_page_below_a_file(tmp_path: Path):
    (tmp_path / "afile").write_text("mine")
    found = CliRunner().invoke(application(), ["similar", str(tmp_path), str(tmp_path / "q.png"), "--out",
                                               str(tmp_path / "afile" / "x.html")])
    assert found.exit_code == 2
    assert "is a file" in found.stderr


def test_what_can_t_be_written_is_named(tmp_path: Path):
    (tmp_path / "afile").write_text("mine")
    for path in (tmp_path / "afile" / "x", Path("/proc/headstart-x")):
        with pytest.raises(ResourceError, match="can't be"):
            write_text(path, "text")


def test_a_place_that_takes_no_file_is_no_bug():
    app = typer.Typer()

    def verb() -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/there/x")

    app.command()(guarded(verb))
    found = CliRunner().invoke(app, [])
    assert found.exit_code == 5
    assert "/there/x: Read-only file system" in found.stderr


@pytest.mark.parametrize(("text", "message"), [("{}", "expected a list of JSON objects"), ("[1]", "expected a list"),
                                               ("[{", r"missing or damaged .*Restore it from a copy")])
def test_a_list_that_is_none_is_refused(text: str, message: str, tmp_path: Path):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(IntegrityError, match=message):
        read_json_list(tmp_path / "rows.json")
