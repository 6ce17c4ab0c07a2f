"""Features are computed once, and what is stored is used only for what it was made of."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.data.dataset import Dataset
from headstart.errors import DataError
from headstart.events import Event, Finished, Note, Started, silent
from headstart.features import identity, shards, store
from headstart.features.engine import extract
from headstart.features.store import FeatureStore
from tests.features.conftest import SMALL, Counting, dataset_of


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def computed(cache: Path, backbone: Counting, dataset: Dataset, **settings: object) -> int:
    """How many images the store computes for this dataset."""
    heard: list[Event] = []
    FeatureStore(cache).features(backbone, settings.get("preprocessing", SMALL), dataset,  # type: ignore[arg-type]
                                 listen=heard.append)
    return next(event.total or 0 for event in heard if isinstance(event, Started))


def notes_of(heard: list[Event]) -> list[str]:
    return [event.text for event in heard if isinstance(event, Note)]


def test_stored_features_equal_computed_ones_bit_for_bit(
        cache: Path, backbone: Counting, dataset: Dataset, pictures: list[Path]) -> None:
    expected = extract(backbone, SMALL, pictures, listen=silent)
    first = FeatureStore(cache).features(backbone, SMALL, dataset, listen=silent)
    second = FeatureStore(cache).features(backbone, SMALL, dataset, listen=silent)
    assert first.dtype == np.float32
    assert first.tobytes() == second.tobytes() == expected.tobytes()


@pytest.mark.parametrize("count", [5, 60])
def test_the_second_call_runs_nothing(cache: Path, backbone: Counting, pictures: list[Path], count: int) -> None:
    dataset = dataset_of(pictures[:count])
    FeatureStore(cache).features(backbone, SMALL, dataset, listen=silent)
    runs = backbone.runs
    heard: list[Event] = []
    FeatureStore(cache).features(backbone, SMALL, dataset, listen=heard.append)
    assert backbone.runs == runs
    assert [type(event) for event in heard] == [Started, Finished]


def test_order_and_company_do_not_matter(cache: Path, backbone: Counting, pictures: list[Path]) -> None:
    whole = FeatureStore(cache).features(backbone, SMALL, dataset_of(pictures), listen=silent)
    part = dataset_of(pictures[50:0:-1])
    assert computed(cache, backbone, part) == 0
    found = FeatureStore(cache).features(backbone, SMALL, part, listen=silent)
    assert found.tobytes() == whole[50:0:-1].tobytes()


def test_only_new_images_are_computed(cache: Path, backbone: Counting, pictures: list[Path]) -> None:
    assert computed(cache, backbone, dataset_of(pictures[:50])) == 50
    assert computed(cache, backbone, dataset_of(pictures)) == 10


def test_identical_images_are_computed_once(cache: Path, backbone: Counting, pictures: list[Path]) -> None:
    for copy in pictures[1:6]:
        copy.write_bytes(pictures[0].read_bytes())
    assert computed(cache, backbone, dataset_of(pictures)) == 55
    found = FeatureStore(cache).features(backbone, SMALL, dataset_of(pictures), listen=silent)
    assert all(found[row].tobytes() == found[0].tobytes() for row in range(6))


def test_an_image_inside_a_table_is_the_same_image(cache: Path, backbone: Counting, pictures: list[Path]) -> None:
    FeatureStore(cache).features(backbone, SMALL, dataset_of(pictures), listen=silent)
    whole = dataset_of(pictures[:50])
    held = replace(whole, samples=tuple(replace(s, source=s.source.read_bytes) for s in whole.samples))
    assert computed(cache, backbone, held) == 0


def test_a_moved_folder_is_the_same_data(cache: Path, backbone: Counting, pictures: list[Path]) -> None:
    assert computed(cache, backbone, dataset_of(pictures)) == 60
    moved = pictures[0].parent.rename(pictures[0].parent.with_name("moved"))
    assert computed(cache, backbone, dataset_of(sorted(moved.iterdir()))) == 0


def test_other_weights_transforms_code_or_versions_are_another_key(
        backbone: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    def now(preprocessing=SMALL, engine="exported"):  # type: ignore[no-untyped-def]
        return identity.key(identity.identity(backbone, preprocessing, engine=engine))

    keys = [now(), now(engine="cuda"), now(SMALL.model_copy(update={"size": 17})),
            now(SMALL.model_copy(update={"background": 0})), now(SMALL.model_copy(update={"mean": (0.5, 0.5, 0.5)}))]
    monkeypatch.setattr(identity, "_version", lambda package: "99")
    keys.append(now())
    monkeypatch.setattr(identity, "_text_hash", lambda modules: "edited")
    keys.append(now())
    with torch.no_grad():
        backbone.body[1].running_var[0] += 1e-3
    keys.append(now())
    assert len(set(keys)) == len(keys)


def test_every_module_that_shapes_a_vector_is_in_the_key() -> None:
    assert identity._text_hash(identity.CODE) != identity._text_hash(identity.CODE[1:])
    assert all(Path(__import__(name, fromlist=["_"]).__file__).is_file() for name in identity.CODE)


def test_a_full_disk_costs_the_cache_and_not_the_run(
        cache: Path, backbone: Counting, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    expected = extract(backbone, SMALL, [s.source for s in dataset.samples], listen=silent)
    monkeypatch.setattr(os, "fsync", full)
    heard: list[Event] = []
    found = FeatureStore(cache).features(backbone, SMALL, dataset, listen=heard.append)
    assert found.tobytes() == expected.tobytes()
    assert len(notes_of(heard)) == 1
    assert "features can't be kept" in notes_of(heard)[0]
    assert "The run goes on" in notes_of(heard)[0]
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_made_costs_nothing_either(
        tmp_path: Path, backbone: Counting, dataset: Dataset) -> None:
    (tmp_path / "file").write_text("in the way")
    heard: list[Event] = []
    found = FeatureStore(tmp_path / "file" / "cache").features(backbone, SMALL, dataset, listen=heard.append)
    assert np.isfinite(found).all()
    assert len(notes_of(heard)) == 1


def test_a_large_result_is_a_map_that_leaves_no_file(
        cache: Path, backbone: Counting, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = FeatureStore(cache).features(backbone, SMALL, dataset, listen=silent)
    before = sorted(cache.rglob("*"))
    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 100)
    found = FeatureStore(cache).features(backbone, SMALL, dataset, listen=silent)
    assert isinstance(found, np.memmap)
    assert found.tobytes() == expected.tobytes()
    assert sorted(cache.rglob("*")) == before


def test_a_large_result_without_room_on_disk_is_kept_in_memory(
        cache: Path, backbone: Counting, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 100)
    monkeypatch.setattr(os, "posix_fallocate", full)
    heard: list[Event] = []
    found = FeatureStore(cache).features(backbone, SMALL, dataset, listen=heard.append)
    assert not isinstance(found, np.memmap)
    assert "kept in memory" in notes_of(heard)[0]


def test_what_a_killed_writer_left_is_swept_once_it_is_old(
        cache: Path, backbone: Counting, dataset: Dataset) -> None:
    FeatureStore(cache).features(backbone, SMALL, dataset, listen=silent)
    folder = next(cache.iterdir())
    old, young = folder / ".a.safetensors.tmp-1", folder / ".b.safetensors.tmp-1"
    old.write_bytes(b"torn")
    young.write_bytes(b"being written")
    os.utime(old, (0, 0))
    FeatureStore(cache).features(backbone, SMALL, dataset, listen=silent)
    assert not old.exists()
    assert young.exists()


def test_a_broken_image_is_named(cache: Path, backbone: Counting, pictures: list[Path]) -> None:
    pictures[7].write_bytes(b"GIF89a broken")
    with pytest.raises(DataError, match=r"007\.png"):
        FeatureStore(cache).features(backbone, SMALL, dataset_of(pictures), listen=silent)


def test_a_file_that_changes_while_it_is_read_is_stored_under_its_new_contents(
        cache: Path, backbone: Counting, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset_of(pictures[:5])
    hashes = store.content_hashes(data)
    pictures[2].write_bytes(pictures[40].read_bytes())  # after the scan, before the decoding
    monkeypatch.setattr(store, "content_hashes", lambda dataset: hashes)
    heard: list[Event] = []
    found = FeatureStore(cache).features(backbone, SMALL, data, listen=heard.append)
    monkeypatch.undo()
    assert "002.png changed after the data were scanned" in notes_of(heard)[0]
    np.testing.assert_allclose(found[2], extract(backbone, SMALL, [pictures[40]], listen=silent)[0], atol=1e-6)
    assert computed(cache, backbone, dataset_of([pictures[40]])) == 0


def test_two_threads_may_write_the_same_shard(tmp_path: Path) -> None:
    rows = {f"{i:064x}": np.full(3, i, np.float32) for i in range(50)}
    held = shards.Shards(tmp_path, width=3)
    with ThreadPoolExecutor(8) as pool:
        paths = {future.result() for future in [pool.submit(held.write, rows) for _ in range(16)]}
    assert len(paths) == 1
    assert [len(contents) for contents, _ in held.read(silent)] == [50]
