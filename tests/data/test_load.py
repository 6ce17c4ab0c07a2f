import time
from pathlib import Path

import pytest

from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from tests.pictures import folders, picture
from tests.shared_data import shared


def test_what_was_inferred_is_noted(tmp_path: Path) -> None:
    data = load_data(folders(tmp_path, {"train/a": 2, "train/b": 1, "test/a": 1}))
    assert data.notes[:2] == (f"{tmp_path}: 4 images, 2 classes (a, b), format class_folders, task classification",
                              "splits as given: train 3, test 1")


def test_a_data_set_comes_back_as_it_is(tmp_path: Path) -> None:
    data = load_data(folders(tmp_path, {"a": 1, "b": 1}))
    assert load_data(data) is data


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders(tmp_path / "pets", {"a": 1, "b": 1})
    assert len(load_data("~/pets")) == 2


def test_a_mistyped_path_is_answered_with_the_nearest(tmp_path: Path) -> None:
    folders(tmp_path, {"flowers": 1})
    with pytest.raises(ConfigError, match=r'flowres: no such file or folder. Did you mean "flowers"'):
        load_data(tmp_path / "flowres")


def test_unknown_words_are_answered_with_the_nearest(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 1, "b": 1})
    with pytest.raises(ConfigError, match=r'unknown task "clasification". Did you mean "classification"'):
        load_data(tmp_path, task="clasification")
    with pytest.raises(ConfigError, match=r'unknown reader "tabel". Did you mean "table"'):
        load_data(tmp_path, format="tabel")
    with pytest.raises(ConfigError, match=r'reader: class_at: unknown setting "class_at". Did you mean "classes_at"'):
        load_data(tmp_path, settings={"class_at": 1})
    with pytest.raises(ConfigError, match="can't read data from a int"):
        load_data(3)


@pytest.mark.parametrize(("name", "what"), [
    ("x.h5", "is an HDF5 file.*Save the images as PNG"), ("x.zip", "is an archive.*Unpack it"),
    ("x.xlsx", "is a spreadsheet.*Save it as CSV"), ("x.pkl", "never opens pickles"),
    ("x.foo", "a file of an unknown")])
def test_foreign_files_are_named_with_what_to_do(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=what):
        load_data(tmp_path / name)


def test_a_single_image_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"which Headstart does not read. It reads: boxes_table, class_fold"):
        load_data(picture(tmp_path / "a.png"))


def test_the_hdf5_digits_are_refused_clearly() -> None:
    with pytest.raises(DataError, match="is an HDF5 file, which Headstart does not read"):
        load_data(shared("usps/usps.h5"))


def test_ten_thousand_files_are_read_in_a_moment(tmp_path: Path) -> None:
    one = picture(tmp_path / "a/0.png").read_bytes()
    for label in "abcdefghij":
        (tmp_path / label).mkdir(exist_ok=True)
        for number in range(1000):
            (tmp_path / label / f"{number}.png").write_bytes(one)
    start = time.process_time()
    assert len(load_data(tmp_path)) == 10_000
    assert time.process_time() - start < 3  # measured: 0.2
