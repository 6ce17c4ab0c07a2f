"""How many planted copies `headstart check` finds, by the perceptual hash, by features, and by either.

    python benchmarks/bench_lookalikes.py [../shared/data]

Of each set 60 images are taken by seed, and a copy of each is planted, one kind of change after the other. Besides, the
pairs that the features find in the set as it is are counted, and written as a page of pictures to look at
(lookalikes-SET.html in the folder given by --pages). Sets that are not there are left out. The result goes to
results/lookalikes.json.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from headstart.backbones.resolve import load
from headstart.data.dataset import Dataset
from headstart.data.duplicates import near_sets, thumbnail
from headstart.data.fingerprint import content_hashes
from headstart.digits import write_digits
from headstart.events import silent
from headstart.images import decode
from headstart.selection.lookalikes import lookalikes
from headstart.selection.page import Page, Picture, Section, write_page
from headstart.selection.similar_page import small
from headstart.types import Sample

RESULTS = Path(__file__).parent / "results" / "lookalikes.json"
PLANTED, MOST = 60, 600
PHOTOGRAPHS = {".jpg", ".jpeg", ".png"}
"""Hymenoptera also holds one GIF, the placeholder of a photo that was not found."""
SETS = {"hymenoptera": "hymenoptera", "webcam": "office_caltech10/webcam", "brain_mri": "brain_mri"}
Change = Callable[[Image.Image], Image.Image]
Pairs = set[frozenset[str]]


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    left, top = round(width * 0.15 / 2), round(height * 0.15 / 2)
    return image.crop((left, top, width - left, height - top))


def jpeg(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=20)
    return Image.open(data).convert("RGB")


def halved(image: Image.Image) -> Image.Image:
    half = (max(1, image.width // 2), max(1, image.height // 2))
    return image.resize(half, Image.Resampling.BICUBIC).resize(image.size, Image.Resampling.BICUBIC)


KINDS: dict[str, Change] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cropped to 85%": cropped,
    "turned by 3 degrees": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
    "brightness 1.4": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "contrast 0.6": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "gamma 1.6": lambda image: image.point([round(255 * (v / 255) ** 1.6) for v in range(256)] * 3),
    "half size and back": halved,
    "JPEG quality 20": jpeg,
}


def sets(root: Path, work: Path) -> Iterator[tuple[str, list[Path], np.ndarray]]:
    """Yield each set's name, files, and the rows of those that get a copy."""
    rng = np.random.default_rng(0)
    folders = {name: root / place for name, place in SETS.items()} | {"digits": write_digits(work / "digits")}
    for name, folder in folders.items():
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTOGRAPHS)
        if not files:
            print(f"{name}: {folder} is not there, left out", file=sys.stderr)
            continue
        if len(files) > MOST:
            files = [files[i] for i in sorted(rng.choice(len(files), MOST, replace=False))]
        yield name, files, np.sort(rng.choice(len(files), PLANTED, replace=False))


def dataset_of(paths: list[Path]) -> Dataset:
    return Dataset(tuple(Sample(str(path), path, 0) for path in paths), ("a", "b"), "classification", "class_folders")


def found_by(paths: list[Path], thumbnails: np.ndarray, backbone: Any) -> tuple[Pairs, Pairs]:
    """Return the pairs that share a set of the hash, and those that the features find; equal bytes are one image."""
    dataset = dataset_of(paths)
    first: dict[str, str] = {}
    name = [first.setdefault(digest, str(path)) for path, digest in zip(paths, content_hashes(dataset), strict=True)]
    by_hash = {frozenset((name[i], name[j])) for members in near_sets(thumbnails) for i in members for j in members
               if name[i] != name[j]}
    return by_hash, {frozenset(pair) for pair in lookalikes(dataset, backbone, listen=silent)}


def measure(files: list[Path], chosen: np.ndarray, work: Path, backbone: Any) -> tuple[dict[str, Any], list[list[str]]]:
    """Return the row of one set, and the pairs of the set as it is that the features find."""
    thumbnails = [thumbnail(decode(path)) for path in files]
    by_hash, by_features = found_by(files, np.stack(thumbnails), backbone)
    digests = dict(zip(map(str, files), content_hashes(dataset_of(files)), strict=True))
    first = {digest: name for name, digest in reversed(digests.items())}
    row: dict[str, Any] = {"images": len(files), "pairs_by_hash": len(by_hash), "pairs_by_features": len(by_features),
                           "pairs_by_features_only": len(by_features - by_hash), "recall": {}}
    for kind, change in KINDS.items():
        copies = [work / kind / f"{place:04d}.png" for place in chosen]
        copies[0].parent.mkdir(parents=True, exist_ok=True)
        for place, copy in zip(chosen, copies, strict=True):
            change(Image.fromarray(decode(files[place]))).save(copy)
        both = np.stack(thumbnails + [thumbnail(decode(copy)) for copy in copies])
        ways = found_by([*files, *copies], both, backbone)
        wanted = [frozenset((first[digests[str(files[place])]], str(copy)))
                  for place, copy in zip(chosen, copies, strict=True)]
        hits = np.array([[pair in way for way in ways] for pair in wanted])
        row["recall"][kind] = {"hash": round(float(hits[:, 0].mean()), 3),
                               "features": round(float(hits[:, 1].mean()), 3),
                               "either": round(float(hits.any(axis=1).mean()), 3)}
    return row, [sorted(pair) for pair in sorted(by_features, key=sorted)]


def write_pairs(path: Path, name: str, pairs: list[list[str]]) -> None:
    parts = [Section(f"Pair {number}", pictures=[Picture(small(Path(one)), Path(one).name) for one in pair])
             for number, pair in enumerate(pairs, start=1)]
    write_page(path, Page("Lookalikes by features", name, f"{len(pairs)} pairs", ["Which of them are copies?"], parts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--pages", type=Path)
    settings = parser.parse_args()
    backbone, _ = load()
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, files, chosen in sets(settings.data, Path(folder)):
            rows[name], pairs = measure(files, chosen, Path(folder) / name, backbone)
            print(name, json.dumps(rows[name]), flush=True)
            if settings.pages:
                write_pairs(settings.pages / f"lookalikes-{name}.html", name, pairs)
    RESULTS.write_text(json.dumps({
        "command": "python benchmarks/bench_lookalikes.py", "date": datetime.now(UTC).isoformat("T", "minutes"),
        "backbone": backbone.spec.architecture, "sets": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
