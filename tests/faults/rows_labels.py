"""Rows 16 to 18 and 24: classes without images, too few classes, single images, and names that look like values."""

from pathlib import Path

import pytest

from headstart.data.load import load_data
from headstart.data.splits import split
from headstart.errors import DataError
from tests.faults.matrix import row
from tests.pictures import folders, picture


@row(16, "empty class folder")
def empty_class(folder: Path) -> None:
    with pytest.raises(DataError, match="1 of 3 classes have no image: c"):
        load_data(folders(folder, {"a": 2, "b": 2, "c": 0}))


@row(16, "class in val only, indices from one map")
def class_in_val_only(folder: Path) -> None:
    folders(folder / "bad", {"train/b": 2, "train/c": 2, "val/a": 1, "val/b": 1})
    with pytest.raises(DataError, match="only in val: a\nin train: b, c"):
        load_data(folder / "bad")
    folders(folder / "good", {"train/a": 1, "train/b": 1, "train/c": 1, "val/c": 1})
    data = load_data(folder / "good")
    assert {sample.label for sample in data.samples if sample.split == "val"} == {2}


@row(17, "one class, no class, one image")
def too_few(folder: Path) -> None:
    with pytest.raises(DataError, match=r"needs at least 2 classes and 2 images, found 3 images of: \[a\]"):
        load_data(folders(folder / "one", {"a": 3}))
    with pytest.raises(DataError, match="images without labels"):
        load_data(folders(folder / "none", {"": 3}))
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="no image in this folder"):
        load_data(folder / "empty")
    with pytest.raises(DataError, match="are too few for train, val and test"):
        split(load_data(folders(folder / "two", {"a": 1, "b": 1})), seed=0)


@row(18, "class with one image")
def lonely(folder: Path) -> None:
    parts = split(load_data(folders(folder, {"a": 10, "b": 10, "rare": 1})), seed=0)
    assert [part.classes[s.label] for _, part in parts.items() for s in part.samples].count("rare") == 1  # type: ignore[index]
    assert 2 in parts.train.labels()
    assert "rare: not in val or test" in parts.notes[-1]


@row(24, "classes called no, yes, 0123 and null")
def words(folder: Path) -> None:
    names = ("0123", "1e3", "NaN", "no", "null", "yes")
    assert load_data(folders(folder / "data", dict.fromkeys(names, 1))).classes == names
    for number in range(len(names)):
        picture(folder / f"{number}.png", seed=number)
    (folder / "a.csv").write_text("image,label\n" + "".join(f"{i}.png,{name}\n" for i, name in enumerate(names)))
    (folder / "a.jsonl").write_text("".join(f'{{"image": "{i}.png", "label": "{n}"}}\n' for i, n in enumerate(names)))
    assert load_data(folder / "a.csv").classes == load_data(folder / "a.jsonl").classes == names
    (folder / "b.jsonl").write_text('{"image": "0.png", "label": "a", "label": "b"}\n')
    with pytest.raises(DataError, match='the key "label" stands there twice'):
        load_data(folder / "b.jsonl")
