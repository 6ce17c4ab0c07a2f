"""Masks of objects: COCO's figures by the kept library, panoptic quality by its definition, over random scenes."""

from typing import Any

import numpy as np
import pytest

from headstart.data.run_lengths import compressed, encoded
from headstart.metrics.boxes import detection_metrics, mask_overlaps, segments, truth_of
from headstart.metrics.boxes.precision import NAMES
from headstart.types import Detections, Instance, Rle

SIZE = (120, 160)


def blob(rng: np.random.Generator, around: np.ndarray | None = None) -> np.ndarray:
    """A random ellipse, or one like another."""
    rows, columns = np.ogrid[:SIZE[0], :SIZE[1]]
    if around is None:
        middle, radii = rng.uniform([20, 20], [100, 140]), rng.uniform(4, 40, 2)
    else:
        place = np.argwhere(around)
        middle = place.mean(axis=0) + rng.normal(0, 3, 2)
        radii = np.maximum(3, np.ptp(place, axis=0) / 2 * rng.uniform(0.7, 1.3, 2))
    return (((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2) <= 1


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def scenes(seed: int, images: int = 6, classes: int = 2) -> tuple[list[Detections], list[list[Instance]]]:
    rng = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(images):
        objects, boxes, scores, labels, masks = [], [], [], [], []
        for number in range(int(rng.integers(0, 5))):
            mask = blob(rng)
            label = int(rng.integers(classes))
            objects.append(Instance(label, box_of(mask), crowd=number == 3, rle=encoded(mask)))
            for _ in range(int(rng.integers(0, 3))):
                guess = blob(rng, mask)
                if guess.any():
                    boxes.append(box_of(guess))
                    scores.append(float(rng.random()))
                    labels.append(label if rng.random() < 0.8 else int(rng.integers(classes)))
                    masks.append(encoded(guess))
        order = np.argsort(-np.array(scores), kind="stable").astype(int)
        found.append(Detections(np.array(boxes, np.float32).reshape(-1, 4)[order], np.array(scores, np.float32)[order],
                                np.array(labels, np.int64)[order], tuple(masks[place] for place in order)))
        true.append(objects)
    return found, true


def by_the_library(found: list[Detections], true: list[list[Instance]], classes: int) -> dict[str, float]:
    from faster_coco_eval import COCO, COCOeval_faster

    def rle(mask: Rle) -> dict[str, Any]:
        return {"size": [mask.height, mask.width], "counts": compressed(mask)}

    rows = [(image, one) for image, objects in enumerate(true, 1) for one in objects]
    truth = COCO({"info": {}, "images": [{"id": image, "height": SIZE[0], "width": SIZE[1]}
                                        for image in range(1, len(true) + 1)],
                  "categories": [{"id": c + 1, "name": str(c)} for c in range(classes)],
                  "annotations": [{"id": n, "image_id": image, "category_id": one.label + 1, "iscrowd": int(one.crowd),
                                   "area": float(sum(one.rle.counts[1::2])), "segmentation": rle(one.rle),  # type: ignore[union-attr, arg-type]
                                   "bbox": [one.box[0], one.box[1], one.box[2] - one.box[0], one.box[3] - one.box[1]]}
                                  for n, (image, one) in enumerate(rows, 1)]})
    results = truth.loadRes([{"image_id": image, "category_id": int(label) + 1, "score": float(score),
                              "segmentation": rle(mask)} for image, said in enumerate(found, 1)
                             for score, label, mask in zip(said.scores, said.labels, said.masks or (), strict=True)])
    evaluation = COCOeval_faster(truth, results, "segm", print_function=lambda *_: None)
    evaluation.params.imgIds = list(range(1, len(true) + 1))
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats[:len(NAMES)], strict=True))


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_of_masks_is_that_of_the_kept_library(seed: int) -> None:
    found, true = scenes(seed)
    on = [mask_overlaps(said, objects, SIZE) for said, objects in zip(found, true, strict=True)]
    mine = detection_metrics(found, [truth_of(objects) for objects in true], 2, masks=on)
    for name, value in by_the_library(found, true, 2).items():
        assert mine[name] == pytest.approx(value, abs=1e-9) or (value < 0 and np.isnan(mine[name])), name


def panoptic(found: list[Detections], true: list[list[Instance]], classes: int, least: float) -> float:
    """By the definition, pixel by pixel."""
    from headstart.data.regions import decoded

    values = []
    for c in range(classes):
        shares, right, wrong, missed = 0.0, 0, 0, 0
        for said, objects in zip(found, true, strict=True):
            taken = np.zeros(SIZE, bool)
            segments_: list[tuple[int, np.ndarray]] = []
            for row in range(len(said.scores)):  # the surest first
                mask = decoded(said.masks[row])  # type: ignore[index]
                left = mask & ~taken
                if said.scores[row] >= least and left.sum() >= mask.sum() / 2:
                    segments_.append((int(said.labels[row]), left))
                    taken |= left
            mine = [mask for label, mask in segments_ if label == c]
            theirs = [(decoded(one.rle), one.crowd) for one in objects if one.label == c]  # type: ignore[arg-type]
            hit = set()
            for mask in mine:
                best = [(float((mask & other).sum() / (mask.sum() if crowd else (mask | other).sum())), place, crowd)
                        for place, (other, crowd) in enumerate(theirs)]
                good = sorted((one for one in best if one[0] > 0.5), reverse=True)
                counted = [one for one in good if not one[2]]
                if counted:
                    shares, right = shares + counted[0][0], right + 1
                    hit.add(counted[0][1])
                elif not good:
                    wrong += 1
            missed += sum(not crowd and place not in hit for place, (_, crowd) in enumerate(theirs))
        total = right + wrong / 2 + missed / 2
        if total:
            values.append(shares / total)
    return float(np.mean(values))


@pytest.mark.parametrize("seed", range(6))
def test_panoptic_quality_is_that_of_its_definition(seed: int) -> None:
    found, true = scenes(seed)
    score = segments(found, true, [SIZE] * len(found), [0.3, 0.3]).scorer()
    one = score(np.ones((1, len(found))))
    assert one["pq"][0] == pytest.approx(panoptic(found, true, 2, 0.3))
    assert one["pq"][0] <= min(one["sq"][0], one["rq"][0]) + 1e-9
    rows = [0, 0, *range(1, len(found) - 1)]
    weights = np.bincount(rows, minlength=len(found))[None].astype(float)
    again = panoptic([found[row] for row in rows], [true[row] for row in rows], 2, 0.3)
    assert score(weights)["pq"][0] == pytest.approx(again)


def test_perfect_masks_are_perfect() -> None:
    rng = np.random.default_rng(0)
    masks = [blob(rng) for _ in range(3)]
    objects = [Instance(0, box_of(mask), rle=encoded(mask)) for mask in masks[:1]]
    said = Detections(np.array([box_of(masks[0])], np.float32), np.array([0.9], np.float32), np.array([0]),
                      (encoded(masks[0]),))
    assert detection_metrics([said], [truth_of(objects)], 1, masks=[mask_overlaps(said, objects, SIZE)])["ap"] == 1
    assert segments([said], [objects], [SIZE], [0.5]).scorer()(np.ones((1, 1)))["pq"][0] == 1
