import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import headstart as hs
from headstart.data.fingerprint import content_hashes
from headstart.data.load import load_data
from headstart.errors import ConfigError, DataError
from headstart.events import silent
from headstart.features import engine
from headstart.neighbours import centre, nearest
from headstart.selection import similar
from headstart.selection.similar_page import write_similar_page
from tests.data.planted import folder, truncate
from tests.features.conftest import SMALL, Counting


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """A backbone of two convolutions instead of a pretrained one, and a cache of the test's own."""
    engine._exported.clear()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    backbone = Counting()
    monkeypatch.setattr(similar, "load_backbone", lambda name, **settings: (backbone, ""))
    return backbone


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return folder(tmp_path / "data", {"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2})


@pytest.fixture
def run(root: Path, tmp_path: Path) -> hs.Run:
    """A finished run, but for its model: the tiny backbone. Its val are two images of train."""
    made = hs.Run(tmp_path / "runs" / "one")
    dataset = load_data(str(root))
    splits = ["val" if sample.id.startswith("train") and "000" in sample.id else sample.split
              for sample in dataset.samples]
    made.__dict__.update(
        model=SimpleNamespace(backbone=Counting(), preprocessing=SMALL),
        samples=pd.DataFrame({"id": [sample.id for sample in dataset.samples], "split": splits,
                              "sha256": content_hashes(dataset)}),
        data={"format": "class_folders", "task": "classification", "classes": ["a", "b"]},
        job=SimpleNamespace(data=str(root), reader={}, skip_bad=False))
    return made



def searched(origin: object, images: list[Path], **settings: object) -> similar.Similar:
    return similar.find_similar(origin, images, listen=silent, **settings)


def by_hand(features: np.ndarray, query: np.ndarray) -> np.ndarray:
    mean = features.astype(np.float64).mean(axis=0)
    centred, own = features - mean, query - mean
    return centred @ own / np.linalg.norm(centred, axis=1) / np.linalg.norm(own)


def test_neighbours_are_those_of_comparing_all_by_hand(root: Path, tiny: Counting, tmp_path: Path) -> None:
    query = folder(tmp_path / "new", {"x": 1}, seed=99) / "x/000.png"
    data = load_data(str(root))
    store = similar.FeatureStore(tmp_path / "own", images=len(data))
    features = store.features(tiny, SMALL, data, listen=silent)
    wanted = store.features(tiny, SMALL, similar.replace(data, samples=(similar.Sample("q", query, None),)),
                            listen=silent)
    cosines = by_hand(features, wanted[0])
    expected = np.argsort(-cosines)[:4]
    found = searched(str(root), [query], count=4).neighbours[0]
    assert [item.id for item in found] == [data.samples[i].id for i in expected]
    assert [item.cosine for item in found] == pytest.approx(cosines[expected], abs=1e-5)
    assert [item.labels for item in found] == [(data.classes[data.samples[i].label],) for i in expected]
    assert [item.path for item in found] == [str(data.samples[i].source) for i in expected]
    assert not any(item.same for item in found)


def test_blocks_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    whole = nearest(features, features[:9], centre(features), 5, apart=(np.arange(len(features)), np.arange(9)))
    monkeypatch.setattr("headstart.neighbours.BLOCK", 7)
    parts = nearest(features, features[:9], centre(features), 5, apart=(np.arange(len(features)), np.arange(9)))
    assert (whole[1] == parts[1]).all()
    assert whole[0] == pytest.approx(parts[0])
    assert not (whole[1] == np.arange(9)[:, None]).any()


def test_an_image_of_the_data_and_its_copy_are_told_as_the_same(root: Path, tmp_path: Path) -> None:
    query = Path(shutil.copy(root / "train/a/001.png", tmp_path / "elsewhere.png"))
    shutil.copy(query, root / "train/b/copy.png")
    found = searched(str(root), [query], count=3)
    assert [(item.id, item.same) for item in found.neighbours[0][:2]] == [("train/a/001.png", True),
                                                                          ("train/b/copy.png", True)]
    assert [item.cosine for item in found.neighbours[0][:2]] == pytest.approx([1, 1])
    assert not found.neighbours[0][2].same
    assert found.to_json()["images"][0]["in_data"]


def test_nothing_is_computed_twice(root: Path, tiny: Counting) -> None:
    first = searched(str(root), [root / "train/a/000.png"])
    runs = tiny.runs
    assert searched(str(root), [root / "train/b/000.png"], split="train").neighbours
    assert searched(str(root), [root / "train/a/000.png"]).neighbours == first.neighbours
    assert tiny.runs == runs == 16


def test_a_run_is_searched_in_train_by_its_own_splits(run: hs.Run, root: Path) -> None:
    image = root / "train/a/000.png"
    ids = {item.id for item in searched(run, [image], count=99).neighbours[0]}
    assert ids == {f"train/{name}/{number:03d}.png" for name in "ab" for number in range(1, 6)}
    assert [item.split for item in searched(run, [image], count=1, split="val").neighbours[0]] == ["val"]
    assert len(searched(run, [image], count=99, split="all").neighbours[0]) == 16


def test_moved_or_changed_data_of_a_run_are_refused(run: hs.Run, root: Path) -> None:
    image = root / "test/a/000.png"
    (root / "train/a/003.png").unlink()
    shutil.copy(root / "train/a/004.png", root / "train/a/005.png")
    with pytest.raises(DataError, match=r"2 of its 16 images are not what they were:\n  train/a/003.png: gone\n"
                                        r"  train/a/005.png: has changed\n.*headstart verify"):
        searched(run, [image])
    root.rename(root.with_name("moved"))
    with pytest.raises(DataError, match=r"its data can't be read from .*data any more: .*no such file or folder"):
        searched(run, [root.with_name("moved") / "test/a/000.png"])


def test_a_run_takes_its_own_backbone_only(run: hs.Run, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a run, and is searched by its own backbone\. Leave the option out"):
        searched(run, [root / "test/a/000.png"], backbone="resnet18")


def test_every_image_that_cannot_be_read_is_named(root: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copy(root / "train/a/000.png", tmp_path / "broken.png"))
    truncate(broken)
    with pytest.raises(DataError, match=r"(?s)2 of 3 images to look for can't be read:.*nowhere.png.*broken.png.*"
                                        "Correct the paths"):
        searched(str(root), [tmp_path / "nowhere.png", broken, root / "train/a/000.png"])


def test_a_broken_image_of_the_data_is_named_with_what_to_do(root: Path) -> None:
    truncate(root / "train/a/002.png")
    with pytest.raises(DataError, match=r"(?s)002.png.*one of the images of .*`headstart check` lists"):
        searched(str(root), [root / "train/a/000.png"])


@pytest.mark.parametrize(("settings", "message"), [
    ({"split": "tran"}, 'unknown split "tran". Choices: train, val, test, all'),
    ({"split": "val"}, "--split val: the data have test, train"),
    ({"count": 0}, "needs at least one neighbour")])
def test_wrong_settings_are_told(root: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        searched(str(root), [root / "train/a/000.png"], **settings)


def test_a_folder_without_labels_is_searched_too(root: Path, tmp_path: Path) -> None:
    place = tmp_path / "heap"
    place.mkdir()
    for number, path in enumerate(sorted(root.rglob("*.png"))[:6]):
        (place / f"{number}.png").write_bytes(path.read_bytes())
    first = hs.similar(str(place), [place / "3.png"], 2)[0]
    assert (first[0].id, first[0].same, first[0].labels) == ("3.png", True, ())
    with pytest.raises(ConfigError, match="have no splits of their own"):
        hs.similar(str(place), [place / "3.png"], 2, split="val")


def test_no_image_at_all_is_told(root: Path) -> None:
    with pytest.raises(ConfigError, match="no image to look for"):
        searched(str(root), [])


def test_in_python_a_list_for_each_image(root: Path) -> None:
    images = [root / "train/a/000.png", root / "test/b/001.png"]
    found = hs.similar(root, images, 2)
    assert [[len(line), line[0].id, line[0].same] for line in found] == [
        [2, "train/a/000.png", True], [2, "test/b/001.png", True]]
    assert hs.similar(load_data(str(root)), images[0], 2) == found[:1]


def test_an_unfinished_run_says_so(tmp_path: Path, root: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"status": "failed"}')
    with pytest.raises(ConfigError, match=r"this run is failed, it has no model.safetensors yet. Go on with"):
        hs.similar(tmp_path / "run", [root / "train/a/000.png"])


def test_the_page_holds_its_pictures_and_asks_for_nothing(root: Path, tmp_path: Path) -> None:
    (root / "train/a/000.png").rename(root / "train/a/<b>.png")
    found = searched(str(root), [root / "train/a/<b>.png"], count=3)
    (root / "train/b/000.png").write_bytes(b"")
    write_similar_page(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img src=\"data:image/jpeg;base64,") + page.count('class="gone"') == 4
    assert "<b>.png" not in page
    assert "the same image" in page
    assert "This image is in the data itself: train/a/&lt;b&gt;.png." in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_a_run_takes_no_settings_of_how_images_are_seen(run: hs.Run, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"image_size=64: .* its images are read and seen as it did"):
        searched(run, [root / "test/a/000.png"], assignments=["image_size=64"])
    with pytest.raises(ConfigError, match="skip_bad=True"):
        searched(run, [root / "test/a/000.png"], skip_bad=True)
