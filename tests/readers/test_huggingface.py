import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.data.fingerprint import fingerprint
from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError, ResourceError
from headstart.images import ImageError, decode
from headstart.readers.huggingface import CellBytes, Huggingface
from tests.pictures import noise

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def made(labels: list[object], feature: object, **columns: list[object]):  # type: ignore[no-untyped-def]
    pictures = [Image.fromarray(noise(seed)) for seed in range(len(labels))]
    features = {"image": datasets.Image(), "label": feature, **{name: datasets.Value("string") for name in columns}}
    return datasets.Dataset.from_dict({"image": pictures, "label": labels, **columns},
                                      features=datasets.Features(features))


def names(data: Dataset) -> list[object]:
    return [tuple(data.classes[i] for i in s.label) if isinstance(s.label, tuple) else data.classes[s.label]  # type: ignore[index]
            for s in data.samples]


def test_a_saved_data_set_and_the_object_are_the_same(tmp_path: Path) -> None:
    train = made([1, 0, 1], datasets.ClassLabel(names=["zebra", "1"]))
    both = datasets.DatasetDict({"train": train, "validation": train.select([1])})
    both.save_to_disk(tmp_path / "saved")
    before = sorted(os.walk(tmp_path))
    saved, direct = load_data(tmp_path / "saved"), load_data(both)
    assert names(saved) == names(direct) == ["1", "zebra", "1", "zebra"]
    assert saved.classes == ("zebra", "1")
    assert [(s.id, s.split) for s in saved.samples] == [("train row 1", "train"), ("train row 2", "train"),
                                                       ("train row 3", "train"), ("validation row 1", "val")]
    assert fingerprint(saved) == fingerprint(direct)
    assert sorted(os.walk(tmp_path)) == before  # nothing is written beside the user's data


def test_images_are_read_when_they_are_needed_and_in_other_processes() -> None:
    data = load_data(made([0, 1], datasets.ClassLabel(names=["a", "b"])))
    source = pickle.loads(pickle.dumps(data.samples[1])).source
    np.testing.assert_array_equal(decode(source), noise(1))
    assert str(source) == "row 2"


def test_words_numbers_and_lists_are_labels() -> None:
    assert names(load_data(made(["no", "0123"], datasets.Value("string")))) == ["no", "0123"]
    assert names(load_data(made([10, 9], datasets.Value("int64")))) == ["10", "9"]
    lists = load_data(made([[1, 0], [], [1]], datasets.Sequence(datasets.ClassLabel(names=["x", "y"]))))
    assert lists.task == "multilabel"
    assert names(lists) == [("x", "y"), (), ("y",)]


def test_groups_come_from_the_named_column() -> None:
    data = load_data(made([0, 1], datasets.ClassLabel(names=["a", "b"]), who=["p1", "p2"]), settings={"group": "who"})
    assert [sample.group for sample in data.samples] == ["p1", "p2"]


def test_unclear_columns_and_parts_are_refused_with_the_choices() -> None:
    one = made([0, 1], datasets.ClassLabel(names=["a", "b"]), other=["x", "y"])
    two = one.add_column("second", [0, 1]).cast_column("second", datasets.ClassLabel(names=["a", "b"]))
    with pytest.raises(ConfigError, match="several of the columns could be the label: label, second"):
        load_data(two)
    with pytest.raises(ConfigError, match="none of the columns is the image: label, other"):
        load_data(one.remove_columns("image"))
    with pytest.raises(ConfigError, match=r'reader.label: no column "lable". Did you mean "label"'):
        load_data(one, settings={"label": "lable"})
    with pytest.raises(ConfigError, match=r'reader.group: no column "x"'):
        load_data(one, settings={"group": "x"})
    with pytest.raises(ConfigError, match="parts that are no train, val or test: extra"):
        load_data(datasets.DatasetDict({"train": one, "extra": one}))
    with pytest.raises(ConfigError, match="streaming=True"):
        load_data(one.to_iterable_dataset())
    with pytest.raises(ConfigError, match="the labels are single, which the task multilabel can't use"):
        load_data(one, task="multilabel")
    with pytest.raises(DataError, match="other columns"):
        load_data(datasets.DatasetDict({"train": one, "test": one.remove_columns("other")}))


def test_images_without_label_are_listed() -> None:
    with pytest.raises(DataError, match="1 images have no label:\n  row 2"):
        load_data(made([0, None, 1], datasets.ClassLabel(names=["a", "b"])))


def test_an_empty_cell_is_a_missing_image() -> None:
    source = CellBytes([{"image": None}], "image", 0, "row 1")
    with pytest.raises(ImageError, match="row 1: the cell holds no image"):
        decode(source)


def test_a_cell_may_name_a_file(tmp_path: Path) -> None:
    Image.fromarray(noise(3)).save(tmp_path / "a.png")
    source = CellBytes([{"image": {"bytes": None, "path": str(tmp_path / "a.png")}}], "image", 0, "row 1")
    np.testing.assert_array_equal(decode(source), noise(3))


def test_damaged_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not a data set that datasets.save_to_disk wrote"):
        Huggingface().read(str(tmp_path))
    (tmp_path / "dataset_dict.json").write_text("{")
    with pytest.raises(DataError, match="the saved data set can't be read"):
        load_data(tmp_path)


def test_without_the_package_the_install_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dataset_dict.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ResourceError, match=r"pip install headstart\[datasets\]"):
        load_data(tmp_path)


def boxes(form: str = "dict", bbox: tuple[float, ...] = (1, 2, 3, 4)) -> object:
    item = {"bbox": datasets.Sequence(datasets.Value("float32")),
            "category": datasets.ClassLabel(names=["zebra", "cat"])}
    cell: object = {"bbox": [list(bbox)] * 2, "category": [1, 1]} if form == "dict" else [
        {"bbox": list(bbox), "category": 1}] * 2
    none: object = {"bbox": [], "category": []} if form == "dict" else []
    features = datasets.Features({"image": datasets.Image(), "width": datasets.Value("int32"),
                                  "height": datasets.Value("int32"),
                                  "objects": datasets.Sequence(item) if form == "dict" else [item]})
    pictures = [Image.fromarray(noise(seed)) for seed in range(2)]
    columns = {"image": pictures, "width": [12] * 2, "height": [10] * 2, "objects": [cell, none]}
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.mark.parametrize("form", ["dict", "list"])
def test_columns_of_objects_are_data_for_detection(form: str) -> None:
    data = load_data(boxes(form))
    assert (data.task, data.classes) == ("detection", ("cat",))
    assert [[o.box for o in s.objects or ()] for s in data.samples] == [[(1, 2, 4, 6)] * 2, []]
    assert data.samples[0].annotated == (10, 12)
    assert "classes without an object, left out: zebra" in data.notes
    corners = load_data(boxes(form), settings={"bbox": "voc"})
    assert corners.samples[0].objects[0].box == (1, 2, 3, 4)  # type: ignore[index]


def test_faulty_objects_are_named_by_row() -> None:
    with pytest.raises(DataError, match=r"row 1: object 1 \(cat\): its box .* is not four numbers"):
        load_data(boxes(bbox=(1, 2, 3)))
    with pytest.raises(DataError, match="row 1: object 1"):
        load_data(boxes(bbox=(1, 2, 3, float("nan"))))
