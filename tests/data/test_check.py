import hashlib
import io
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.check import check, drop_bad, enforce
from headstart.data.dataset import Dataset
from headstart.data.duplicates import group_duplicates
from headstart.data.findings import CheckReport, Finding
from headstart.data.load import load_data
from headstart.data.looks import standing_out
from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Progress, Started, silent
from headstart.types import Sample
from tests.data.planted import folder, picture, truncate
from tests.shared_data import shared


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", {"a": 8, "b": 8})


@pytest.fixture
def split_root(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", {"train/a": 8, "train/b": 8, "test/a": 6, "test/b": 6})


def checked(path: Path, *, quick: bool = False, strict: bool = False) -> CheckReport:
    return check(load_data(path), listen=silent, quick=quick, strict=strict)


def level(report: CheckReport, kind: str) -> str:
    found = report.finding(kind)
    assert found is not None
    return found.level


def finding(report: CheckReport, kind: str) -> Finding:
    found = report.finding(kind)
    assert found is not None
    return found


def test_sound_data_have_no_warning(root: Path) -> None:
    report = checked(root)
    assert report.level == "ok"
    assert report.summary["splits"] == {"all": {"count": 16, "per_class": {"a": 8, "b": 8}}}
    assert report.summary["width"] == {"min": 96, "median": 96, "max": 96}
    assert report.summary["formats"] == {"PNG": 16}
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["level"] == "ok"


def test_check_changes_no_file(root: Path) -> None:
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in root.rglob("*.png")}
    checked(root)
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in root.rglob("*") if file.is_file()} == before


def test_check_says_how_far_it_is(root: Path) -> None:
    events: list[object] = []
    check(load_data(root), listen=events.append)
    assert events[0] == Started("checking images", 16, "images")
    assert events[-2] == Progress("checking images", 16)
    assert isinstance(events[-1], Finished)


def test_number_of_workers_changes_nothing(root: Path) -> None:
    shutil.copy(root / "a" / "001.png", root / "a" / "copy.png")
    data = load_data(root)
    assert check(data, listen=silent, workers=1) == check(data, listen=silent, workers=4)


def test_every_unreadable_file_is_listed_with_its_reason(root: Path) -> None:
    truncate(root / "a" / "000.png")
    (root / "b" / "001.png").write_bytes(b"")
    (root / "b" / "002.png").write_text("<html>404</html>")
    found = finding(checked(root, quick=True), "corrupt")
    assert (found.level, found.count) == ("error", 3)
    for reason in ("truncated 1", "empty_file 1", "not_an_image 1"):
        assert reason in found.text
    assert [Path(item.split(":")[0]).name for item in found.items] == ["000.png", "001.png", "002.png"]
    assert "--skip-bad" in found.advice


def test_unreadable_images_are_refused_or_left_out(root: Path) -> None:
    truncate(root / "a" / "000.png")
    data = load_data(root)
    report = check(data, listen=silent, quick=True)
    with pytest.raises(DataError, match=r"(?s)corrupt: 1 of 16 images.*000\.png.*--skip-bad") as caught:
        enforce(report)
    assert "--allow corrupt" not in str(caught.value)
    enforce(report, allow=["corrupt"])
    kept = drop_bad(data, report)
    assert len(kept) == 15
    assert kept.notes[-1] == "1 unreadable image left out (--skip-bad)"
    assert "a/000.png" not in {sample.id for sample in kept.samples}


def test_more_than_half_of_a_class_can_not_be_left_out(root: Path) -> None:
    for number in range(5):
        truncate(root / "a" / f"{number:03d}.png")
    data = load_data(root)
    with pytest.raises(DataError, match=r"more than half of 1 class:\n  a: 5 of 8 unreadable"):
        drop_bad(data, check(data, listen=silent, quick=True))


def test_nothing_to_leave_out_leaves_the_data_as_they_are(root: Path) -> None:
    data = load_data(root)
    assert drop_bad(data, check(data, listen=silent)) is data


