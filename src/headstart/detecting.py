"""Detecting: a trained detector on pictures, in pixels of the pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from headstart.canvas import on_canvas
from headstart.data.mask_crops import pasted
from headstart.data.transforms import Preprocessing, to_tensor
from headstart.detectors.head import DetectionHead, Target
from headstart.errors import DataError
from headstart.events import Listen, Progress, Started, silent
from headstart.images import decode, opened, title
from headstart.merging import merged
from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.types import Detections, ImageSource

# B images, K boxes, H and W pixels

BATCH = 8


def detect(model: Model, sources: Sequence[ImageSource], *, listen: Listen = silent, step: str = "predict",
           device: str = "cpu", errors: dict[int, str] | None = None) -> tuple[list[Detections], list[tuple[int, int]]]:
    """Return what a detector finds in each picture, in its own pixels, and the pictures' heights and widths.

    With the task's `slices` each picture is looked at in parts. One decoded picture at a time is in memory, and BATCH
    reduced ones.
    A broken picture raises DataError, or is told in `errors` and has no boxes and the size (0, 0).
    """
    assert isinstance(model.head, DetectionHead), type(model.head)
    assert isinstance(model.task, Detection), type(model.task)
    for part in (model.backbone, model.head):
        part.to(device).eval()
    look = _whole_ones if model.task.slices is None else _sliced_ones
    at_once = BATCH if model.task.slices is None else 1
    found: list[Detections] = []
    sizes: list[tuple[int, int]] = []
    listen(Started(step, len(sources), "images"))
    for start in range(0, len(sources), at_once):
        wrong: dict[int, str] | None = None if errors is None else {}
        more, their = look(model, sources[start:start + at_once], device, wrong)
        found, sizes = found + more, sizes + their
        if errors is not None and wrong:
            errors |= {start + row: text for row, text in wrong.items()}
        listen(Progress(step, min(start + at_once, len(sources))))
    return found, sizes


Answers = tuple[list[Detections], list[tuple[int, int]]]
Errors = dict[int, str] | None


def _whole_ones(model: Model, sources: Sequence[ImageSource], device: str, errors: Errors) -> Answers:
    """Return the detections and the size of each picture that is looked at as a whole."""
    small: list[np.ndarray] = []
    sizes = [(0, 0)] * len(sources)
    for row, source in enumerate(sources):
        with _told(errors, row):
            picture = decode(source, **_form(model.preprocessing))
            sizes[row] = (picture.shape[0], picture.shape[1])
            small.append(model.preprocessing.whole(picture))
    read = [row for row in range(len(sources)) if errors is None or row not in errors]
    found = [nothing()] * len(sources)
    for row, shown, answer in zip(read, small, answers(model, small, device), strict=True):
        found[row] = to_original(answer, (shown.shape[0], shown.shape[1]), sizes[row])
    return found, sizes


def _sliced_ones(model: Model, sources: Sequence[ImageSource], device: str, errors: Errors) -> Answers:
    """Return the detections and the size of each picture that is looked at in slices."""
    assert isinstance(model.task, Detection), type(model.task)
    slices = model.task.slices
    assert slices is not None, "asked for slices"
    found, sizes = [nothing()] * len(sources), [(0, 0)] * len(sources)
    for row, source in enumerate(sources):
        with _told(errors, row), opened(source, **_form(model.preprocessing)) as picture:
            windows = slices.windows(picture.size, name=title(source))
            parts: list[Detections] = []
            for start in range(0, len(windows), BATCH):
                some = windows[start:start + BATCH]
                small = [model.preprocessing.whole(picture.region(window)) for window in some]
                parts += [to_original(answer, (shown.shape[0], shown.shape[1]), (bottom - top, right - left))
                          for answer, shown, (left, top, right, bottom)
                          in zip(answers(model, small, device), small, some, strict=True)]
            found[row], sizes[row] = merged(parts, windows, slices, picture.size), picture.size
    return found, sizes


@contextlib.contextmanager
def _told(errors: Errors, row: int) -> Iterator[None]:
    """Put what is wrong with a picture into `errors`, where there are such."""
    try:
        yield
    except DataError as error:
        if errors is None:
            raise
        errors[row] = str(error)


def _form(preprocessing: Preprocessing) -> dict[str, int]:
    return {"channels": preprocessing.channels, "background": preprocessing.background}


def answers(model: Model, small: Sequence[np.ndarray], device: str) -> list[Target]:
    """Return what the network, which is on the device, finds in pictures uint8 [h, w, C], in their pixels."""
    found: list[Target] = [{}] * len(small)
    # Pictures of one shape go together: a batch of several would pad the smaller ones, and change their borders.
    for shape in sorted({one.shape for one in small}):
        alike = [row for row, one in enumerate(small) if one.shape == shape]
        images = on_canvas([to_tensor(small[row]).to(device) for row in alike], model.preprocessing)
        with torch.inference_mode():
            for row, answer in zip(alike, model.head.detect(  # type: ignore[operator]
                    model.backbone.maps(images), images), strict=True):
                found[row] = answer
    return found


def nothing() -> Detections:
    """Return no detections."""
    return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


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
    order = np.flatnonzero(kept)[np.argsort(-scores[kept], kind="stable")]
    masks = None if "masks" not in found else tuple(
        pasted(square, box, original) for square, box in zip(
            found["masks"].detach().float().cpu().numpy()[order], boxes[order], strict=True))
    return Detections(boxes[order].astype(np.float32), scores[order], labels[order], masks)
