"""Masks in a column of pictures of a `datasets` table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.data.load import load_data
from headstart.data.pixel_classes import pixel_classes
from headstart.errors import ConfigError, DataError
from headstart.types import IGNORED
from tests.pictures import noise

datasets = pytest.importorskip("datasets")
SIDES = noise(0).shape[:2]


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def values(seed: int, kinds: tuple[int, ...] = (0, 1, 3)) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(kinds, np.uint8), SIDES)


def table(column: str = "annotation", *, kinds: tuple[int, ...] = (0, 1, 3), rows: int = 3, **more: Any) -> Any:
    """Return a table of pictures, their masks, and the columns of `more`, each as values and feature."""
    return datasets.Dataset.from_dict(
        {"image": [Image.fromarray(noise(seed)) for seed in range(rows)],
         column: [Image.fromarray(values(seed, kinds)) for seed in range(rows)],
         **{name: cells for name, (cells, _) in more.items()}},
        features=datasets.Features({"image": datasets.Image(), column: datasets.Image(),
                                    **{name: feature for name, (_, feature) in more.items()}}))


SCENES = {"scene": ([0, 1, 0], datasets.ClassLabel(names=["in", "out"]))}


def found(data: Dataset, row: int) -> np.ndarray:
    mask = data.samples[row].mask
    assert mask is not None
    return pixel_classes(mask)


def test_a_column_of_masks_says_the_class_of_each_pixel(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": table(), "test": table(rows=1)}).save_to_disk(tmp_path / "saved")
    for data in (load_data(tmp_path / "saved"), load_data(datasets.load_from_disk(tmp_path / "saved"))):
        assert (data.task, data.format, data.classes) == ("semantic", "huggingface", ("class 0", "class 1", "class 3"))
        assert [(s.id, s.split, s.where) for s in data.samples[2:]] == [
            ("train row 3", "train", "train row 3 column annotation"),
            ("test row 1", "test", "test row 1 column annotation")]
        np.testing.assert_array_equal(found(data, 1), np.searchsorted([0, 1, 3], values(1)))
        assert "columns: image = image, mask = annotation" in data.notes


def test_names_ignored_numbers_and_the_column_are_settings() -> None:
    data = load_data(table("label", kinds=(0, 1, 255)), settings={"classes": "0:sky,1:road", "ignore": "255"})
    assert data.classes == ("sky", "road")
    drawn = values(0, (0, 1, 255))
    np.testing.assert_array_equal(found(data, 0), np.where(drawn == 255, IGNORED, drawn))
    renamed = table("sheet")
    with pytest.raises(ConfigError, match=r"several of the columns could be the image: image, sheet\. Say which"):
        load_data(renamed)
    assert load_data(renamed, settings={"mask": "sheet"}).task == "semantic"
    with pytest.raises(ConfigError, match=r'reader.mask: no column "shet"\. Did you mean "sheet"'):
        load_data(renamed, settings={"mask": "shet"})


def test_labels_beside_masks_are_a_choice() -> None:
    both = table(**SCENES)
    with pytest.raises(ConfigError, match="the columns annotation and scene are labels for different tasks"):
        load_data(both)
    assert load_data(both, task="semantic").task == load_data(both, settings={"mask": "annotation"}).task == "semantic"
    labelled = load_data(both, task="classification")
    assert (labelled.task, labelled.classes) == ("classification", ("in", "out"))
    with pytest.raises(ConfigError, match=r"reader.bbox: has no effect on masks"):
        load_data(both, task="semantic", settings={"bbox": "voc"})
    with pytest.raises(ConfigError, match=r"reader.ignore: has no effect on labels, only on masks"):
        load_data(both, task="classification", settings={"ignore": "255"})


def test_numbered_objects_are_read_as_such() -> None:
    data = load_data(table("mask", kinds=(0, 1, 2)), settings={"instances": True, "classes": "cell"})
    assert (data.task, data.classes) == ("detection", ("cell",))
    assert [len(sample.objects or ()) for sample in data.samples] == [2, 2, 2]


def test_a_mask_of_another_size_is_named_by_its_row() -> None:
    rows = table().to_list()
    wrong = datasets.Dataset.from_list([rows[0], {**rows[1], "annotation": Image.fromarray(values(1)[:-3])}, rows[2]],
                                       features=table().features)
    with pytest.raises(DataError, match=r"huggingface: 1 of 3 images have no mask that can be used:\n.*row 2: "):
        load_data(wrong)
    assert len(load_data(wrong, settings={"faulty": "drop"})) == 2


def test_an_empty_cell_is_named_by_its_row() -> None:
    rows = table().to_list()
    wrong = datasets.Dataset.from_list([rows[0], {**rows[1], "annotation": None}], features=table().features)
    with pytest.raises(DataError, match="row 2: row 2 column annotation: the cell holds no image"):
        load_data(wrong)


def test_the_form_that_a_table_was_set_to_changes_nothing() -> None:
    grouped = table(patient=([1, 1, 2], datasets.Value("int64"))).with_format("torch")
    data = load_data(grouped, settings={"group": "patient"})
    assert [sample.group for sample in data.samples] == ["1", "1", "2"]
    np.testing.assert_array_equal(found(data, 1), np.searchsorted([0, 1, 3], values(1)))
