import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.data.load import load_data
from headstart.errors import DataError, HeadstartError
from tests.readers.boxes import found, pictures


def shape(label: Any, points: Any, kind: str = "rectangle", group: Any = None) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {}}


def labelme(root: Path, files: dict[str, list[Any]], **changes: Any) -> Path:
    for name, shapes in files.items():
        pictures(root, f"{name}.png")
        value = {"version": "5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name.rpartition('/')[2]}.png",
                 "imageData": None, "imageHeight": 40, "imageWidth": 60, **changes}
        (root / f"{name}.json").write_text(json.dumps(value))
    return root


BOX = shape("cat", [[30, 20], [10, 5]])


def test_rectangles_are_read_whichever_corner_was_first(tmp_path: Path) -> None:
    data = load_data(labelme(tmp_path, {"a": [BOX], "b": []}))
    assert (data.task, data.format) == ("detection", "labelme")
    assert found(data) == {"a.png": [("cat", 10, 5, 30, 20)], "b.png": []}
    assert (data.samples[0].annotated, data.samples[0].where) == ((40, 60), "a.json")


def test_polygons_of_one_group_are_one_object(tmp_path: Path) -> None:
    parts = [shape("cat", [[0, 0], [5, 0], [5, 5]], "polygon", 1),
             shape("cat", [[20, 20], [30, 20], [30, 30]], "polygon", 1),
             shape("dog", [[1, 1], [4, 1], [4, 9]], "polygon", 1)]
    data = load_data(labelme(tmp_path, {"a": parts, "b": [BOX]}))
    assert found(data)["a.png"] == [("cat", 0, 0, 30, 30), ("dog", 1, 1, 4, 9)]
    assert [len(o.polygons) for o in data.samples[0].objects or ()] == [2, 1]


def test_other_shapes_are_left_aside_and_told(tmp_path: Path) -> None:
    data = load_data(labelme(tmp_path, {"a": [BOX, shape("cat", [[1, 1], [5, 5]], "circle")], "b": [BOX]}))
    assert "1 shapes of the kind circle are left aside; rectangles and polygons are read" in data.notes


def test_folders_of_splits_and_paths_within_the_data(tmp_path: Path) -> None:
    labelme(tmp_path, {"train/a": [BOX], "val/b": [BOX]})
    assert [s.split for s in load_data(tmp_path).samples] == ["train", "val"]
    pictures(tmp_path / "images", "c.png")
    (tmp_path / "labels").mkdir()
    value = json.loads((tmp_path / "train/a.json").read_text())
    (tmp_path / "labels/c.json").write_text(json.dumps({**value, "imagePath": "..\\images\\c.png"}))
    assert "images/c.png" in found(load_data(tmp_path))


@pytest.mark.parametrize(("shapes", "changes", "message"), [
    ([shape("cat", [[1, 2]])], {}, r"a\.json: shape 1 \(cat\): its points are not pairs of numbers"),
    ([shape("cat", [[1, 2], [3, "x"]])], {}, "its points are not pairs"),
    ([shape("", [[1, 2], [3, 4]])], {}, "has no label"),
    (["x"], {}, "shape 1: has no label")])
def test_a_wrong_shape_is_named(tmp_path: Path, shapes: list[Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(labelme(tmp_path, {"a": shapes, "b": [BOX]}, **changes), format="labelme")


def test_ways_out_are_not_followed(tmp_path: Path) -> None:
    root = labelme(tmp_path / "data", {"a": [BOX], "b": [BOX]}, imagePath="../../secret.png")
    assert set(found(load_data(root))) == {"a.png", "b.png"}  # the image beside the file
    (root / "a.png").unlink()
    with pytest.raises(DataError, match=r"imagePath is .* which leads out of the data; nothing was read there"):
        load_data(root)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.integers(0, 400), text=st.binary(max_size=6), cut=st.integers(0, 40))
def test_random_damage_is_an_error_of_ours_or_reads(tmp_path: Path, place: int, text: bytes, cut: int) -> None:
    root = labelme(tmp_path, {"a": [BOX], "b": [BOX]})
    whole = (root / "a.json").read_bytes()
    (root / "a.json").write_bytes(whole[:place] + text + whole[place + cut:])
    with contextlib.suppress(HeadstartError):
        load_data(root, format="labelme")
