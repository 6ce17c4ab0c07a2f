"""Rows 3, 12 and 16 to 22 as `headstart check` finds them: truncated and tiny files, classes, copies, leaks."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.data.check import check, drop_bad, enforce
from headstart.data.dataset import Dataset
from headstart.data.duplicates import group_duplicates
from headstart.data.findings import CheckReport, Finding
from headstart.data.load import load_data
from headstart.data.splits import split
from headstart.errors import DataError
from headstart.events import silent
from tests.data.planted import folder, picture
from tests.faults.matrix import row


def with_own_cache(check_row: Callable[[Path], None]) -> Callable[[Path], None]:
    """Keep the hashes of the row's files out of the user's cache."""

    def run(tmp_path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(os.environ, "HEADSTART_CACHE", str(tmp_path / "cache"))
            check_row(tmp_path)

    return run


def checked(data: Dataset | Path, *, strict: bool = False) -> CheckReport:
    return check(load_data(data), listen=silent, strict=strict)


def finding(report: CheckReport, kind: str) -> Finding:
    found = report.finding(kind)
    assert found is not None, kind
    return found


@row(3, "a truncated file is found by a full decode")
@with_own_cache
def truncated_file_is_found(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 20, "b": 20})
    for part in range(1, 16):
        whole = root / "a" / f"{part:03d}.png"
        jpeg = root / "a" / f"{part:03d}.jpg"
        picture(part + 500, size=(300, 200)).save(jpeg)
        data = jpeg.read_bytes()
        jpeg.write_bytes(data[:len(data) * part // 16])
        whole.unlink()
    data = load_data(root)
    report = check(data, listen=silent, quick=True)
    assert len(report.unreadable) == 15
    assert all("truncated" in reason for reason in report.unreadable.values()), report.unreadable
    with pytest.raises(DataError, match=r"corrupt: 15 of 40 images can't be read \(truncated 15\)"):
        enforce(report)
    with pytest.raises(DataError, match="more than half of 1 class"):
        drop_bad(data, report)


@row(12, "tiny and long images are accepted with a warning")
@with_own_cache
def tiny_images_warn(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 30, "b": 30})
    picture(900, size=(1, 1)).save(root / "a" / "dot.png")
    picture(901, size=(20000, 1)).save(root / "a" / "line.png")
    report = checked(root)
    assert finding(report, "tiny").items == ("a/dot.png: 1x1", "a/line.png: 20000x1")
    assert report.level == "warning"


@row(16, "a class that only validation can show is refused")
@with_own_cache
def class_only_in_val_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"train/a": 6, "train/b": 6, "val/a": 6, "val/b": 6})
    for file in (root / "train/b").iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match="b: 6 in val, none in train"):
        enforce(checked(root), allow=["corrupt"])


@row(17, "one readable class is refused")
@with_own_cache
def one_class_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 6, "b": 1})
    (root / "b/000.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"needs at least 2 classes with images, found: \['a'\]"):
        enforce(checked(root), allow=["corrupt"])


@row(18, "a class with one image is warned of by name")
@with_own_cache
def class_with_one_image_warns(tmp_path: Path) -> None:
    report = checked(folder(tmp_path / "data", {"a": 6, "b": 6, "rare one": 1}))
    assert finding(report, "class_single").items == ("rare one",)
    assert report.refusals() == []


@row(19, "own splits never part exact copies")
@with_own_cache
def own_splits_keep_copies_together(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 30, "b": 30})
    for number in range(30):
        picture(number).save(root / "a" / f"copy {number}.bmp")
    data = load_data(root)
    grouped = group_duplicates(data, check(data, listen=silent, quick=True))
    parts = split(grouped, seed=0)
    where = {sample.id: name for name, part in parts.items() for sample in part.samples}
    assert len(set(where.values())) == 3
    assert all(where[f"a/{number:03d}.png"] == where[f"a/copy {number}.bmp"] for number in range(30))


@row(19, "copies across given splits are reported, and refused when strict or many")
@with_own_cache
def copies_across_given_splits(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"train/a": 3, "train/b": 3, "test/a": 60, "test/b": 60})
    shutil.copy(root / "train/a/000.png", root / "test/a/copy.png")
    found = finding(checked(root), "leak_exact")
    assert (found.level, found.count) == ("warning", 1)
    with pytest.raises(DataError, match="leak_exact: 1 of 121 test images"):
        enforce(checked(root, strict=True))


@row(20, "near copies are reported")
@with_own_cache
def near_copies_are_reported(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 6, "b": 6})
    picture(900, size=(300, 200)).save(root / "a/x.png")
    picture(900, size=(300, 200)).save(root / "a/y.jpg", quality=70)
    found = finding(checked(root), "duplicates_near")
    assert (found.level, found.items) == ("warning", ("a/x.png = a/y.jpg",))


@row(21, "one picture with two labels")
@with_own_cache
def two_labels_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 20, "b": 20})
    shutil.copy(root / "a/000.png", root / "b/copy.png")
    with pytest.raises(DataError, match=r"(?s)conflicting_labels: 1 picture.*4\.9%.*a/000\.png \[a\] = b/copy\.png"):
        enforce(checked(root))


@row(22, "a group in two given splits is refused, its name hashed")
@with_own_cache
def group_leak_is_refused(tmp_path: Path) -> None:
    data = load_data(folder(tmp_path / "data", {"train/a": 4, "train/b": 4, "test/a": 4, "test/b": 4}))
    samples = tuple(replace(sample, group="patient 007") for sample in data.samples)
    with pytest.raises(DataError, match=r"leak_group.*\n  group [0-9a-f]{8}: 8 in train, 8 in test") as caught:
        enforce(checked(replace(data, samples=samples)))
    assert "007" not in str(caught.value)
