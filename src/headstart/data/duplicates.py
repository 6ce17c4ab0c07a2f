"""Duplicates: images with the same pixels, and images that look the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headstart.data.dataset import Dataset
from headstart.data.findings import CheckReport

# N images, P pairs

SIDE = 32
"""Height and width of the thumbnail that the perceptual hash is taken from."""
NEAR_BITS = 4
"""Two images are near duplicates if at most this many of the 64 bits of their hashes differ ..."""
NEAR_CORRELATION = 0.95
"""... and their thumbnails correlate at least so well: similar scenes can share a hash, copies share the picture."""
FLAT = 4.0
"""Grey-level deviation of a thumbnail below which its hash is noise, and finds no near duplicates."""
BLOCK = 4096
"""Thumbnails that are turned into floating point at a time."""


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Return the grey thumbnail, uint8 [SIDE, SIDE], of uint8 [H, W, 3]; the aspect ratio is given up."""
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0))


def perceptual_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return uint64 [N], 64 bits each: which of the 8 x 8 lowest cosine frequencies exceed their median.

    thumbnails: uint8 [N, SIDE, SIDE]. The first bit is the most significant, row by row.
    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1.
    """
    hashes = np.empty(len(thumbnails), np.uint64)
    for start in range(0, len(thumbnails), BLOCK):
        frequencies = dctn(thumbnails[start:start + BLOCK].astype(np.float32), type=2, axes=(1, 2))
        low = frequencies[:, :8, :8].reshape(-1, 64)
        bits = low > np.median(low, axis=1, keepdims=True)
        hashes[start:start + BLOCK] = np.packbits(bits, axis=1).view(">u8").ravel()
    return hashes


def close_pairs(hashes: np.ndarray, *, bits: int = NEAR_BITS, labels: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield blocks int64 [P, 2] of positions (i, j) whose hashes differ in at most `bits` bits, each at least once.

    hashes: uint64 [N]. Memory is O(N): the 64 bits are dealt into `bits` + 2 pieces, of which two close hashes share
    at least two, so that only hashes which agree in a pair of pieces (there are 15) are compared.
    labels: int64 [N], which the caller may change between blocks: pairs of equal labels need not be yielded, so that
    a burst of N frames that are linked after a few comparisons does not cost N² of them.
    """
    pieces = [sum(1 << bit for bit in range(start, 64, bits + 2)) for start in range(bits + 2)]
    for first, second in combinations(pieces, 2):
        keys = hashes & np.uint64(first | second)
        order = np.argsort(keys, kind="stable")
        keys, ordered = keys[order], hashes[order]
        left, gap = np.arange(len(hashes)), 1
        while len(left):
            if labels is not None and gap & (gap - 1) == 0:
                left = left[_mixed(keys, labels[order])[left]]
            left = left[left + gap < len(hashes)]
            left = left[keys[left] == keys[left + gap]]
            close = left[np.bitwise_count(ordered[left] ^ ordered[left + gap]) <= bits]
            if len(close):
                yield np.stack([order[close], order[close + gap]], axis=1)
            gap += 1


def _mixed(keys: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return bool [N]: whether the run of equal keys that each is in holds two labels. keys: sorted, [N]."""
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    mixed = np.minimum.reduceat(labels, starts) != np.maximum.reduceat(labels, starts)
    return np.repeat(mixed, np.diff(np.r_[starts, len(keys)]))


def exact_sets(keys: Sequence[Hashable]) -> list[list[int]]:
    """Return the positions that share a key, a list for each key that occurs more than once, in order."""
    positions: dict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        positions[key].append(position)
    return [members for members in positions.values() if len(members) > 1]


def near_sets(thumbnails: np.ndarray) -> list[list[int]]:
    """Return sets of positions of images that look the same; in a set each is near at least one other.

    thumbnails: uint8 [N, SIDE, SIDE]. Flat pictures are in no set.
    """
    blocks = (thumbnails[start:start + BLOCK] for start in range(0, len(thumbnails), BLOCK))
    usable = np.flatnonzero([deviation >= FLAT for block in blocks for deviation in block.std(axis=(1, 2))])
    hashes = perceptual_hashes(thumbnails[usable])
    labels = np.arange(len(usable))
    for pairs in close_pairs(hashes, labels=labels):
        pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
        pairs = pairs[correlation(thumbnails, usable[pairs]) >= NEAR_CORRELATION]
        if len(pairs):
            labels[:] = _joined(labels, pairs)
    return [usable[members].tolist() for members in exact_sets(labels.tolist())]


def united(sets: Sequence[Sequence[int]], count: int) -> list[list[int]]:
    """Return sets of positions 0..count-1 in which those that share one are one, each in order."""
    pairs = np.array([link for members in sets for link in pairwise(members)], np.int64).reshape(-1, 2)
    return exact_sets(_joined(np.arange(count), pairs).tolist())


def correlation(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return float32 [P] in -1..1: how well the thumbnails of each pair agree, whatever their brightness and contrast.

    thumbnails: uint8 [N, SIDE, SIDE], none of one colour. pairs: int64 [P, 2].
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    result = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), BLOCK):
        sides = [flat[pairs[start:start + BLOCK, side]].astype(np.float32) for side in (0, 1)]
        first, second = (side - side.mean(axis=1, keepdims=True) for side in sides)
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        result[start:start + BLOCK] = (first * second).sum(axis=1) / norms
    return result


def group_duplicates(dataset: Dataset, report: CheckReport, *, near: bool = False) -> Dataset:
    """Return the data with exact duplicates in one group, so that no split can part them.

    Groups that share an image become one group. near: unite images that look the same as well.
    """
    sets = report.near_sets + report.exact_sets if near else report.exact_sets
    return merge_groups(dataset, sets)


def merge_groups(dataset: Dataset, sets: Sequence[Sequence[str]]) -> Dataset:
    """Return the data in which the samples of each set of ids, and all that share a group with them, are one group.

    The group takes the smallest name of those that it was made from. Ids that are not in the data are passed over.
    """
    position = {sample.id: row for row, sample in enumerate(dataset.samples)}
    chains = [[position[name] for name in names if name in position] for names in sets]
    touched = {row for chain in chains for row in chain}
    if not touched:
        return dataset
    by_group: dict[str, list[int]] = defaultdict(list)
    for row, sample in enumerate(dataset.samples):
        if sample.group is not None:
            by_group[sample.group].append(row)
    chains += by_group.values()
    pairs = np.array([link for chain in chains for link in pairwise(chain)], np.int64).reshape(-1, 2)
    labels = _joined(np.arange(len(dataset)), pairs)
    names: dict[int, str] = {}
    for row, sample in enumerate(dataset.samples):
        name = sample.group if sample.group is not None else sample.id
        names[labels[row]] = min(names.get(labels[row], name), name)
    united = {label for label, count in zip(*np.unique(labels, return_counts=True), strict=True) if count > 1}
    samples = tuple(replace(sample, group=names[labels[row]]) if labels[row] in united else sample
                    for row, sample in enumerate(dataset.samples))
    return replace(dataset, samples=samples)


def _joined(labels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return int64 [N] component numbers after the components of each pair are united."""
    count = len(labels)
    links = (labels[pairs[:, 0]], labels[pairs[:, 1]])
    graph = coo_array((np.ones(len(pairs), np.int8), links), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)[labels]