def test_copies_are_found_across_formats_and_folders(root: Path) -> None:
    shutil.copy(root / "a" / "000.png", root / "a" / "same file.png")
    Image.open(root / "a" / "000.png").save(root / "a" / "same pixels.bmp")
    report = checked(root)
    found = finding(report, "duplicates_exact")
    assert found.text == ("Exact copies of another image: 2 of 18, in 1 set (1 the same file, 1 only the same pixels).")
    assert found.items == ("a/000.png = a/same file.png = a/same pixels.bmp",)
    assert level(report, "duplicates_near") == "ok"


def test_reencoded_and_resized_copies_are_near(root: Path) -> None:
    original = picture(900, size=(400, 300))
    original.save(root / "a" / "x.png")
    original.save(root / "a" / "x70.jpg", quality=70)
    original.resize((360, 270)).save(root / "b" / "x90.png")
    original.rotate(90, expand=True).save(root / "b" / "turned.png")
    report = checked(root, quick=True)
    assert report.near_sets == (("a/x.png", "a/x70.jpg", "b/x90.png"),)
    assert finding(report, "duplicates_near").count == 2
    assert finding(report, "conflicting_labels_near").items == ("a/x.png [a] = a/x70.jpg [a] = b/x90.png [b]",)
    assert level(report, "conflicting_labels") == "ok"


def test_near_sets_hold_exact_copies_too(root: Path) -> None:
    original = picture(900, size=(400, 300))
    original.save(root / "a" / "x.png")
    original.save(root / "a" / "x70.jpg", quality=70)
    shutil.copy(root / "a" / "x.png", root / "a" / "y.png")
    report = checked(root)
    assert report.near_sets == (("a/x.png", "a/x70.jpg", "a/y.png"),)
    assert finding(report, "duplicates_near").count == 1


def test_own_groups_keep_copies_together(root: Path) -> None:
    shutil.copy(root / "a" / "000.png", root / "a" / "copy.png")
    data = load_data(root)
    grouped = group_duplicates(data, check(data, listen=silent, quick=True))
    groups = {sample.id: sample.group for sample in grouped.samples}
    assert groups["a/000.png"] == groups["a/copy.png"] == "a/000.png"
    assert groups["a/001.png"] is None


def test_a_few_leaked_copies_warn_and_many_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"train/a": 3, "train/b": 3, "test/a": 60, "test/b": 60})
    shutil.copy(root / "train/a/000.png", root / "test/a/000.png")
    assert level(checked(root, quick=True), "leak_exact") == "warning"
    assert level(checked(root, quick=True, strict=True), "leak_exact") == "error"
    shutil.copy(root / "train/a/001.png", root / "test/a/001.png")
    report = checked(root, quick=True)
    found = finding(report, "leak_exact")
    assert found.text == "2 of 120 test images have the same pixels as one in train (1.7%)."
    assert found.items[0] == "test/a/000.png [test] = train/a/000.png [train]"
    with pytest.raises(DataError, match=r"(?s)leak_exact: 2 of 120.*--allow leak_exact"):
        enforce(report)
    enforce(report, allow=["leak_exact"])


def test_near_copies_across_splits_warn(split_root: Path) -> None:
    picture(0).save(split_root / "test/a/near.jpg", quality=80)
    assert level(checked(split_root, quick=True), "leak_near") == "warning"
    assert level(checked(split_root, quick=True, strict=True), "leak_near") == "error"
    assert level(checked(split_root, quick=True), "leak_exact") == "ok"


def test_leaks_are_not_looked_for_without_given_splits(root: Path) -> None:
    report = checked(root)
    assert [report.finding(kind) for kind in ("leak_exact", "leak_near", "leak_group")] == [None, None, None]


