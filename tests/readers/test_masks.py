"""The reader of masks: every convention that people and programs use, and what is wrong with the rest."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.data.fingerprint import fingerprint
from headstart.data.load import load_data
from headstart.data.pixel_classes import pixel_classes
from headstart.errors import ConfigError, DataError
from headstart.readers.masks import Masks
from headstart.types import IGNORED
from tests.shared_data import shared

SIZE = (6, 8)
TRUTH = np.array([[0] * 4 + [1] * 4] * 3 + [[2] * 8] * 3, np.uint8)
"""Three classes: the upper half in two, the lower half."""


def photo(path: Path, size: tuple[int, int] = SIZE, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)).save(path)


def mask(path: Path, values: np.ndarray, palette: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:
        image.putpalette(palette)
    image.save(path)


def folder(root: Path, values: np.ndarray = TRUTH, *, names: tuple[str, ...] = ("a", "b", "c"), images: str = "images",
           masks: str = "masks", ending: str = ".png", suffix: str = "") -> Path:
    for seed, name in enumerate(names):
        photo(root / images / f"{name}.png", seed=seed)
        mask(root / masks / f"{name}{suffix}{ending}", values)
    return root


def classes_of(dataset: Dataset) -> list[np.ndarray]:
    return [pixel_classes(sample.mask) for sample in dataset.samples if sample.mask is not None]


@pytest.mark.parametrize(("images", "masks", "suffix"), [
    ("images", "masks", ""), ("train", "trainannot", ""), ("JPEGImages", "SegmentationClass", ""),
    ("images", "labels", "_mask"), ("image", "label", ""), ("data", "data", "_mask"),
    ("x/photos", "x/ground truth", "_L"),
])
def test_images_and_masks_are_paired_by_the_names_of_folders_and_files(tmp_path: Path, images: str, masks: str,
                                                                      suffix: str) -> None:
    root = folder(tmp_path, images=images, masks=masks, suffix=suffix)
    assert Masks.claims(str(root))
    dataset = load_data(root, settings={"classes": "sky,wall,road"})
    assert dataset.task == "semantic"
    assert [Path(sample.id).stem for sample in dataset.samples] == ["a", "b", "c"]
    assert all(np.array_equal(found, TRUTH) for found in classes_of(dataset))


def test_names_that_share_their_beginning_alone_are_paired_by_what_differs(tmp_path: Path) -> None:
    for number in (21, 22, 30):
        photo(tmp_path / f"training/images/{number}_training.tif", seed=number)
        mask(tmp_path / f"training/1st_manual/{number}_manual1.gif", np.where(TRUTH == 2, 255, 0).astype(np.uint8))
    dataset = Masks(classes=("0:background", "255:vessel")).read(str(tmp_path))
    assert [sample.where for sample in dataset.samples] == [
        f"training/1st_manual/{number}_manual1.gif" for number in (21, 22, 30)]
    assert {sample.split for sample in dataset.samples} == {"train"}
    assert np.array_equal(classes_of(dataset)[0], TRUTH == 2)


def test_of_images_with_one_name_the_mask_is_that_of_its_own_split(tmp_path: Path) -> None:
    for split, value in (("train", 0), ("val", 1)):
        photo(tmp_path / split / "0.png", seed=value)
        mask(tmp_path / f"{split}annot/0.png", np.full(SIZE, value, np.uint8))
    dataset = Masks(classes=("a", "b")).read(str(tmp_path))
    assert {sample.split: sample.label for sample in dataset.samples} == {"train": (0,), "val": (1,)}


PALETTE = [255, 0, 0, 0, 255, 0, 0, 0, 255]


@pytest.mark.parametrize(("legend", "text"), [
    ("classes.txt", "sky\nwall\nroad\n"), ("classes.txt", "0 sky\n1 wall\n2 road\n"),
    ("labels.txt", "sky 0\nwall 1\nroad 2"), ("classes.json", json.dumps({"sky": 0, "wall": 1, "road": 2})),
    ("legend.json", json.dumps(["sky", "wall", "road"])),
    ("legend.csv", "name,id\nsky,0\nwall,1\nroad,2\n"),
])
def test_a_legend_beside_the_data_names_the_numbers(tmp_path: Path, legend: str, text: str) -> None:
    root = folder(tmp_path)
    (root / legend).write_text(text)
    dataset = load_data(root)
    assert dataset.classes == ("sky", "wall", "road")
    assert np.array_equal(classes_of(dataset)[0], TRUTH)


@pytest.mark.parametrize(("legend", "text"), [
    ("label_colors.txt", "255 0 0 sky\n0 255 0 wall\n0 0 255 road\n"),
    ("class_dict.csv", "name,r,g,b\nsky,255,0,0\nwall,0,255,0\nroad,0,0,255\n"),
    ("labelmap.txt", "# label:color_rgb:parts:actions\nsky:255,0,0::\nwall:0,255,0::\nroad:0,0,255::\n"),
    ("legend.json", json.dumps([{"name": "sky", "color": [255, 0, 0]}, {"name": "wall", "color": "#00ff00"},
                                {"name": "road", "color": [0, 0, 255]}])),
])
@pytest.mark.parametrize("indexed", [False, True], ids=["rgb", "palette"])
def test_a_legend_of_colours_reads_rgb_and_palette_alike(tmp_path: Path, legend: str, text: str, indexed: bool) -> None:
    for seed, name in enumerate("ab"):
        photo(tmp_path / f"images/{name}.png", seed=seed)
        if indexed:
            mask(tmp_path / f"masks/{name}.png", TRUTH, PALETTE)
        else:
            mask(tmp_path / f"masks/{name}.png", np.array(PALETTE, np.uint8).reshape(3, 3)[TRUTH])
    (tmp_path / legend).write_text(text)
    dataset = load_data(tmp_path)
    assert dataset.classes == ("sky", "wall", "road")
    assert np.array_equal(classes_of(dataset)[1], TRUTH)


def test_a_palette_without_a_legend_is_read_by_its_numbers(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.png")
    photo(tmp_path / "images/b.png", seed=1)
    for name in "ab":
        mask(tmp_path / f"masks/{name}.png", TRUTH, PALETTE)
    dataset = load_data(tmp_path)
    assert dataset.classes == ("class 0", "class 1", "class 2")
    assert np.array_equal(classes_of(dataset)[0], TRUTH)


def test_void_and_what_is_said_to_be_ignored_are_of_no_class(tmp_path: Path) -> None:
    values = TRUTH.copy()
    values[0, 0], values[5, 7] = 255, 3
    dataset = load_data(folder(tmp_path, values), settings={"classes": "sky,wall,road,void", "ignore": "255"})
    assert dataset.classes == ("sky", "wall", "road")
    found = classes_of(dataset)[0]
    assert found[0, 0] == found[5, 7] == IGNORED
    assert (found == IGNORED).sum() == 2


def test_two_numbers_of_which_one_is_0_are_background_and_foreground(tmp_path: Path) -> None:
    dataset = load_data(folder(tmp_path, np.where(TRUTH == 2, 255, 0).astype(np.uint8)))
    assert dataset.classes == ("background", "foreground")
    assert any("0 is `background` and 255 `foreground`" in note for note in dataset.notes)


def test_masks_of_object_numbers_become_one_class(tmp_path: Path) -> None:
    many = np.arange(48, dtype=np.uint16).reshape(SIZE) * 300
    root = folder(tmp_path, many.astype(np.uint16))
    with pytest.raises(DataError, match="Do they number the objects of an image"):
        load_data(root)
    dataset = load_data(root, settings={"foreground": True, "classes": "street,person"})
    assert dataset.classes == ("street", "person")
    assert np.array_equal(classes_of(dataset)[0], many > 0)


def test_a_mask_file_for_each_class(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        photo(tmp_path / f"images/{name}.png", seed=seed)
        mask(tmp_path / f"masks/road/{name}.png", np.where(TRUTH == 2, 255, 0).astype(np.uint8))
        if name == "a":
            mask(tmp_path / f"masks/wall/{name}.png", np.where(TRUTH == 1, 1, 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"has 2 masks \(masks/road/a.png, masks/wall/a.png\).*reader.layers=true"):
        load_data(tmp_path)
    dataset = load_data(tmp_path, settings={"layers": True})
    assert dataset.classes == ("background", "road", "wall")
    first, second = classes_of(dataset)
    assert np.array_equal(first, np.array([0, 2, 1], np.uint8)[TRUTH])
    assert np.array_equal(second, np.array([0, 0, 1], np.uint8)[TRUTH])


@pytest.mark.parametrize(("values", "said"), [
    (np.where(TRUTH == 2, 255, TRUTH).astype(np.uint8), r"values 255 \(24 pixels\), which no class has"),
    (TRUTH[:, ::2], "8x6 pixels, its mask 4x6"),
    (TRUTH.T.copy(), r"8x6 pixels, its mask 6x8 \(turned on its side"),
    (np.stack([TRUTH] * 3, -1), "a mask in colours"),
])
def test_what_is_wrong_with_a_mask_is_told_with_its_file(tmp_path: Path, values: np.ndarray, said: str) -> None:
    root = folder(tmp_path)
    mask(root / "masks/b.png", values)
    with pytest.raises(DataError, match=rf"1 of 3 images have no mask that can be used:\s+images/b.png: .*{said}"):
        load_data(root, settings={"classes": "sky,wall,road"})
    dataset = load_data(root, settings={"classes": "sky,wall,road", "faulty": "drop"})
    assert [sample.id for sample in dataset.samples] == ["images/a.png", "images/c.png"]
    assert any("1 images left out" in note for note in dataset.notes)


def test_an_image_without_a_mask_and_a_damaged_mask_are_told(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "masks/a.png").unlink()
    (root / "masks/b.png").write_bytes((root / "masks/c.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"(?s)2 of 3 images.*a.png: has no mask.*images/b.png: .*b.png: truncated"):
        load_data(root, settings={"classes": "sky,wall,road"})


def test_255_beside_other_numbers_is_asked_for(tmp_path: Path) -> None:
    values = np.where(TRUTH == 2, 255, TRUTH).astype(np.uint8)
    with pytest.raises(DataError, match=r"hold 0, 1, 255, and no legend.*--set reader.ignore=255"):
        load_data(folder(tmp_path, values))


@pytest.mark.parametrize(("settings", "error", "said"), [
    ({"classes": "0:sky,wall"}, ConfigError, "give every class a number"),
    ({"classes": "0:sky,0:wall"}, ConfigError, "0 stands for two classes"),
    ({"classes": "0:sky,1:"}, ConfigError, "a class has no name"),
    ({"legend": "nowhere.txt"}, ConfigError, "nowhere.txt is no file"),
    ({"masks": "nothing/*"}, DataError, "no mask among its 6 pictures"),
    ({"foreground": True, "classes": "a,b,c"}, ConfigError, "name two"),
])
def test_a_setting_that_says_nothing_is_refused(tmp_path: Path, settings: dict[str, object], error: type[Exception],
                                                said: str) -> None:
    with pytest.raises(error, match=said):
        load_data(folder(tmp_path), format="masks", settings=settings)


def test_a_class_without_a_pixel_is_left_out_and_told(tmp_path: Path) -> None:
    dataset = load_data(folder(tmp_path, np.where(TRUTH == 1, 0, TRUTH)), settings={"classes": "sky,wall,road"})
    assert dataset.classes == ("sky", "road")
    assert any("no pixel, left out: wall" in note for note in dataset.notes)
    assert np.array_equal(classes_of(dataset)[0], TRUTH == 2)


def test_the_fingerprint_changes_with_a_pixel_of_a_mask_and_with_the_name_of_a_class(tmp_path: Path) -> None:
    root = folder(tmp_path)
    first = fingerprint(load_data(root, settings={"classes": "sky,wall,road"}), cache=tmp_path / "hashes")
    assert first == fingerprint(load_data(root, settings={"classes": "sky,wall,road"}), cache=tmp_path / "hashes")
    assert first != fingerprint(load_data(root, settings={"classes": "sky,wall,street"}), cache=tmp_path / "hashes")
    assert first != fingerprint(load_data(root, settings={"classes": "1:sky,0:wall,2:road"}), cache=tmp_path / "hashes")
    changed = TRUTH.copy()
    changed[0, 0] = 1
    mask(root / "masks/a.png", changed)
    assert first != fingerprint(load_data(root, settings={"classes": "sky,wall,road"}), cache=tmp_path / "hashes")


@pytest.mark.parametrize(("name", "settings", "count", "classes"), [
    ("camvid", {"classes": "sky,building,pole,road,pavement,tree,sign,fence,car,pedestrian,cyclist,void"}, 142, 11),
    ("membranes", {"classes": "0:membrane,255:cell"}, 30, 2), ("pennfudan", {"foreground": True}, 170, 2)])
def test_public_sets_are_read_as_they_come(name: str, settings: dict[str, object], count: int, classes: int) -> None:
    dataset = load_data(shared(name), format="masks", settings=settings)
    assert (len(dataset), len(dataset.classes)) == (count, classes)
    assert not dataset.ignored


def test_a_mask_without_an_image_is_told_and_does_not_hide_what_the_folder_is(tmp_path: Path) -> None:
    root = folder(tmp_path)
    mask(root / "masks/99.png", TRUTH)
    assert Masks.claims(str(root))
    data = load_data(root, settings={"classes": "sky,wall,road"})
    assert (len(data), data.ignored) == (3, ("masks/99.png (a mask without an image)",))


def test_masks_that_were_saved_as_jpeg_are_not_named_by_their_numbers(tmp_path: Path) -> None:
    root = folder(tmp_path, np.where(TRUTH == 1, 120, 0).astype(np.uint8), ending=".jpg")
    with pytest.raises(DataError, match=r"masks such as .*\.jpg are JPEG files, which mix numbers: they hold \d+\."):
        load_data(root)


def test_an_empty_folder_is_called_empty_whatever_it_is_read_for(tmp_path: Path) -> None:
    for task in ("detection", "semantic"):
        with pytest.raises(DataError, match=r"no image in this folder \(it is empty\)"):
            load_data(tmp_path, task=task)
