"""Merging: what was found in overlapping parts of a picture, made into one list, each object once.

An object that an edge cuts is seen by several parts, wholly by none or by one. Two boxes are of one object where they
agree *in what both parts see*: each box is clipped to the overlap of the two parts before it is compared. So a cut box
gives way to one that sees the object whole, and the pieces of an object that no part sees whole are joined.

# K boxes, V windows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torchvision.ops import batched_nms

from headstart.data.run_lengths import united
from headstart.data.slices import Slices
from headstart.fusion import fused, overlaps
from headstart.pixels import Window
from headstart.types import Detections, Rle

EDGE = 0.02
"""Share of a window's side: a box that ends so near an inner edge counts as cut by it: networks miss by a few."""
AS_SURE = 0.5
"""A cut box gives way to a whole one that has at least this share of its score: no weak guess takes a sure one away."""


@dataclass(frozen=True)
class Found:
    """Boxes of a whole picture before they are merged."""

    boxes: np.ndarray
    """float64 [K, 4], each a `Box` in pixels of the picture."""
    scores: np.ndarray
    """float64 [K]."""
    labels: np.ndarray
    """int64 [K]."""
    views: np.ndarray
    """int64 [K], the window that each was found in."""
    pieces: tuple[tuple[int, ...], ...] = ()
    """Of each, which boxes that were found it is made of; empty before any were joined."""

    def at(self, rows: np.ndarray) -> Found:
        """Return some of them."""
        return Found(self.boxes[rows], self.scores[rows], self.labels[rows], self.views[rows],
                     tuple(self.pieces[row] for row in rows.tolist()))


def merged(parts: Sequence[Detections], windows: Sequence[Window], slices: Slices, size: tuple[int, int]) -> Detections:
    """Return what was found in a picture, each object once, the surest first.

    parts: of each window, boxes in pixels of the window. size: height and width of the picture. What one part says is
    left as it is: its detector has chosen among its own boxes. The mask of a joined object is that of all its pieces;
    masks are not told by WBF.
    """
    if len(parts) == 1:
        return parts[0]
    corners = np.array([(left, top, left, top) for left, top, _, _ in windows], np.float64)
    found = Found(np.concatenate([part.boxes + corners[view] for view, part in enumerate(parts)]).reshape(-1, 4),
                  np.concatenate([part.scores for part in parts]).astype(np.float64),
                  np.concatenate([part.labels for part in parts]).astype(np.int64),
                  np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts]))
    edges = np.array(windows, np.float64)
    found = stitched(found, edges, size, iou=slices.iou)
    masks: list[Rle] | None = None
    if slices.merge == "wbf":
        boxes, scores, labels = fused(found.boxes, found.scores, found.labels, iou=slices.iou,
                                      seen=lambda box: _seen_whole(box, edges))
    else:
        kept = batched_nms(*(torch.from_numpy(part) for part in (found.boxes, found.scores, found.labels)),
                           slices.iou).numpy()
        boxes, scores, labels = found.boxes[kept], found.scores[kept], found.labels[kept]
        if all(part.masks is not None for part in parts):
            each = [(mask, windows[view]) for view, part in enumerate(parts) for mask in part.masks or ()]
            masks = [united([each[row] for row in found.pieces[place]], size) for place in kept.tolist()]
    order = np.argsort(-scores, kind="stable")
    return Detections(boxes[order].astype(np.float32), scores[order].astype(np.float32), labels[order],
                      None if masks is None else tuple(masks[row] for row in order.tolist()))


def stitched(found: Found, windows: np.ndarray, size: tuple[int, int], *, iou: float) -> Found:
    """Return the boxes with those that a window's inner edge cuts given way or joined; whole ones stay as they are.

    windows: float64 [V, 4], of one picture of this height and width.
    """
    cut = cut_sides(found, windows, size)
    links = _links(found, cut, windows, iou)
    found, gone = _given_way(found, _any(cut), links)
    groups = _joined(found, links, gone)
    boxes, scores = found.boxes.copy(), found.scores.copy()
    pieces: list[tuple[int, ...]] = [(row,) for row in range(len(boxes))]
    for first, *others in groups:
        members = [first, *others]
        boxes[first] = *boxes[members, :2].min(axis=0), *boxes[members, 2:].max(axis=0)
        scores[first] = scores[members].max()
        pieces[first] = tuple(members)
        gone[others] = True
    return replace(found, boxes=boxes, scores=scores, pieces=tuple(pieces)).at(np.flatnonzero(~gone))