def test_a_group_in_two_splits_is_refused_without_naming_it(split_root: Path) -> None:
    data = load_data(split_root)
    samples = tuple(replace(sample, group=f"patient Smith {Path(sample.id).stem}") for sample in data.samples)
    report = check(replace(data, samples=samples), listen=silent, quick=True)
    found = finding(report, "leak_group")
    assert (found.level, found.count) == ("error", 6)
    digest = hashlib.sha256(b"patient Smith 000").hexdigest()[:8]
    assert found.items[0] == f"group {digest}: 2 in train, 2 in test"
    with pytest.raises(DataError, match=r"leak_group: In two splits: 6 of 8 groups") as caught:
        enforce(report)
    assert "Smith" not in str(caught.value)


def test_one_picture_with_two_labels_warns_up_to_one_percent(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 130, "b": 130})
    shutil.copy(root / "a" / "000.png", root / "b" / "copy.png")
    report = checked(root, quick=True)
    assert level(report, "conflicting_labels") == "warning"
    assert level(checked(root, quick=True, strict=True), "conflicting_labels") == "error"
    shutil.copy(root / "a" / "001.png", root / "b" / "copy 2.png")
    report = checked(root, quick=True)
    found = finding(report, "conflicting_labels")
    assert found.text == "2 pictures with different labels, in 4 images (1.5% of all)."
    assert found.items[0] == "a/000.png [a] = b/copy.png [b]"
    with pytest.raises(DataError, match="conflicting_labels"):
        enforce(report)


def test_unknown_name_in_allow_gets_the_nearest(root: Path) -> None:
    with pytest.raises(ConfigError, match=r'--allow: unknown finding "leak_exakt"\. Did you mean "leak_exact"\?'):
        enforce(checked(root), allow=["leak_exakt"])


def test_all_refusals_come_in_one_message(split_root: Path) -> None:
    truncate(split_root / "train/b/000.png")
    shutil.copy(split_root / "train/a/000.png", split_root / "test/b/000.png")
    with pytest.raises(DataError) as caught:
        enforce(checked(split_root, quick=True))
    assert [line.split(":")[0] for line in str(caught.value).splitlines() if not line.startswith(" ")] \
        == ["corrupt", "conflicting_labels", "leak_exact"]


def test_small_classes_are_named(root: Path) -> None:
    folder(root, {"lonely": 1, "few": 3}, seed=500)
    report = checked(root, quick=True)
    assert finding(report, "class_single").items == ("lonely",)
    assert finding(report, "class_few").items == ("few: 3",)
    assert report.level == "warning"


def test_unbalanced_classes_are_told_what_accuracy_is_worth(tmp_path: Path) -> None:
    found = finding(checked(folder(tmp_path / "data", {"a": 54, "b": 5}), quick=True), "class_balance")
    assert found.level == "warning"
    assert "from 5 (b) to 54 (a) images; 10.8 to 1" in found.text
    assert "accuracy 0.92" in found.advice


def test_a_class_that_loses_its_training_images_is_an_error(split_root: Path) -> None:
    for file in (split_root / "train/b").iterdir():
        truncate(file)
    report = checked(split_root, quick=True)
    assert finding(report, "class_missing").items == ("b: 6 in test, none in train",)


def test_a_class_without_test_images_is_a_warning(split_root: Path) -> None:
    shutil.rmtree(split_root / "test/b")
    assert finding(checked(split_root, quick=True), "class_untested").items == ("b: 8 in train, none in test",)


def test_one_readable_class_is_an_error(root: Path) -> None:
    for file in (root / "b").iterdir():
        truncate(file)
    found = finding(checked(root, quick=True), "single_class")
    assert found.text == "classification needs at least 2 classes with images, found: ['a']."


def test_images_without_a_label_are_an_error(root: Path) -> None:
    data = load_data(root)
    samples = (replace(data.samples[0], label=None), *data.samples[1:])
    found = finding(check(replace(data, samples=samples), listen=silent), "unlabelled")
    assert (found.level, found.items) == ("error", ("a/000.png",))


