"""The pixels that validators see of segmenters: which they are, what is known of them, and that masks of a target are
not.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.canvas import on_canvas
from headstart.data.dataset import Splits
from headstart.data.transforms import to_tensor
from headstart.domains import place_sample
from headstart.domains.guarding import keep_better
from headstart.domains.place_sample import PlaceSample
from headstart.errors import DataError
from headstart.events import Judged
from headstart.model import Model
from headstart.types import Sample
from tests.training.small import Events, context, digest
from tests.training.test_mask_lesson import marked, model


def parts(folder: Path, *, ignored: int | None = None) -> Splits:
    """Twelve images to learn from, four to judge by, and six darker ones without masks."""
    dataset = marked(folder / "source", count=16, ignored=ignored)
    (folder / "target").mkdir()
    samples = []
    for number in range(6):
        path = folder / "target" / f"{number}.png"
        pixels = np.asarray(Image.open(folder / "source" / "images" / f"{number:02}.png"))
        Image.fromarray((pixels * 0.6).astype(np.uint8)).save(path)
        samples.append(Sample(path.name, path, None))
    return Splits(dataset.subset(range(12)), dataset.subset(range(12, 16)), dataset.subset([]),
                  target=replace(dataset, samples=tuple(samples)))


@pytest.fixture(scope="module")
def start() -> Model:
    found = model()
    found.head.eval()
    return found


def evidence(start: Model, splits: Splits, folder: Path):
    return PlaceSample(start, splits, context(folder, Events())).of(start)


def test_each_image_gives_as_many_pixels_as_the_part_allows(start, tmp_path):
    found = evidence(start, parts(tmp_path), tmp_path)
    assert len(found.target_features) == len(found.target_logits) == 6 * place_sample.DENSEST
    assert len(found.source_logits) == len(found.source_labels) == 4 * place_sample.DENSEST
    assert len(found.train_features) == len(found.train_labels) == 12 * place_sample.DENSEST


def test_no_part_has_more_pixels_than_validators_look_at(start, tmp_path, monkeypatch):
    monkeypatch.setattr(place_sample, "MOST", 100)
    monkeypatch.setattr(place_sample, "IMAGES", 5)
    found = evidence(start, parts(tmp_path), tmp_path)
    assert [len(part) for part in (found.target_logits, found.source_logits, found.train_features)] == [100, 100, 100]


def test_features_logits_and_labels_are_of_the_same_pixels(start, tmp_path):
    splits = parts(tmp_path)
    sample = PlaceSample(start, splits, context(tmp_path, Events()))
    found, pixels = sample.of(start), sample._val
    first = splits.val.samples[0]
    images = on_canvas([to_tensor(start.preprocessing.whole(np.asarray(Image.open(first.source))))],
                       start.preprocessing)
    with torch.no_grad():
        logits = start.head(start.backbone.maps(images), images)[0]
    mask = np.asarray(Image.open(first.mask.sources[0]))
    for row, (y, x) in enumerate(pixels.places[0].tolist()):
        torch.testing.assert_close(torch.from_numpy(found.source_logits[row]), logits[:, y, x])
        assert found.source_labels[row] == mask[y, x]  # the picture has the size of the input


def test_a_hypercolumn_is_each_map_interpolated_at_the_pixel(start, tmp_path):
    splits = parts(tmp_path)
    sample = PlaceSample(start, splits, context(tmp_path, Events()))
    images = on_canvas([to_tensor(sample._val.pictures[0])], start.preprocessing)
    stride = min(start.head.sources.values())
    with torch.no_grad():
        one = start.backbone.maps(images)[stride]
    large = torch.nn.functional.interpolate(one, size=images.shape[-2:], mode="bilinear", align_corners=False)[0]
    places = torch.from_numpy(sample._val.places[0])
    expected = large[:, places[:, 0], places[:, 1]].T
    found = torch.from_numpy(sample._features[1][:len(places), :expected.shape[1]])
    torch.testing.assert_close(found / found.norm(), expected / expected.norm(), rtol=1e-3, atol=1e-5)


def test_each_map_counts_the_same(start, tmp_path):
    splits = parts(tmp_path)
    found = evidence(start, splits, tmp_path).train_features
    assert found.var(axis=0).sum() == pytest.approx(len(set(start.head.sources.values())), rel=1e-3)


def test_ignored_pixels_are_left_out(start, tmp_path):
    found = evidence(start, parts(tmp_path, ignored=13), tmp_path)
    assert len(found.source_labels) == 3 * place_sample.DENSEST
    assert set(found.source_labels) | set(found.train_labels) == {0, 1}


def test_a_source_of_ignored_pixels_alone_is_refused(start, tmp_path):
    splits = parts(tmp_path, ignored=13)
    with pytest.raises(DataError, match="the val images have no pixel of which a label says"):
        evidence(start, replace(splits, val=splits.val.subset([1])), tmp_path)


def test_the_places_are_those_of_the_seed(start, tmp_path):
    splits = parts(tmp_path)
    places = [PlaceSample(start, splits, context(tmp_path, Events(), seed=seed))._target.places[0]
              for seed in (7, 7, 8)]
    np.testing.assert_array_equal(places[0], places[1])
    assert (places[0] != places[2]).any()


def test_two_models_are_held_against_each_other_among_the_features_of_both(start, tmp_path):
    splits, other = parts(tmp_path), model()
    for parameter in other.backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    sample = PlaceSample(start, splits, context(tmp_path, Events()))
    alone = [PlaceSample(one, splits, context(tmp_path, Events())).of(one) for one in (start, other)]
    for found, one in zip(sample.pair(start, other), (start, other), strict=True):
        for part in ("target_features", "source_features", "train_features"):
            both = np.concatenate([getattr(own, part) for own in alone], axis=1)
            np.testing.assert_array_equal(getattr(found, part), both)
        np.testing.assert_array_equal(found.target_logits, sample.of(one).target_logits)


def test_the_guard_keeps_the_better_and_leaves_both_as_they_were(tmp_path):
    splits, events, start, other = parts(tmp_path), Events(), model(), model()
    torch.nn.init.normal_(other.head.classifier.weight)
    before = digest(start)  # the head is in training mode, in which BatchNorm moves
    given = context(tmp_path, events)
    seen = PlaceSample(start, splits, given)
    kept = keep_better("fda", start, other, seen, given, guard="consistency")
    scores = [event.scores["consistency"] for event in events.of(Judged)]
    assert kept is (other if scores[1] > scores[0] else start)
    assert digest(start) == before
    assert start.head.training
    assert keep_better("fda", start, other, seen, given, guard="none") is other