def cut_sides(found: Found, windows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return bool [K, 4]: the sides of each box that lie at an edge of its window which is none of the picture."""
    height, width = size
    inner = windows != np.array([0, 0, width, height])
    own = windows[found.views]
    near = np.abs(found.boxes - own) <= _margin(own)
    return np.asarray(near & inner[found.views])


@dataclass(frozen=True)
class _Link:
    """Two boxes of one class from two windows that agree in what both windows see."""

    one: int
    other: int
    agree: float
    """Intersection over union there; 0 where the cut one only lies inside the whole one."""


def _links(found: Found, cut: np.ndarray, windows: np.ndarray, iou: float) -> list[_Link]:
    """Return the pairs of which one at least is cut."""
    margin = _margin(windows)
    outward = np.array([-1.0, -1.0, 1.0, 1.0])
    grown = windows + outward * margin
    # A cut box reaches at least to the edge that cuts it, so that also parts without overlap have a strip in common.
    boxes = np.where(cut, grown[found.views], found.boxes)
    is_cut = _any(cut)
    rows = [np.flatnonzero(found.views == view) for view in range(len(windows))]
    links = []
    for one, mine in enumerate(rows):
        if not len(mine):
            continue
        shared = np.concatenate([np.maximum(grown[one, :2], grown[:, :2]), np.minimum(grown[one, 2:], grown[:, 2:])], 1)
        beside = np.flatnonzero((shared[:, 2:] > shared[:, :2]).all(axis=1))
        for other in beside[beside > one]:
            theirs = rows[other]
            if len(theirs) and (is_cut[mine].any() or is_cut[theirs].any()):
                links += _links_of_two(mine, theirs, shared[other], boxes, found.labels, is_cut, iou)
    return links


def _links_of_two(mine: np.ndarray, theirs: np.ndarray, shared: np.ndarray, boxes: np.ndarray, labels: np.ndarray,
                  is_cut: np.ndarray, iou: float) -> list[_Link]:
    first, second = (_clipped(boxes[rows], shared) for rows in (mine, theirs))
    common, areas, others = overlaps(first, second)
    union = areas[:, None] + others[None] - common
    agree = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    left, right = is_cut[mine][:, None], is_cut[theirs][None]
    # Where one side is whole, it is enough that the piece lies in it for the most part.
    pieces = np.where(left, areas[:, None], others[None])
    inside = np.divide(common, pieces, out=np.zeros_like(common), where=pieces > 0)
    same = (labels[mine][:, None] == labels[theirs][None]) & (
        ((left & right) & (agree >= iou)) | ((left ^ right) & (inside >= iou)))
    return [_Link(int(mine[i]), int(theirs[j]), float(agree[i, j])) for i, j in zip(*np.nonzero(same), strict=True)]


def _given_way(found: Found, is_cut: np.ndarray, links: Sequence[_Link]) -> tuple[Found, np.ndarray]:
    """Return the boxes with a whole one as sure as the pieces of it, and bool [K], the pieces."""
    whole: dict[int, list[int]] = {}
    for link in links:
        if is_cut[link.one] != is_cut[link.other]:
            piece, of = (link.one, link.other) if is_cut[link.one] else (link.other, link.one)
            whole.setdefault(piece, []).append(of)
    scores, gone = found.scores.copy(), np.zeros(len(is_cut), bool)
    for piece, candidates in whole.items():
        best = max(candidates, key=lambda row: (found.scores[row], -row))
        if found.scores[best] >= AS_SURE * found.scores[piece]:
            gone[piece] = True
            scores[best] = max(scores[best], found.scores[piece])
    return replace(found, scores=scores), gone


def _joined(found: Found, links: Sequence[_Link], gone: np.ndarray) -> list[list[int]]:
    """Return the groups of pieces of one object, no two of a group from one window, the surest pairs joined first."""
    group = {row: [row] for link in links for row in (link.one, link.other) if not gone[row]}
    pairs = [link for link in links if link.agree and not gone[link.one] and not gone[link.other]]
    pairs.sort(key=lambda link: (-min(found.scores[link.one], found.scores[link.other]), -link.agree, link.one,
                                 link.other))
    for link in pairs:
        mine, theirs = group[link.one], group[link.other]
        if mine is not theirs and not set(found.views[mine]) & set(found.views[theirs]):
            mine += theirs
            group |= dict.fromkeys(theirs, mine)
    return [rows for row, rows in group.items() if len(rows) > 1 and rows[0] == row]


def _seen_whole(box: np.ndarray, windows: np.ndarray) -> int:
    """Return how many windows see all of a box; 1 at least."""
    inside = (windows[:, :2] <= box[:2]).all(axis=1) & (windows[:, 2:] >= box[2:]).all(axis=1)
    return max(1, int(inside.sum()))


def _clipped(boxes: np.ndarray, window: np.ndarray) -> np.ndarray:
    return np.concatenate([np.clip(boxes[:, side:side + 2], window[:2], window[2:]) for side in (0, 2)], axis=1)


def _any(cut: np.ndarray) -> np.ndarray:
    return np.asarray(cut.any(axis=1))


def _margin(windows: np.ndarray) -> np.ndarray:
    """Return float64 [.., 4], how near a box may end to each edge and count as cut."""
    sides = windows[:, 2:] - windows[:, :2]
    return EDGE * np.concatenate([sides, sides], axis=1)