def test_multilabel_counts_every_label() -> None:
    file = shared("hymenoptera/val/ants").glob("*.jpg")
    samples = tuple(Sample(path.name, path, label) for path, label in
                    zip(sorted(file), [(0,), (0, 1), (), (1,), (0, 1)], strict=False))
    report = check(Dataset(samples, ("x", "y"), "multilabel", "table"), listen=silent)
    assert report.summary["splits"]["all"]["per_class"] == {"x": 3, "y": 3}
    assert report.finding("unlabelled") is None


def test_images_that_stand_out_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "data", {"a": 60, "b": 60})
    picture(901, size=(12, 12)).save(root / "a" / "tiny.png")
    picture(902, size=(800, 80)).save(root / "a" / "long.png")
    picture(903).convert("L").save(root / "b" / "grey.png")
    Image.new("RGB", (96, 72), (200, 30, 30)).save(root / "b" / "red.png")
    Image.new("RGB", (96, 72), (1, 1, 1)).save(root / "b" / "black.jpg")
    picture(904).save(root / "b" / "really.png", format="JPEG")
    frames = [picture(905), picture(906)]
    frames[0].save(root / "b" / "film.gif", save_all=True, append_images=frames[1:])
    report = checked(root)
    expected = {"tiny": ["a/tiny.png: 12x12"], "aspect_outliers": ["a/long.png: 800x80"],
                "size_outliers": ["a/long.png: 800x80", "a/tiny.png: 12x12"], "channels": ["b/grey.png: L"],
                "extension": ["b/really.png: is JPEG"], "frames": ["b/film.gif: 2 frames"],
                "brightness": ["b/black.jpg: all one colour, grey level 1", "b/red.png: all one colour, grey level 81"]}
    assert {kind: list(finding(report, kind).items) for kind in expected} == expected
    assert {level(report, kind) for kind in expected} == {"warning"}
    assert report.refusals() == []


def test_a_second_kind_of_images_does_not_stand_out() -> None:
    assert standing_out(np.array([100.0] * 99 + [5000.0])).tolist() == [99]
    assert standing_out(np.array([100.0] * 90 + [5000.0] * 10)).tolist() == []
    assert standing_out(np.array([100.0] * 99 + [104.0])).tolist() == []


def test_quick_leaves_out_what_needs_eyes(root: Path) -> None:
    full, quick = checked(root), checked(root, quick=True)
    kinds = {one.kind for one in full.findings} - {one.kind for one in quick.findings}
    assert kinds == {"extension", "frames", "sizes", "tiny", "size_outliers", "aspect_outliers", "channels",
                     "brightness"}


def test_pictures_inside_a_table_are_read_once() -> None:
    calls = Counter[str]()

    class Inside:
        def __init__(self, seed: int) -> None:
            self.seed = seed

        def __call__(self) -> bytes:
            calls[str(self.seed)] += 1
            data = io.BytesIO()
            picture(self.seed).save(data, "PNG")
            return data.getvalue()

    samples = tuple(Sample(f"row {row}", Inside(row), row % 2) for row in range(10))
    report = check(Dataset(samples, ("x", "y"), "classification", "huggingface"), listen=silent)
    assert report.level == "ok"
    assert set(calls.values()) == {1}


def test_brain_mri_copies_agree_with_file_hashes() -> None:
    root = shared("brain_mri")
    files = [file for part in ("no", "yes") for file in (root / part).iterdir()]
    hashes = Counter(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    report = checked(root, quick=True)
    assert finding(report, "duplicates_exact").count == len(files) - len(hashes) == 25
    assert len(report.exact_sets) == sum(count > 1 for count in hashes.values())
    assert level(report, "conflicting_labels") == "ok"
    assert report.refusals() == []


def test_hymenoptera_has_no_copies() -> None:
    report = checked(shared("hymenoptera"))
    assert (report.exact_sets, report.near_sets, report.refusals()) == ((), (), [])
