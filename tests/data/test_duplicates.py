import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from headstart.data.dataset import Dataset
from headstart.data.duplicates import (
    close_pairs,
    correlation,
    exact_sets,
    merge_groups,
    near_sets,
    perceptual_hashes,
    thumbnail,
)
from headstart.images import decode
from headstart.types import Sample
from tests.data.planted import picture
from tests.shared_data import shared


def slow_hash(small: np.ndarray) -> int:
    """The definition, sum by sum: cosine transform, 8 x 8 lowest frequencies, above their median or not."""
    side = len(small)
    cosine = [[np.cos(np.pi * (2 * x + 1) * u / (2 * side)) for x in range(side)] for u in range(8)]
    low = [sum(float(small[y, x]) * cosine[u][y] * cosine[v][x] for y in range(side) for x in range(side))
           for u in range(8) for v in range(8)]
    return int("".join("1" if value > np.median(low) else "0" for value in low), 2)


def small(image: Image.Image) -> np.ndarray:
    return thumbnail(np.asarray(image.convert("RGB")))


def reencoded(image: Image.Image, *, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data)


def test_hash_equals_the_definition() -> None:
    thumbnails = np.stack([small(picture(seed)) for seed in range(5)])
    assert perceptual_hashes(thumbnails).tolist() == [slow_hash(one) for one in thumbnails]


def test_hash_equals_that_of_imagehash() -> None:
    imagehash = pytest.importorskip("imagehash")
    thumbnails = np.stack([small(picture(seed)) for seed in range(50)])
    reference = [int(str(imagehash.phash(Image.fromarray(one))), 16) for one in thumbnails]
    assert perceptual_hashes(thumbnails).tolist() == reference


def test_index_finds_exactly_the_pairs_that_comparing_all_finds() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 300, dtype=np.uint64)
    flips = np.array([sum(1 << int(bit) for bit in rng.choice(64, rng.integers(0, 9), replace=False))
                      for _ in range(600)], np.uint64)
    hashes = np.concatenate([hashes, hashes[rng.integers(0, 300, 600)] ^ flips])
    found = {tuple(sorted(pair)) for block in close_pairs(hashes, bits=4) for pair in block.tolist()}
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    expected = {(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(distance <= 4, 1)), strict=True)}
    assert len(expected) > 300
    assert found == expected


def test_a_burst_of_frames_is_one_set_without_comparing_all_pairs() -> None:
    noise = np.random.default_rng(0).integers(-3, 4, (3000, 32, 32))
    burst = np.clip(small(picture(0)).astype(int) + noise, 0, 255).astype(np.uint8)
    assert [len(members) for members in near_sets(burst)] == [3000]
    linked = np.zeros(3000, np.int64)
    assert sum(len(block) for block in close_pairs(perceptual_hashes(burst), labels=linked)) == 0


def test_many_pictures_keep_memory_linear() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 50_000, dtype=np.uint64)
    hashes[1] = hashes[40_000] ^ np.uint64(0b1111)
    assert {tuple(sorted(pair)) for block in close_pairs(hashes) for pair in block.tolist()} == {(1, 40_000)}


@pytest.mark.parametrize("seed", range(8))
def test_reencoded_and_resized_copies_are_near(seed: int) -> None:
    original = picture(seed, size=(320, 240))
    copies = [original, reencoded(original, quality=70), original.resize((288, 216)), original.convert("L"),
              original.point(lambda value: int(value * 0.8 + 10))]
    assert near_sets(np.stack([small(image) for image in copies])) == [[0, 1, 2, 3, 4]]


def test_turned_and_different_pictures_are_not_near() -> None:
    images = [*(picture(seed) for seed in range(200)), picture(0).rotate(90, expand=True), picture(0).rotate(180),
              picture(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    assert near_sets(np.stack([small(image) for image in images])) == []


def test_flat_pictures_match_nothing() -> None:
    flat = [Image.new("RGB", (64, 64), (level, level, level)) for level in (0, 100, 255)]
    noisy = [Image.fromarray(np.random.default_rng(seed).integers(126, 130, (64, 64, 3), dtype=np.uint8))
             for seed in range(20)]
    assert near_sets(np.stack([small(image) for image in flat + noisy])) == []


def test_no_picture_at_all_is_no_set() -> None:
    assert near_sets(np.zeros((0, 32, 32), np.uint8)) == []


def test_products_on_white_are_not_taken_for_copies() -> None:
    files = sorted(shared("office_caltech10/amazon/bike").glob("*.jpg"))
    thumbnails = np.stack([thumbnail(decode(file)) for file in files])
    alike = {tuple(sorted(pair)) for block in close_pairs(perceptual_hashes(thumbnails)) for pair in block.tolist()}
    kept = near_sets(thumbnails)
    assert len(alike) > 20  # by the hash alone
    assert max(map(len, kept), default=0) <= 2


def test_correlation_equals_numpy() -> None:
    thumbnails = np.stack([small(picture(seed)) for seed in range(3)])
    expected = np.corrcoef(thumbnails[0].ravel(), thumbnails[2].ravel())[0, 1]
    assert correlation(thumbnails, np.array([[0, 2]]))[0] == pytest.approx(expected, abs=1e-5)


def test_exact_sets_are_the_keys_that_occur_twice() -> None:
    assert exact_sets(["a", "b", "a", "c", "b", "a"]) == [[0, 2, 5], [1, 4]]


def test_merging_unites_the_groups_that_share_a_copy() -> None:
    samples = tuple(Sample(name, lambda: b"", 0, group=group) for name, group in
                    [("a", "p1"), ("b", "p1"), ("c", "p2"), ("d", "p2"), ("e", None), ("f", None), ("g", None)])
    dataset = Dataset(samples, ("x", "y"), "classification", "class_folders")
    merged = merge_groups(dataset, [("b", "c"), ("e", "f"), ("g", "not there")])
    assert [sample.group for sample in merged.samples] == ["p1", "p1", "p1", "p1", "e", "e", None]
    assert merge_groups(dataset, []) is dataset
    assert [replace(sample, group=None) for sample in merged.samples] \
        == [replace(sample, group=None) for sample in samples]
