"""Detecting: a trained detector on pictures, in pixels of the pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from headstart.data.transforms import Preprocessing, to_tensor
from headstart.detectors.head import DetectionHead, Target
from headstart.errors import DataError
from headstart.events import Listen, Progress, Started, silent
from headstart.images import decode
from headstart.model import Model
from headstart.types import Detections, ImageSource

# B images, K boxes, H and W pixels

MULTIPLE = 32
"""Sides of a canvas are multiples of it, so that every map has whole cells."""
BATCH = 8


def detect(model: Model, sources: Sequence[ImageSource], *, listen: Listen = silent, step: str = "predict",
           device: str = "cpu", errors: dict[int, str] | None = None) -> tuple[list[Detections], list[tuple[int, int]]]:
    """Return what a detector finds in each picture, in its own pixels, and the pictures' heights and widths.

    A broken picture raises DataError, or is told in `errors` and has no boxes and the size (0, 0).
    """
    assert isinstance(model.head, DetectionHead), type(model.head)
    for part in (model.backbone, model.head):
        part.to(device).eval()
    found: list[Detections] = []
    sizes: list[tuple[int, int]] = []
    listen(Started(step, len(sources), "images"))
    for start in range(0, len(sources), BATCH):
        pictures: list[np.ndarray | None] = []
        for number, source in enumerate(sources[start:start + BATCH], start):
            try:
                pictures.append(decode(source, channels=model.preprocessing.channels,
                                       background=model.preprocessing.background))
            except DataError as error:
                if errors is None:
                    raise
                errors[number] = str(error)
                pictures.append(None)
        sizes += [(0, 0) if one is None else (one.shape[0], one.shape[1]) for one in pictures]
        found += _of_batch(model, pictures, device)
        listen(Progress(step, min(start + BATCH, len(sources))))
    return found, sizes


def _of_batch(model: Model, pictures: Sequence[np.ndarray | None], device: str) -> list[Detections]:
    """Return the detections of each picture; none for one that is None."""
    small = [None if one is None else model.preprocessing.whole(one) for one in pictures]
    found: list[Detections] = [nothing()] * len(pictures)
    rows = [row for row, one in enumerate(small) if one is not None]
    # Pictures of one shape go together: a batch of several would pad the smaller ones, and change their borders.
    for shape in sorted({small[row].shape for row in rows}):  # type: ignore[union-attr]
        alike = [row for row in rows if small[row].shape == shape]  # type: ignore[union-attr]
        images = on_canvas([to_tensor(small[row]).to(device) for row in alike],  # type: ignore[arg-type]
                           model.preprocessing)
        with torch.inference_mode():
            answers = model.head.detect(model.backbone.maps(images), images)  # type: ignore[operator]
        for row, answer in zip(alike, answers, strict=True):
            picture = pictures[row]
            assert picture is not None, row
            found[row] = to_original(answer, (shape[0], shape[1]), (picture.shape[0], picture.shape[1]))
    return found


def nothing() -> Detections:
    """Return no detections."""
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def on_canvas(images: Sequence[torch.Tensor], preprocessing: Preprocessing) -> torch.Tensor:
    """Return float32 [B, C, H, W], the normalised images on one canvas, filled with zeros to the right and below.

    images: uint8 [C, h, w] each. H and W are the largest h and w, rounded up to multiples of 32.
    """
    height, width = (-(-max(image.shape[side] for image in images) // MULTIPLE) * MULTIPLE for side in (-2, -1))
    laid = [functional.pad(preprocessing.normalise(image), (0, width - image.shape[-1], 0, height - image.shape[-2]))
            for image in images]
    return torch.stack(laid).contiguous(memory_format=torch.channels_last)


def to_original(found: Target, shown: tuple[int, int], original: tuple[int, int]) -> Detections:
    """Return boxes of the input in pixels of the picture in its file, inside of it, the surest first.

    shown, original: height and width of what the network saw, without the canvas around it, and in the file.
    """
    height, width = original
    factors = np.array([width / shown[1], height / shown[0]] * 2, np.float64)
    boxes = found["boxes"].detach().cpu().double().numpy() * factors
    boxes[:, 0::2], boxes[:, 1::2] = boxes[:, 0::2].clip(0, width), boxes[:, 1::2].clip(0, height)
    scores, labels = found["scores"].detach().float().cpu().numpy(), found["labels"].cpu().numpy()
    # What lay on the canvas around the picture has no area in it.
    kept = (boxes[:, 2] - boxes[:, 0] > 0) & (boxes[:, 3] - boxes[:, 1] > 0)
    order = np.argsort(-scores[kept], kind="stable")
    return Detections(boxes[kept][order].astype(np.float32), scores[kept][order], labels[kept][order])
