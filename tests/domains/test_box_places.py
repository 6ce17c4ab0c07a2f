"""Places of boxes: what is there, what a detector says there, and where one looks, against loops over pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.domains import place_sample
from headstart.domains.box_places import BoxPlaces, cut, scores_at
from headstart.domains.guarding import has_ground
from headstart.domains.judging import carried
from headstart.domains.place_sample import PlaceSample, spread
from headstart.domains.places import UNKNOWN
from headstart.methods.finetune import Finetune
from headstart.types import Instance, Sample
from tests.detectors import ON_ANY_BACKBONE
from tests.training.small import Events, context
from tests.training.test_box_lesson import CLASSES, model, splits
from tests.training.test_box_target_lessons import parts


def places(*objects: Instance, classes: tuple[str, ...] = CLASSES, folder: Path = Path()) -> BoxPlaces:
    dataset = splits(folder, train=1, val=0).train
    return BoxPlaces(replace(dataset, classes=classes, samples=(Sample("a", Path("a"), None, objects=objects),)))


def slow_class(x: int, y: int, boxes: list[tuple[tuple[float, ...], int]], ground: int) -> int:
    """The class of the smallest box around the middle of a pixel."""
    around = [((box[2] - box[0]) * (box[3] - box[1]), label) for box, label in boxes
              if box[0] <= x + 0.5 < box[2] and box[1] <= y + 0.5 < box[3]]
    return min(around)[1] if around else ground


def random_boxes(rng: np.random.Generator, count: int) -> list[tuple[tuple[float, ...], int]]:
    found = []
    for _ in range(count):
        left, top = rng.uniform(-4, 30, 2)
        found.append(((left, top, left + rng.uniform(1, 20), top + rng.uniform(1, 15)), int(rng.integers(2))))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_at_each_pixel_is_the_smallest_box_around_its_middle(seed, tmp_path):
    boxes = random_boxes(np.random.default_rng(seed), 6)
    objects = tuple(Instance(label, tuple(2 * side for side in box)) for box, label in boxes)
    found = places(*objects, folder=tmp_path).known(Sample("a", Path("a"), None, objects=objects), (48, 72), (24, 36))
    expected = [[slow_class(x, y, boxes, 2) for x in range(36)] for y in range(24)]
    np.testing.assert_array_equal(found, expected)


def test_of_a_crowd_nothing_is_known_but_the_objects_in_it(tmp_path):
    objects = (Instance(1, (2, 2, 4, 4)), Instance(0, (0, 0, 6, 6), crowd=True), Instance(0, (1, 8, 5, 9)))
    found = places(*objects, folder=tmp_path).known(Sample("a", Path("a"), None, objects=objects), (10, 10), (10, 10))
    assert found[3, 3] == 1
    assert found[5, 5] == found[0, 0] == UNKNOWN
    assert found[8, 2] == 0
    assert found[9, 9] == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_detector_says_of_each_class_the_highest_score_around_the_place(seed):
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, 8), rng.random(8).astype(np.float32)
    where = rng.integers(0, 24, (30, 2))
    found = scores_at(where, np.array([box for box, _ in boxes]), scores, np.array([label for _, label in boxes]),
                      classes=3)
    for row, (y, x) in enumerate(where.tolist()):
        for label in range(3):
            around = [score for (box, kind), score in zip(boxes, scores, strict=True) if kind == label
                      and box[0] <= x + 0.5 < box[2] and box[1] <= y + 0.5 < box[3]]
            assert found[row, label] == pytest.approx(max(around, default=0.0))


def test_without_boxes_nothing_is_said():
    found = scores_at(np.array([[1, 2]]), np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, np.int64), classes=2)
    assert found.tolist() == [[0, 0]]


def test_the_cut_is_where_most_places_are_right():
    scores = np.array([[0.6, 0.1], [0.4, 0.3], [0.3, 0.0], [0.05, 0.2], [0.0, 0.0]], np.float32)
    labels = np.array([0, 0, 2, 2, 2])
    assert cut(scores, labels) == pytest.approx(np.mean([0.31, 0.4]), abs=0.005)
    slow = {at / 100: sum(int(said.argmax()) == label if said.max() >= np.float32(at / 100) else label == 2
                          for said, label in zip(scores.astype(float), labels, strict=True)) for at in range(1, 100)}
    best = [at for at, right in slow.items() if right == max(slow.values())]
    assert min(best) <= cut(scores, labels) <= max(best)


def test_of_best_cuts_that_lie_apart_the_middle_one_between_them_is_not_taken():
    scores, labels = np.array([[0.195], [0.195], [0.8], [0.8]], np.float32), np.array([0, 0, 1, 1])
    # Up to 0.19 the first two are right, from 0.81 on the last two, and in between none.
    assert cut(scores, labels) == pytest.approx(np.mean([0.01, 0.19]), abs=0.005) or cut(
        scores, labels) == pytest.approx(np.mean([0.81, 0.99]), abs=0.005)


def test_an_answer_is_how_far_a_score_lies_above_the_cut(tmp_path):
    asked = places(folder=tmp_path)
    held, labels = np.array([[0.2, 0.0], [0.1, 0.0]], np.float32), np.array([0, 2])
    at = cut(held, labels)
    found = asked.logits(np.array([[at, 0.5], [0.0, 0.0]], np.float32), held, labels)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found[0], [0, -np.log(at / (1 - at)), 0], atol=1e-5)
    assert found[1].argmax() == 2
    assert np.isfinite(found).all()


def test_half_of_the_places_lie_on_objects_as_far_as_there_are_such():
    classes = np.full((20, 20), 2)
    classes[:5, :4], classes[19] = 0, UNKNOWN
    found = spread(classes, 2, 16, np.random.default_rng(0))
    assert len({tuple(place) for place in found.tolist()}) == 16
    on = classes[found[:, 0], found[:, 1]]
    assert (on != UNKNOWN).all()
    assert (on[:8] == 0).all()
    few = spread(classes, 2, 100, np.random.default_rng(0))
    assert (classes[few[:, 0], few[:, 1]] == 0).sum() == 20
    assert len(few) == 100
    same = spread(classes, 2, 16, np.random.default_rng(0))
    np.testing.assert_array_equal(same, found)


# The sample

@pytest.mark.parametrize("detector", ON_ANY_BACKBONE)
def test_every_detector_gives_evidence_at_the_same_places(detector, tmp_path):
    start, apart = model(detector), parts(tmp_path)
    sample = PlaceSample(start, apart, context(tmp_path, Events()))
    found = sample.of(start)
    assert found.target_logits.shape == (6 * place_sample.DENSEST, 3)
    assert len(found.target_features) == len(found.target_logits)
    assert set(found.source_labels.tolist()) == {0, 1, 2}
    assert np.isfinite(found.target_logits).all()
    assert np.isfinite(found.train_features).all()
    other = model(detector)
    for parameter in other.head.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    again = sample.of(other)
    np.testing.assert_array_equal(again.target_features, found.target_features)
    np.testing.assert_array_equal(again.source_labels, found.source_labels)


def test_a_detector_that_knows_the_source_carries_over_to_the_same_in_another_light_and_not_to_noise(tmp_path):
    apart, events = parts(tmp_path), Events()
    plan = Finetune.parse({"epochs": 12, "batch_size": 4, "lr_head": 5e-3, "lr_backbone": 2e-3, "augment": "none"})
    start = plan.fit(model(), apart, context(tmp_path / "start", Events()))
    same = replace(apart, target=replace(apart.target, samples=apart.val.samples))
    given = context(tmp_path, events)
    seen = PlaceSample(start, same, given)
    assert carried(seen.of(start)) > 0.5
    assert has_ground("mean_teacher", start, seen, given, guard="reverse_validation", needed=True)
    assert not events.notes()
    for number, sample in enumerate(apart.target.samples):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(sample.source)
    assert not has_ground("mean_teacher", start, PlaceSample(start, apart, given), given,
                          guard="reverse_validation", needed=True)
    assert "mean_teacher: on the target the model is hardly more than guessing" in events.notes()
