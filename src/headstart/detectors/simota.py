"""SimOTA: which cells answer for which object, the losses of YOLOX that follow from it, and its choice of boxes.

Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv 2107.08430, section 2.1, a short form of Ge et al.,
"OTA: Optimal Transport Assignment for Object Detection", CVPR 2021; constants as in the authors' release.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional
from torchvision.ops import batched_nms, box_iou

from headstart.detectors.head import Target

# B images, A cells of all maps, G objects of an image, N cells near one, P cells that answer for one, C classes

REACH = 1.5
"""Strides from an object's middle, to each side, within which a cell may answer for it."""
OVERLAP_WEIGHT = 3.0
"""Of the overlap in the cost of an assignment."""
FAR = 1e6
"""Added to the cost of a cell that is near to other objects only."""
BEST = 10
"""Boxes whose overlaps add up to how many cells an object gets."""
BOX_WEIGHT = 5.0
"""Of the boxes in the loss."""


@dataclass(frozen=True)
class Assigned:
    """The cells of one image that answer for an object."""

    cells: torch.Tensor
    """int64 [P], places among A."""
    objects: torch.Tensor
    """int64 [P], the object of each."""
    overlaps: torch.Tensor
    """float32 [P], of each one's box with its object, without gradient."""


def boxes_of(answers: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Return float32 [..., A, 4], left, top, right and bottom in pixels. answers: [..., A, 5 + C]; cells: [A, 3]."""
    raw, corner, stride = answers[..., :4].float(), cells[:, :2], cells[:, 2:]
    middle, half = raw[..., :2] * stride + corner, raw[..., 2:].exp() * stride / 2
    return torch.cat([middle - half, middle + half], dim=-1)


@torch.no_grad()
def assign(boxes: torch.Tensor, answers: torch.Tensor, cells: torch.Tensor, target: Target) -> Assigned:
    """Return which cells of an image answer for its objects. boxes: float32 [A, 4]; answers: float32 [A, 5 + C]."""
    truth = target["boxes"].float()
    near = _near(cells, truth)
    candidates = near.any(dim=0).nonzero()[:, 0]
    if not len(candidates):
        return Assigned(candidates, candidates, boxes.new_zeros(0))
    overlap = box_iou(truth, boxes[candidates])
    cost = _class_cost(answers[candidates], target["labels"]) - OVERLAP_WEIGHT * (overlap + 1e-8).log()
    cost += FAR * ~near[:, candidates]
    wanted = overlap.topk(min(BEST, len(candidates)), dim=1).values.sum(dim=1).int().clamp(min=1)
    rank = cost.argsort(dim=1, stable=True).argsort(dim=1)
    taken = rank < wanted[:, None]
    torn = taken.sum(dim=0) > 1
    taken[:, torn] = functional.one_hot(cost[:, torn].argmin(dim=0), len(truth)).T.bool()
    answering = taken.any(dim=0)
    objects = taken[:, answering].int().argmax(dim=0)
    return Assigned(candidates[answering], objects, overlap[:, answering].gather(0, objects[None])[0])


def losses(answers: torch.Tensor, cells: torch.Tensor, targets: Sequence[Target]) -> dict[str, torch.Tensor]:
    """Return the losses of boxes, objects and classes, sums over the batch by the number of cells that answer.

    answers: [B, A, 5 + C], raw boxes and logits; cells: float32 [A, 3].
    """
    answers = answers.float()
    boxes = boxes_of(answers, cells)
    found = [assign(boxes[row], answers[row], cells, one) for row, one in enumerate(targets)]
    image = torch.cat([torch.full_like(one.cells, row) for row, one in enumerate(found)])
    cell = torch.cat([one.cells for one in found])
    truth = torch.cat([target["boxes"].float()[one.objects] for target, one in zip(targets, found, strict=True)])
    labels = torch.cat([target["labels"][one.objects] for target, one in zip(targets, found, strict=True)])
    count = max(len(cell), 1)
    mine, bce = answers[image, cell], functional.binary_cross_entropy_with_logits
    objects = torch.zeros_like(answers[..., 4])
    objects[image, cell] = 1
    overlaps = torch.cat([one.overlaps for one in found])
    classes = functional.one_hot(labels, answers.shape[-1] - 5) * overlaps[:, None]
    return {"boxes": BOX_WEIGHT * (1 - _overlap(boxes[image, cell], truth) ** 2).sum() / count,
            "objects": bce(answers[..., 4], objects, reduction="sum") / count,
            "classes": bce(mine[:, 5:], classes, reduction="sum") / count}


def choose(answers: torch.Tensor, cells: torch.Tensor, *, confidence: float, overlap: float, most: int,
           size: tuple[int, int]) -> list[Target]:
    """Return `boxes`, `labels`, `scores` of each image, the surest first; a cell tells its most probable class only.

    answers: [B, A, 5 + C]; size: height and width of the canvas, which boxes are cut to after overlapping ones are out.
    """
    chosen = []
    height, width = size
    for row, boxes in zip(answers.float(), boxes_of(answers, cells), strict=True):
        scores, labels = (row[:, 5:].sigmoid() * row[:, 4:5].sigmoid()).max(dim=1)
        kept = scores > confidence
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        best = batched_nms(boxes, scores, labels, overlap)[:most]
        limits = boxes.new_tensor([width, height, width, height])
        chosen.append({"boxes": boxes[best].clamp(min=0).minimum(limits), "labels": labels[best],
                       "scores": scores[best]})
    return chosen


def _near(cells: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return bool [G, A], whether the middle of a cell lies within REACH of the middle of an object."""
    at, middle = cells[:, :2] + cells[:, 2:] / 2, (truth[:, :2] + truth[:, 2:]) / 2
    return (at[None] - middle[:, None]).abs().amax(dim=-1) < REACH * cells[:, 2]


def _class_cost(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return float32 [G, N], the cross-entropy of each cell's answer with the class of each object.

    Not by [G, N, C] numbers: objects differ from "no class" in one class each.
    """
    score = (answers[:, 5:].sigmoid() * answers[:, 4:5].sigmoid()).sqrt()
    yes, no = score.log().clamp(min=-100), (-score).log1p().clamp(min=-100)
    return -((yes - no)[:, labels] + no.sum(dim=1, keepdim=True)).T


def _overlap(boxes: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return float32 [P], the intersection over union of pairs of boxes."""
    inner = (torch.minimum(boxes[:, 2:], truth[:, 2:]) - torch.maximum(boxes[:, :2], truth[:, :2])).clamp(min=0)
    common = inner.prod(dim=1)
    areas = [(one[:, 2:] - one[:, :2]).prod(dim=1) for one in (boxes, truth)]
    return common / (areas[0] + areas[1] - common + 1e-16)
