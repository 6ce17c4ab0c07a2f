import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from headstart.configuration import override
from headstart.data.dataset import Dataset
from headstart.data.labels import SEPARATORS
from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from tests.pictures import folders, picture


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(4):
        picture(tmp_path / f"{number}.png", seed=number)
    return tmp_path


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def names(data: Dataset) -> list[object]:
    return [tuple(data.classes[i] for i in sample.label) if isinstance(sample.label, tuple)
            else data.classes[sample.label] for sample in data.samples]  # type: ignore[index]


@pytest.mark.parametrize("header", ["image,label", "path,class", "File Name,Category", "filepath,target"])
def test_columns_are_found_by_name(images: Path, header: str) -> None:
    data = load_data(write(images, f"{header}\n0.png,cat\n1.png,dog\n"))
    assert names(data) == ["cat", "dog"]
    assert [sample.source for sample in data.samples] == [images / "0.png", images / "1.png"]
    assert (data.format, data.task, data.root) == ("table", "classification", images)


@pytest.mark.parametrize("word", ["no", "0123", "null", "NA", "nan", "1e3", "True", "1.0", "None"])
def test_every_scalar_stays_text(images: Path, word: str) -> None:
    assert names(load_data(write(images, f"image,label\n0.png,{word}\n1.png,yes\n"))) == [word, "yes"]
    lines = "\n".join(json.dumps({"image": f"{i}.png", "label": name}) for i, name in enumerate([word, "yes"]))
    assert names(load_data(write(images, lines, "data.jsonl"))) == [word, "yes"]
    pd.DataFrame({"image": ["0.png", "1.png"], "label": [word, "yes"]}).to_parquet(images / "data.parquet")
    assert names(load_data(images / "data.parquet")) == [word, "yes"]


def test_numbers_become_their_text(images: Path) -> None:
    pd.DataFrame({"image": ["0.png", "1.png"], "label": [3, 10]}).to_parquet(images / "data.parquet")
    assert load_data(images / "data.parquet").classes == ("10", "3")
    lines = '{"image": "0.png", "label": 3}\n\n{"image": "1.png", "label": true}\n'
    assert names(load_data(write(images, lines, "data.jsonl"))) == ["3", "true"]


@pytest.mark.parametrize(("name", "mark"), [("data.csv", ","), ("data.csv", ";"),
                                            ("data.csv", "\t"), ("data.tsv", "\t")])
def test_separators_of_columns_are_found(images: Path, name: str, mark: str) -> None:
    text = "image,label\n0.png,cat\n1.png,dog\n".replace(",", mark)
    assert names(load_data(write(images, text, name))) == ["cat", "dog"]


