"""Rows on the feature cache: stale, torn, flipped, written by two, killed, on a full disk."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

from headstart.data.transforms import Preprocessing
from headstart.events import Event, Note, Progress, Started
from headstart.features import engine, store
from headstart.features.store import FeatureStore
from tests.faults.matrix import row
from tests.features.conftest import SMALL, Counting, dataset_of

ROOT = Path(__file__).parents[2]
WRITER = """
import sys, time
from pathlib import Path
from headstart.events import silent
from headstart.features import store
from tests.features.conftest import SMALL, Counting, dataset_of

store.SHARD_ROWS, pause = 8, float(sys.argv[3])
flush = store._Writer.flush
store._Writer.flush = lambda self: (flush(self), time.sleep(pause))
store.FeatureStore(Path(sys.argv[2])).features(Counting(), SMALL, dataset_of(sorted(Path(sys.argv[1]).iterdir())),
                                               listen=silent)
"""


@contextlib.contextmanager
def room(folder: Path) -> Iterator[list[Path]]:
    """Give sixty pictures in `folder/pictures`, with a user cache of their own."""
    rng = np.random.default_rng(1)
    (folder / "pictures").mkdir()
    paths = [folder / "pictures" / f"{i:03}.png" for i in range(60)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    with mock.patch.dict(os.environ, HEADSTART_CACHE=str(folder / "user_cache")):
        engine._exported.clear()
        yield paths


def features(folder: Path, paths: list[Path], backbone: Counting | None = None, preprocessing: Preprocessing = SMALL,
             *, cache: str = "cache") -> tuple[np.ndarray, int, list[str]]:
    """Return the features, how many were computed, and the notes."""
    heard: list[Event] = []
    found = FeatureStore(folder / cache).features(backbone or Counting(), preprocessing, dataset_of(paths),
                                                  listen=heard.append)
    computed = sum(event.total or 0 for event in heard if isinstance(event, Started))
    return found, computed, [event.text for event in heard if isinstance(event, Note)]


def written_by_another(folder: Path, *, pause: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, folder / "pictures", folder / "cache", str(pause)], cwd=ROOT)


def shards_in(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("*/*.safetensors"))


@row(5, "cached image with a flipped byte")
def flipped_image_byte(folder: Path) -> None:
    with room(folder) as paths:
        before, _, _ = features(folder, paths)
        picture = np.array(Image.open(paths[3]))
        picture[0, 0, 0] ^= 128
        Image.fromarray(picture).save(paths[3])
        after, computed, _ = features(folder, paths)
        assert computed == 1
        assert not np.array_equal(before[3], after[3])
        assert np.array_equal(np.delete(before, 3, 0), np.delete(after, 3, 0))


@row(38, "stale cache after an edited image of the same size and time")
def stale_image(folder: Path) -> None:
    with room(folder) as paths:
        bitmap = paths[0].with_suffix(".bmp")
        Image.open(paths[0]).save(bitmap)
        data = [bitmap, *paths[1:]]
        features(folder, data)
        times = bitmap.stat()
        content = bytearray(bitmap.read_bytes())
        content[-8] ^= 255
        bitmap.write_bytes(content)
        os.utime(bitmap, ns=(times.st_atime_ns, times.st_mtime_ns))
        _, computed, _ = features(folder, data)
        assert computed == 1


@row(38, "stale cache after one changed weight")
def stale_weights(folder: Path) -> None:
    with room(folder) as paths:
        before, _, _ = features(folder, paths)
        other = Counting()
        with torch.no_grad():
            other.body[0].weight[0, 0, 0, 0] += 0.5
        after, computed, _ = features(folder, paths, other)
        assert computed == 60
        assert not np.array_equal(before, after)


@row(38, "stale cache after another transform")
def stale_transform(folder: Path) -> None:
    with room(folder) as paths:
        features(folder, paths)
        for change in ({"interpolation": "nearest"}, {"crop_fraction": 0.5}, {"std": (0.5, 0.5, 0.5)}):
            assert features(folder, paths, None, SMALL.model_copy(update=change))[1] == 60
        assert features(folder, paths)[1] == 0


@row(38, "a class name is no part of a feature")
def other_class_name(folder: Path) -> None:
    with room(folder) as paths:
        features(folder, paths)
        heard: list[Event] = []
        renamed = replace(dataset_of(paths), classes=("x", "y"))
        FeatureStore(folder / "cache").features(Counting(), SMALL, renamed, listen=heard.append)
        assert [event.total for event in heard if isinstance(event, Started)] == [0]


@row(39, "cache shard flipped in any region")
def flipped_shard(folder: Path) -> None:
    with room(folder) as paths:
        expected, _, _ = features(folder, paths)
        size = shards_in(folder)[0].stat().st_size
        for place in range(0, size, size // 7):
            shard = shards_in(folder)[0]
            data = bytearray(shard.read_bytes())
            data[place] ^= 1
            shard.write_bytes(data)
            found, computed, notes = features(folder, paths)
            assert computed == 60
            assert "damaged; they are dropped and computed again" in notes[0]
            assert np.array_equal(found, expected)


@row(39, "cache shard torn")
def torn_shard(folder: Path) -> None:
    with room(folder) as paths:
        expected, _, _ = features(folder, paths)
        size = shards_in(folder)[0].stat().st_size
        for length in (0, 7, size // 2, size - 1):
            os.truncate(shards_in(folder)[0], length)
            found, computed, notes = features(folder, paths)
            assert (computed, len(notes)) == (60, 1)
            assert np.array_equal(found, expected)
        assert features(folder, paths)[1:] == (0, [])


@row(39, "two writers of one cache, one of them killed")
def two_writers(folder: Path) -> None:
    with room(folder) as paths:
        first, second = written_by_another(folder, pause=0.5), written_by_another(folder, pause=0.01)
        until = time.monotonic() + 120
        while len(shards_in(folder)) < 2 and first.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        first.kill()
        assert first.wait() == -signal.SIGKILL
        assert shards_in(folder)
        assert second.wait(timeout=120) == 0
        found, computed, notes = features(folder, paths)
        assert (computed, notes) == (0, [])
        assert np.array_equal(found, features(folder, paths, cache="other")[0])


@row(39, "extraction stopped halfway")
def stopped_halfway(folder: Path) -> None:
    with room(folder) as paths, mock.patch.object(store, "SHARD_ROWS", 8):
        def stop(event: Event) -> None:
            if isinstance(event, Progress) and event.done >= 30:
                raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            FeatureStore(folder / "cache").features(Counting(), SMALL, dataset_of(paths), listen=stop)
        assert len(shards_in(folder)) == 4
        found, computed, notes = features(folder, paths)
        assert (computed, notes) == (60 - 32, [])
        assert np.array_equal(found, features(folder, paths, cache="other")[0])


@row(39, "disk full while the cache is written")
def full_disk(folder: Path) -> None:
    with room(folder) as paths:
        expected, _, _ = features(folder, paths)
        for shard in shards_in(folder):
            shard.unlink()
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch("os.fsync", side_effect=full):
            found, computed, notes = features(folder, paths)
        assert (computed, len(notes), shards_in(folder)) == (60, 1, [])
        assert "the disk is full" in notes[0]
        assert np.array_equal(found, expected)
