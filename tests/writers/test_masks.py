"""Masks in other formats and back: the very same pixels, objects in the masks that number them, and what is said."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import headstart
from headstart.data.dataset import Dataset
from headstart.data.load import load_data
from headstart.data.pixel_classes import pixel_classes
from headstart.data.regions import decoded, region_of
from headstart.errors import ConfigError, DataError
from headstart.types import IGNORED, Instance
from tests.pictures import picture
from tests.shared_data import shared
from tests.writers.test_round_trips import SQUARE, converted, dataset

SHAPED = [("coco", {}), ("coco", {"shapes": "polygons"}), ("yolo", {}), ("labelme", {})]
"""Formats of objects that hold what a mask holds, with their settings."""


def masked(folder: Path, maps: list[np.ndarray]) -> Dataset:
    """Return the data of these classes of pixels: 0 background, 1 road, 2 sky, 255 of no class."""
    for number, classes in enumerate(maps):
        picture(folder / f"images/{number}.png", seed=number, size=classes.shape[::-1])
        (folder / "masks").mkdir(exist_ok=True)
        Image.fromarray(classes).save(folder / f"masks/{number}.png")
    return load_data(folder, settings={"classes": "background,road,sky", "ignore": "255"})


def drawn(data: Dataset) -> dict[str, np.ndarray]:
    """Return the classes of pixels of each image by the name of its file, as 0 background, 1 road, 2 sky, IGNORED."""
    places = np.full(256, IGNORED, np.uint8)
    places[:len(data.classes)] = [("background", "road", "sky").index(name) for name in data.classes]
    return {Path(str(sample.source)).stem: places[pixel_classes(sample.mask)] for sample in data.samples
            if sample.mask is not None}


@given(seed=st.integers(0, 10_000), height=st.integers(2, 25), width=st.integers(2, 25), coarse=st.integers(1, 6),
       to=st.sampled_from(SHAPED))
@settings(max_examples=60, deadline=None)
def test_patches_with_holes_and_corners_come_back_to_the_pixel(
        seed: int, height: int, width: int, coarse: int, to: tuple[str, dict[str, str]]) -> None:
    rng = np.random.default_rng(seed)
    maps = [rng.choice(np.array([0, 1, 2, IGNORED], np.uint8), (height // coarse + 1, width // coarse + 1)).repeat(
        coarse, 0).repeat(coarse, 1)[:height, :width] for _ in range(2)]
    maps[0].flat[:3] = 0, 1, 2
    with tempfile.TemporaryDirectory() as folder:
        data = masked(Path(folder, "data"), maps)
        converted(data, to[0], Path(folder, "objects"), **to[1])
        objects = load_data(Path(folder, "objects"), task="semantic")
        converted(objects, "masks", Path(folder, "masks"))
        for back in (objects, load_data(Path(folder, "masks"))):
            found = drawn(back)
            for name, before in drawn(data).items():
                np.testing.assert_array_equal(found[name], before)


def test_street_scenes_come_back_to_the_pixel(tmp_path: Path) -> None:
    names = "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,cyclist,void"
    whole = load_data(shared("camvid"), settings={"classes": names}).subset(range(0, 142, 36))
    data = replace(whole, samples=tuple(replace(sample, split=None) for sample in whole.samples))
    before = {Path(str(sample.source)).stem: pixel_classes(sample.mask) for sample in data.samples if sample.mask}
    for to, more in SHAPED:
        converted(data, to, tmp_path / f"{to}{len(more)}", **more)
        back = load_data(tmp_path / f"{to}{len(more)}", task="semantic")
        assert set(back.classes) == set(data.classes)
        places = np.array([data.classes.index(name) for name in back.classes] + [IGNORED] * (256 - len(back.classes)))
        assert {Path(str(sample.source)).stem for sample in back.samples} == set(before)
        for sample in back.samples:
            assert sample.mask is not None
            np.testing.assert_array_equal(places[pixel_classes(sample.mask)], before[Path(str(sample.source)).stem])


def test_pedestrians_come_back_with_their_pixels(tmp_path: Path) -> None:
    data = load_data(shared("pennfudan"), settings={"instances": True, "classes": "person"}).subset(range(0, 170, 17))
    converted(data, "coco", tmp_path / "coco")
    converted(load_data(tmp_path / "coco"), "masks", tmp_path / "masks", instances=True)
    back = load_data(tmp_path / "masks", settings={"instances": True, "classes": "person"})
    assert back.classes == data.classes
    for before, after in zip(data.samples, back.samples, strict=True):
        assert [one.rle for one in after.objects or ()] == [one.rle for one in before.objects or ()]


def test_outlines_drawn_and_traced_keep_their_region(tmp_path: Path) -> None:
    """The pixels are the same; the outline in the end lies along them: IoU 1 on the grid."""
    rng = np.random.default_rng(0)
    stars = []
    for _ in range(20):
        angles, radii = np.arange(9) * 2 * np.pi / 9, rng.uniform(9, 17, 9)
        points = np.stack([25 + radii * np.cos(angles), 20 + radii * np.sin(angles)], axis=1)
        stars.append((Instance(0, (*points.min(axis=0), *points.max(axis=0)), polygons=(tuple(points.ravel()),)),))  # type: ignore[arg-type]
    stars[0] = (stars[0][0], Instance(1, (10, 5, 30, 20), polygons=(SQUARE,)))
    data = dataset(tmp_path / "data", stars)
    assert converted(data, "coco", tmp_path / "drawn", shapes="rle").notes == (
        "21 objects: outlines are drawn, to whole pixels",)
    converted(load_data(tmp_path / "drawn"), "coco", tmp_path / "traced", shapes="polygons")
    pixels = {Path(str(sample.source)).stem: sample.objects for sample in data.samples}
    for name in ("drawn", "traced"):
        for sample in load_data(tmp_path / name).samples:
            for before, after in zip(pixels[Path(str(sample.source)).stem] or (), sample.objects or (), strict=True):
                assert bool(after.polygons) == (name == "traced")
                first, second = (region_of(one, (40, 60), (40, 60)) for one in (before, after))
                assert first is not None
                assert second is not None
                np.testing.assert_array_equal(first, second)


def test_several_classes_of_objects_are_numbered_apart(tmp_path: Path) -> None:
    left, right = (Instance(label, (x, 5, x + 10, 20), polygons=((x, 5, x + 10, 5, x + 10, 20, x, 20),))
                   for label, x in ((0, 2), (1, 30)))
    data = dataset(tmp_path / "data", [(left, right, replace(left, box=(2, 22, 12, 37), polygons=(
        (2, 22, 12, 22, 12, 37, 2, 37),))), (right,)])
    result = converted(data, "masks", tmp_path / "out", instances=True)
    assert result.facts == ("read them with --set reader.instances=true --set reader.divisor=1000",)
    assert result.notes == ()
    values = np.asarray(Image.open(tmp_path / "out/masks/train/0.png"))
    assert np.unique(values).tolist() == [0, 1001, 1002, 2001]
    back = load_data(tmp_path / "out", settings={"instances": True, "divisor": 1000})
    assert back.classes == data.classes
    assert [one.box for one in back.samples[0].objects or ()] == [(2, 5, 12, 20), (2, 22, 12, 37), (30, 5, 40, 20)]
    with pytest.raises(ConfigError, match=r"the legend has 2 classes\. Does a number say the class"):
        load_data(tmp_path / "out", settings={"instances": True})


def test_what_is_lost_is_said(tmp_path: Path) -> None:
    hidden = Instance(0, (10, 5, 30, 20), polygons=(SQUARE,))
    crowd = replace(hidden, crowd=True)
    data = dataset(tmp_path / "data", [(hidden, hidden, crowd, Instance(1, (0, 0, 60, 40), difficult=True, polygons=(
        (0, 0, 60, 0, 60, 40, 0, 40),))), ()])
    assert converted(data, "masks", tmp_path / "masks", instances=True).notes == (
        "1 objects: crowds are left out", "1 objects: hidden by smaller ones, or without a pixel, and left out",
        "1 objects: difficult is not kept")
    assert converted(data, "labelme", tmp_path / "labelme").notes == (
        "1 objects: crowds are left out: a shape would make each an object", "1 objects: difficult is not kept",
        "3 objects: the box is that around the outline, where the data had one of its own")
    shapes = json.loads((tmp_path / "labelme/train/0.json").read_text())["shapes"]
    assert [shape["label"] for shape in shapes] == ["no", "no", "ü & <dog>"]


def test_what_has_no_outline_is_refused_by_name(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [(Instance(0, (1, 1, 5, 5)), Instance(1, (1, 1, 9, 9)))] * 2)
    with pytest.raises(DataError, match=r"2 images have no mask|2 of 2 images have no mask"):
        converted(data, "masks", tmp_path / "out")
    with pytest.raises(DataError, match=r"4 objects have no outline and no mask .*:\n.*0\.png: object 1 \(no\)"):
        converted(data, "masks", tmp_path / "out", instances=True)
    assert not (tmp_path / "out").exists()


def test_more_objects_than_numbers_are_refused(tmp_path: Path) -> None:
    one = Instance(0, (10, 5, 30, 20), polygons=(SQUARE,))
    data = dataset(tmp_path / "data", [(one,) * 1000, (replace(one, label=1),)])
    with pytest.raises(DataError, match="2 classes, up to 1000 objects of one in an image: a number of 16 bits"):
        converted(data, "masks", tmp_path / "out", instances=True)


def test_boxes_alone_say_which_formats_hold_masks(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data", [(Instance(0, (1, 1, 5, 5)), Instance(1, (1, 1, 9, 9)))] * 2)
    converted(data, "voc", tmp_path / "voc")
    with pytest.raises(ConfigError, match="the format voc has no labels for semantic, only for detection"):
        headstart.convert(tmp_path / "voc", to="masks", out=tmp_path / "out")


def test_a_hole_stays_a_run_length_where_outlines_can_not_have_it(tmp_path: Path) -> None:
    ring = np.ones((6, 6), np.uint8)
    ring[2:4, 2:4] = 0
    data = masked(tmp_path / "data", [ring, ring * 2])
    notes = converted(data, "coco", tmp_path / "out", shapes="polygons").notes
    assert notes == ("2 objects: run-length masks stay: crowds, and those with holes, which outlines can't have",)
    first = load_data(tmp_path / "out").samples[0].objects
    assert first is not None
    assert first[0].rle is not None
    np.testing.assert_array_equal(decoded(first[0].rle), ring)


def test_numbers_of_classes_are_told_and_objects_without_a_pixel_counted(tmp_path: Path) -> None:
    hidden = Instance(0, (10, 5, 30, 20), polygons=(SQUARE,))
    point = Instance(1, (1, 1, 1.2, 1.2), polygons=((1, 1, 1.2, 1, 1.2, 1.2, 1, 1.2),))
    wide = Instance(1, (40, 5, 60, 40), polygons=((40, 5, 60, 5, 60, 40, 40, 40),))
    data = dataset(tmp_path / "data", [(hidden, hidden, point, wide), (wide,)])
    result = converted(data, "masks", tmp_path / "out")
    assert result.notes == ("2 objects: hidden by smaller ones, or without a pixel, and left out",)
    assert result.facts[-1] == "numbers of the classes: 0 background, 1 no, 2 ü & <dog>"


@pytest.mark.parametrize("name", ["car", 'red, "big" car', "l'avion", "ü & <dog>"])
def test_the_name_of_the_one_class_of_numbered_objects_comes_back(tmp_path: Path, name: str) -> None:
    data = dataset(tmp_path / "data", [(Instance(0, (10, 5, 30, 20), polygons=(SQUARE,)),)] * 2)
    converted(replace(data, classes=(name,)), "masks", tmp_path / "out", instances=True)
    assert load_data(tmp_path / "out", settings={"instances": True}).classes == (name,)


def test_masks_of_background_alone_hold_no_object(tmp_path: Path) -> None:
    data = masked(tmp_path / "data", [np.zeros((6, 6), np.uint8)] * 2)
    with pytest.raises(DataError, match="show nothing but `background`, of which there are no objects"):
        converted(data, "yolo", tmp_path / "out")
