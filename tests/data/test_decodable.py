"""The images that decode, and what is said of the others."""

from pathlib import Path

import pytest

from headstart.data.dataset import Dataset
from headstart.data.decodable import decodable
from headstart.data.load import load_data
from headstart.errors import DataError
from tests.data.planted import truncate
from tests.pictures import folders


def written(root: Path, *broken: str) -> Dataset:
    folders(root, {"a": 2, "b": 1})
    for name in broken:
        truncate(root / name)
    return load_data(root)


def test_images_that_do_not_decode_are_named_and_the_others_keep_their_order(tmp_path: Path) -> None:
    kept, errors = decodable(written(tmp_path, "a/a-1.png"), "mine")
    assert [sample.id for sample in kept.samples] == ["a/a-0.png", "b/b-0.png"]
    assert len(errors) == 1
    assert "a-1.png" in errors[0]


def test_data_without_one_good_image_are_refused_by_name(tmp_path: Path) -> None:
    data = written(tmp_path, "a/a-0.png", "a/a-1.png", "b/b-0.png")
    with pytest.raises(DataError, match=r"(?s)none of the 3 images of mine can be read.*a-0\.png.*Mend or replace"):
        decodable(data, "mine")


def test_no_image_at_all_is_no_fault_of_an_image(tmp_path: Path) -> None:
    kept, errors = decodable(written(tmp_path).subset([]), "mine")
    assert (len(kept), errors) == (0, [])
