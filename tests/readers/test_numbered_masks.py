"""Masks that number the objects of an image, read as objects."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.check import check
from headstart.data.load import load_data
from headstart.data.masks import box_of_rle
from headstart.data.numbered import objects_by_number
from headstart.data.regions import decoded, extents
from headstart.data.run_lengths import encoded
from headstart.errors import ConfigError, DataError
from headstart.events import silent
from tests.readers.test_masks import folder, mask, photo
from tests.shared_data import shared

VALUES = np.array([[0, 0, 1, 1, 0, 0, 7, 0], [2, 0, 1, 0, 0, 0, 7, 7], [2, 2, 0, 0, 2, 0, 0, 0]] * 2, np.uint8)
"""Three objects, the second of two parts."""


@given(seed=st.integers(0, 10_000), height=st.integers(1, 30), width=st.integers(1, 30), kinds=st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_each_number_is_an_object_with_its_mask_and_its_tight_box(seed: int, height: int, width: int, kinds: int
                                                                  ) -> None:
    values = np.random.default_rng(seed).integers(0, kinds + 1, (height, width)) * 300
    found = objects_by_number(values)
    assert set(found) == set(np.unique(values)) - {0}
    for number, (rle, box) in found.items():
        assert np.array_equal(decoded(rle), values == number)
        assert rle == encoded(values == number)
        assert box == tuple(extents((values == number)[None])[0]) == box_of_rle(rle)


def test_objects_are_of_one_class_which_can_be_named(tmp_path: Path) -> None:
    root = folder(tmp_path, VALUES)
    data = load_data(root, settings={"instances": True})
    assert (data.format, data.task, data.classes, len(data)) == ("masks", "detection", ("object",), 3)
    first = data.samples[0]
    assert first.objects is not None
    assert [found.box for found in first.objects] == [(2, 0, 4, 5), (0, 1, 5, 6), (6, 0, 8, 5)]
    assert (first.label, first.annotated, first.mask, first.where) == ((0,), (6, 8), None, "masks/a.png")
    assert any("another name: --set reader.classes=NAME" in note for note in data.notes)
    named = load_data(root, task="detection", settings={"instances": True, "classes": "nucleus"})
    assert named.classes == ("nucleus",)


def test_an_image_without_a_number_has_no_object(tmp_path: Path) -> None:
    root = folder(tmp_path, VALUES)
    mask(root / "masks/b.png", VALUES * 0)
    assert load_data(root, settings={"instances": True}).samples[1].objects == ()


def test_the_class_can_stand_in_the_number(tmp_path: Path) -> None:
    values = np.where(VALUES == 0, 7, 24_000 + VALUES.astype(np.uint16))
    values[VALUES == 7] = 26_001
    root = folder(tmp_path, values)
    settings = {"instances": True, "divisor": 1000}
    assert load_data(root, settings=settings).classes == ("class 24", "class 26")
    data = load_data(root, settings={**settings, "classes": "24:person,26:car"})
    assert data.classes == ("car", "person")
    assert [found.label for found in data.samples[0].objects or ()] == [1, 1, 0]
    (root / "classes.txt").write_text("24 person\n26 void\n")
    assert load_data(root, settings=settings).classes == ("person",)
    with pytest.raises(DataError, match=r"3 of 3 images.*\n.*a.png: the object 26001 is of the class 26, which has no "
                                        "name"):
        load_data(root, settings={**settings, "classes": "24:person,25:car"})


def test_255_is_asked_for_and_can_be_no_object(tmp_path: Path) -> None:
    root = folder(tmp_path, np.where(VALUES == 7, 255, VALUES).astype(np.uint8))
    with pytest.raises(DataError, match=r"a.png: 255 beside other numbers.*--set reader.ignore=255"):
        load_data(root, settings={"instances": True})
    kept = load_data(root, settings={"instances": True, "ignore": "255"})
    assert len(kept.samples[0].objects or ()) == 2
    for name in "abc":
        mask(root / f"masks/{name}.png", np.where(VALUES, 255, 0).astype(np.uint8))
    assert len(load_data(root, settings={"instances": True}).samples[0].objects or ()) == 1


def test_a_mask_that_does_not_fit_is_refused_or_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path, VALUES)
    mask(root / "masks/b.png", VALUES[:4])
    photo(root / "images/z.png")
    with pytest.raises(DataError, match=r"2 of 4 images have no mask that can be used:\n.*z.png: has no mask\n.*b.png: "
                                        r"8x6 pixels, its mask 8x4(?s:.*)reader.faulty=drop"):
        load_data(root, settings={"instances": True})
    kept = load_data(root, settings={"instances": True, "faulty": "drop"})
    assert [sample.id for sample in kept.samples] == ["images/a.png", "images/c.png"]


@pytest.mark.parametrize(("settings", "task", "said"), [
    ({"instances": True, "layers": True}, None, r"reader\.layers and reader\.instances: each says in its own way"),
    ({"divisor": 1000}, None, "divisor: has no effect without --set reader.instances=true"),
    ({"instances": True, "classes": "a,b"}, None, "name one class"),
    ({"instances": True, "divisor": 9, "classes": "#ff0000:a,#000000:b"}, None, "the legend has colours"),
    ({"instances": True}, "semantic", r"reader\.foreground=true"),
    ({}, "detection", r"If each number of a mask is one object: --set reader\.instances=true"),
])
def test_settings_that_do_not_go_together_are_refused(tmp_path: Path, settings: dict[str, object], task: str | None,
                                                      said: str) -> None:
    root = folder(tmp_path, VALUES)
    with pytest.raises(ConfigError, match=said):
        load_data(root, task=task, settings=settings)


def test_the_pedestrians_have_the_boxes_that_people_drew() -> None:
    data = load_data(shared("pennfudan"), settings={"instances": True, "classes": "person"})
    assert (data.task, len(data), sum(len(sample.objects or ()) for sample in data.samples)) == ("detection", 170, 423)
    first = data.samples[0].objects
    assert first is not None
    assert [found.box for found in first] == [(159, 181, 302, 431), (419, 170, 535, 486)]
    assert not {finding.kind for finding in check(data, listen=silent, quick=True).findings
                if finding.level == "error"}


def test_pictures_with_many_objects_are_read_in_one_pass() -> None:
    values = np.arange(200 * 200, dtype=np.int32).reshape(200, 200) // 5
    assert len(objects_by_number(values)) == 7_999
