import contextlib
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError, HeadstartError
from tests.readers.boxes import found, pictures

CORNERS = "image,label,xmin,ymin,xmax,ymax\na.png,cat,10,5,30,20\na.png,dog,0,0,60,40\nb.png,,,,,\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pictures(tmp_path, "a.png", "b.png")
    return tmp_path


def write(root: Path, text: str, name: str = "boxes.csv") -> Path:
    (root / name).write_text(text)
    return root / name


def test_a_row_is_a_box_and_an_empty_one_an_image_without(root: Path) -> None:
    data = load_data(write(root, CORNERS))
    assert (data.task, data.format, data.classes) == ("detection", "boxes_table", ("cat", "dog"))
    assert found(data) == {"a.png": [("cat", 10, 5, 30, 20), ("dog", 0, 0, 60, 40)], "b.png": []}
    assert [s.where for s in data.samples] == ["boxes.csv row 1", "boxes.csv row 3"]
    assert found(load_data(root)) == found(data)


def test_lengths_instead_of_corners(root: Path) -> None:
    data = load_data(write(root, "path\tclass\tx\ty\tw\th\na.png\tno\t10\t5\t20\t15\n"
                                 "b.png\t0123\t0\t0\t1\t1\n", "b.tsv"))
    assert found(data) == {"a.png": [("no", 10, 5, 30, 20)], "b.png": [("0123", 0, 0, 1, 1)]}


def test_beside_corners_width_and_height_are_those_of_the_image(root: Path) -> None:
    text = ("filename,width,height,class,xmin,ymin,xmax,ymax,split,patient\n"
            "a.png,60,40,cat,10,5,30,20,train,p\nb.png,60,40,cat,10,5,30,20,train,q\n")
    first = load_data(write(root, text)).samples[0]
    assert (first.annotated, first.split, first.group) == ((40, 60), "train", "p")


def test_parquet_is_read_alike(root: Path) -> None:
    table = pd.DataFrame({"image": ["a.png", "b.png"], "label": ["cat", None], "xmin": [10.0, None],
                          "ymin": [5.0, None], "xmax": [30.5, None], "ymax": [20.0, None]})
    table.to_parquet(root / "boxes.parquet")
    assert found(load_data(root / "boxes.parquet")) == {"a.png": [("cat", 10, 5, 30.5, 20)], "b.png": []}


@pytest.mark.parametrize(("rows", "message"), [
    ("a.png,cat,10,5,x,20\n", r'boxes\.csv row 3: xmax is "x", not a finite number'),
    ("a.png,cat,10,5,nan,20\n", 'row 3: xmax is "nan"'), ("a.png,,10,5,30,20\n", "row 3: label is empty, but there is"),
    ("a.png,cat,,,,\n", 'row 3: xmin is "", not a finite'), (",cat,1,1,2,2\n", "row 3: image is empty"),
    ("gone.png,cat,1,1,2,2\n", r"an annotated image does not exist:\n  boxes\.csv row 3: gone\.png"),
    ("http://x/a.png,cat,1,1,2,2\n", "is an address")])
def test_a_wrong_row_is_named(root: Path, rows: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(write(root, "image,label,xmin,ymin,xmax,ymax\na.png,cat,1,1,9,9\nb.png,cat,1,1,9,9\n" + rows))


def test_rows_of_one_image_must_agree(root: Path) -> None:
    text = "image,label,xmin,ymin,xmax,ymax,split\na.png,c,1,1,9,9,train\nb.png,c,1,1,9,9,test\na.png,c,1,1,9,9,test\n"
    with pytest.raises(DataError, match=r'row 3: split of "a\.png" is "test", but "train" in row 1'):
        load_data(write(root, text))
    with pytest.raises(ConfigError, match="no column for label among"):
        load_data(write(root, CORNERS.replace("label", "what")))


def test_nothing_outside_is_read_where_that_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match="leads out of the folder"):
        load_data(write(root, CORNERS.replace("b.png", "../b.png")), settings={"outside": "refuse"})


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.integers(0, 90), text=st.binary(max_size=6), cut=st.integers(0, 20))
def test_random_damage_is_an_error_of_ours_or_reads(root: Path, place: int, text: bytes, cut: int) -> None:
    whole = CORNERS.encode()
    (root / "boxes.csv").write_bytes(whole[:place] + text + whole[place + cut:])
    with contextlib.suppress(HeadstartError):
        load_data(root / "boxes.csv", format="boxes_table")