def test_excel_byte_order_marks_are_read(images: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        (images / "data.csv").write_text("image,label\n0.png,grün\n1.png,blau\n", encoding=encoding)
        assert names(load_data(images / "data.csv")) == ["grün", "blau"]


def test_split_group_and_weight_are_read(images: Path) -> None:
    data = load_data(write(images, "image,label,split,patient_id,weight,note\n0.png,a,Train,p1,1,x\n"
                                   "1.png,b,training,p2,2.5,x\n2.png,a,valid,,0,x\n3.png,b,test,p3,1,x\n"))
    assert [sample.split for sample in data.samples] == ["train", "train", "val", "test"]
    assert [sample.group for sample in data.samples] == ["p1", "p2", None, "p3"]
    assert data.weights().tolist() == [1, 2.5, 0, 1]
    assert data.notes[-2:] == ("columns: image = image, label = label, split = split, group = patient_id, "
                               "weight = weight", "columns left aside: note")
    assert load_data(images / "data.csv", settings={"group": ""}).samples[0].group is None


@pytest.mark.parametrize("mark", [";", "|", ","])
def test_several_labels_in_a_plural_column(images: Path, mark: str) -> None:
    data = load_data(write(images, f'image,labels\n0.png,"sun{mark} sea"\n1.png,sea\n2.png,"sand{mark}sun"\n'))
    assert data.task == "multilabel"
    assert data.classes == ("sand", "sea", "sun")
    assert names(data) == [("sea", "sun"), ("sea",), ("sand", "sun")]


def test_a_singular_column_with_separators_is_ambiguous(images: Path) -> None:
    path = write(images, 'image,label\n0.png,"Paris, France"\n1.png,Rome\n')
    with pytest.raises(ConfigError, match=r'"Paris, France"\. Is that one label, or several.*task=multilabel'):
        load_data(path)
    assert names(load_data(path, task="classification")) == ["Paris, France", "Rome"]
    assert names(load_data(path, task="multilabel")) == [("France", "Paris"), ("Rome",)]
    assert load_data(path, settings={"separator": ","}).task == "multilabel"


def test_two_kinds_of_separators_are_ambiguous(images: Path) -> None:
    path = write(images, 'image,labels\n0.png,"a;b"\n1.png,"a|c"\n')
    with pytest.raises(ConfigError, match=r"labels holds ; and \|. Which of them separates labels"):
        load_data(path)
    assert load_data(path, settings={"separator": ";"}).classes == ("a", "a|c", "b")
    with pytest.raises(ConfigError, match=r'reader.separator=";" means several labels, but the task is classification'):
        load_data(path, settings={"separator": ";"}, task="classification")


def test_what_is_told_to_tell_separators_apart_can_be_typed_in_a_shell(images: Path) -> None:
    path = write(images, 'image,labels\n0.png,"a;b"\n1.png,"a|c"\n2.png,"a,c"\n')
    with pytest.raises(ConfigError) as raised:
        load_data(path)
    assignments = shlex.split(" ".join(re.findall(r"--set (reader.separator='.')", str(raised.value))))
    assert [override({}, [word])["reader"] for word in assignments] == [{"separator": mark} for mark in SEPARATORS]
    for mark in SEPARATORS:
        read = load_data(path, settings=override({}, [f"reader.separator={mark}"])["reader"])
        assert len(read.classes) == 4


def test_an_empty_separator_is_refused(images: Path) -> None:
    with pytest.raises(ConfigError, match=r"separator"):
        load_data(write(images, "image,labels\n0.png,a\n1.png,b\n"), settings={"separator": ""})


def test_lists_are_several_labels(images: Path) -> None:
    lines = '{"image": "0.png", "label": ["a", "b"]}\n{"image": "1.png", "label": ["no"]}\n'
    assert names(load_data(write(images, lines, "data.jsonl"))) == [("a", "b"), ("no",)]
    with pytest.raises(ConfigError, match="label holds lists of labels, but the task is classification"):
        load_data(images / "data.jsonl", task="classification")
    pd.DataFrame({"image": ["0.png", "1.png"], "label": [["a", "b"], ["b"]]}).to_parquet(images / "data.parquet")
    assert names(load_data(images / "data.parquet")) == [("a", "b"), ("b",)]


def test_one_hot_columns(images: Path) -> None:
    data = load_data(write(images, "image,sun,sea\n0.png,1,1\n1.png,0,0\n2.png,0,1\n"))
    assert (data.task, data.classes) == ("multilabel", ("sea", "sun"))
    assert names(data) == [("sea", "sun"), (), ("sea",)]
    path = write(images, "image,sun,sea\n0.png,1,0\n1.png,0,1\n")
    assert names(load_data(path)) == ["sun", "sea"]
    assert names(load_data(path, task="multilabel")) == [("sun",), ("sea",)]


def test_one_hot_columns_can_be_named(images: Path) -> None:
    path = write(images, "image,age,sun,sea\n0.png,7,1,1\n1.png,8,0,2\n")
    with pytest.raises(ConfigError, match=r"no column of labels among image, age, sun, sea.*reader\.label=\[CAT,DOG\]"):
        load_data(path)
    with pytest.raises(DataError, match=r'data.csv row 2: sea is "2", not 0 or 1'):
        load_data(path, settings={"label": ["sun", "sea"]})
    with pytest.raises(ConfigError, match=r'reader.label: the table has no column "son". Did you mean "sun"'):
        load_data(path, settings={"label": ["son", "sea"]})
    path = write(images, "image,sun,sea\n0.png,1,1\n1.png,0,1\n")
    with pytest.raises(DataError, match=r"data.csv row 1: 2 of the classes are 1 where one should be"):
        load_data(path, settings={"label": ["sun", "sea"]}, task="classification")


def test_missing_files_are_counted_with_the_first_row(images: Path) -> None:
    path = write(images, "image,label\n0.png,a\nx/118.jpg,b\ny.jpg,a\nz.jpg,b\n1.png,b\n")
    with pytest.raises(DataError) as caught:
        load_data(path)
    assert str(caught.value) == ('data.csv row 2: image "x/118.jpg" does not exist. 2 more rows point to missing '
                                 "files. Fix the paths, or leave them out with `--set skip_bad=true` "
                                 "(adapt: `--skip-bad`).")
    assert len(load_data(path, skip_bad=True)) == 5  # kept, for the check to find and leave out


def test_empty_labels_are_named_by_row(images: Path) -> None:
    with pytest.raises(DataError, match=r"data.csv row 2: label is empty\. 1 more rows have no label\. Give"):
        load_data(write(images, "image,label\n0.png,a\n1.png,\n2.png, \n"))
    path = write(images, "image,labels\n0.png,a;b\n1.png,\n")
    with pytest.raises(DataError, match=r"row 2: labels is empty.*reader.empty=none"):
        load_data(path)
    assert names(load_data(path, settings={"empty": "none"})) == [("a", "b"), ()]


@pytest.mark.parametrize(("text", "message"), [
    ("image,path,label\n0.png,0.png,a\n", "several columns could be the image: image, path. Say which: "
                                          "--set reader.image=image or --set reader.image=path"),
    ("image,label,class\n0.png,a,a\n", "several columns could be the label: label, class"),
    ("photo,label\n0.png,a\n", "no column of image paths among photo, label. Name it: --set reader.image=COLUMN")])
def test_unclear_columns_are_refused_with_the_choices(images: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_data(write(images, text))


@pytest.mark.parametrize(("text", "message"), [
    ("image,label\n", "the table has no rows"), ("", "the table has no rows"),
    ("image,label,label\n0.png,a,b\n", "the header names label more than once"),
    ("image,label\n0.png,a,b\n", "row 1: 3 values under 2 column names"),
    ("image,label\n\"0.png,a\n", "line 2: unexpected end of data. Mend the quotes"),
    ("image,label\n,a\n1.png,b\n", "row 1: image is empty"),
    ("image,label\nhttps://x.org/0.png,a\n", 'row 1: "https://x.org/0.png" is an address.*fetches nothing'),
    ("image,label,split\n0.png,a,train\n1.png,b,holdout\n", 'row 2: split is "holdout", not train, val or test'),
    ("image,label,weight\n0.png,a,-1\n1.png,b,x\n", r'row 1: weight is "-1", not a number.*1 more rows have no weight|'
                                                    r'row 1: weight is "-1"'),
    ("image,label,weight\n0.png,a,0\n1.png,b,0\n", "every weight is 0"),
    ("image,label\n0.png,a\n1.png,a\n", r"needs at least 2 classes and 2 images, found 2 images of: \[a\]")])
def test_wrong_tables_are_refused_with_the_row(images: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(write(images, text))


@pytest.mark.parametrize(("line", "message"), [
    ("{", "line 1: not a JSON object"), ("[1]", "line 1: not a JSON object. Each line is one"),
    ('{"image": "0.png", "label": NaN}', "NaN is not JSON"), ('{"a": 1, "a": 2}', 'the key "a" stands there twice'),
    ("[" * 200_000, "line 1: not a JSON object")])
def test_wrong_json_lines_are_refused_with_the_line(images: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_data(write(images, line + "\n", "data.jsonl"))


def test_damaged_files_are_refused(images: Path) -> None:
    (images / "data.csv").write_bytes(b"image,label\n0.png,gr\xfcn\n")
    with pytest.raises(DataError, match=r"data.csv line 2: the text is not UTF-8"):
        load_data(images / "data.csv")
    (images / "data.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="not a sound Parquet file"):
        load_data(images / "data.parquet")


def test_tables_with_the_images_inside_point_to_the_other_reader(images: Path) -> None:
    pd.DataFrame({"image": [b"\x89PNG"], "label": ["a"]}).to_parquet(images / "data.parquet")
    with pytest.raises(DataError, match="holds the images themselves, not paths"):
        load_data(images / "data.parquet")


def test_paths_may_lead_out_of_the_folder_unless_refused(images: Path) -> None:
    (images / "tables").mkdir()
    path = write(images / "tables", f"image,label\n../0.png,a\n{images / '1.png'},b\n")
    assert len(load_data(path)) == 2
    with pytest.raises(DataError, match=r'row 1: "\.\./0\.png" leads out of the folder'):
        load_data(path, settings={"outside": "refuse"})


def test_a_folder_with_one_table_is_that_table(images: Path) -> None:
    write(images, "image,label\n0.png,a\n1.png,b\n")
    write(images, "epoch,loss\n1,2\n", "log.csv")
    assert load_data(images).format == "table"
    write(images, "image,label\n2.png,a\n3.png,b\n", "more.csv")
    with pytest.raises(ConfigError, match=r"has several tables. Point at one of them"):
        load_data(images)


def test_class_folders_beside_a_table_are_ambiguous(tmp_path: Path) -> None:
    folders(tmp_path, {"a": 1, "b": 1})
    write(tmp_path, "image,label\na/a-0.png,x\nb/b-0.png,y\n")
    with pytest.raises(ConfigError, match="--format class_folders or --format table"):
        load_data(tmp_path)
    assert load_data(tmp_path, format="table").classes == ("x", "y")
    assert load_data(tmp_path, format="class_folders").classes == ("a", "b")


def test_an_image_in_two_rows_keeps_two_ids(images: Path) -> None:
    data = load_data(write(images, "image,label\n0.png,a\n1.png,b\n0.png,a\n"))
    assert [sample.id for sample in data.samples] == ["0.png (row 1)", "1.png", "0.png (row 3)"]


def test_classes_only_in_val_are_refused_with_both_sides(images: Path) -> None:
    path = write(images, "image,label,split\n0.png,a,train\n1.png,b,train\n2.png,c,val\n")
    with pytest.raises(DataError, match="only in val: c\nin train: a, b"):
        load_data(path)
