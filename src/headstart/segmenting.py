"""Segmenting: a trained segmenter on pictures, in pixels of the pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from headstart.blending import blended
from headstart.canvas import on_canvas
from headstart.data.dataset import Dataset
from headstart.data.pixel_classes import classes_of, resized_classes
from headstart.data.transforms import to_tensor
from headstart.errors import DataError
from headstart.events import Listen, Progress, Started, silent
from headstart.images import Picture, decode, opened, title
from headstart.metrics.boundaries import Boundaries, boundaries_of, together
from headstart.metrics.masks import confusion_of
from headstart.model import Model
from headstart.pixels import Window
from headstart.segmenters.head import SegmentationHead
from headstart.tasks.semantic import Semantic
from headstart.types import ImageSource

# N images, C classes, H and W pixels of the picture, h and w of the input

AT_ONCE = 4
"""Slices of a picture that the network sees at once."""
BAND = 16_000_000
"""Logits that are brought to the size of the picture at once."""
SHOWN = 480
"""Pixels of the longer side of the masks that the report shows."""


def segment(model: Model, sources: Sequence[ImageSource], *, listen: Listen = silent, step: str = "predict",
            device: str = "cpu", errors: dict[int, str] | None = None) -> Iterator[np.ndarray]:
    """Give for each picture uint8 [H, W], the class index of each of its pixels, one picture after the other.

    The network sees pictures reduced to its input, or with the task's `slices` their parts, one after the other; its
    logits are brought back to their size before the class is taken.
    A broken picture raises DataError, or is told in `errors` and gives an array of no pixels.
    """
    assert isinstance(model.head, SegmentationHead), type(model.head)
    for part in (model.backbone, model.head):
        part.to(device).eval()
    listen(Started(step, len(sources), "images"))
    for row, source in enumerate(sources):
        try:
            classes = _classes_of(model, source, device)
        except DataError as error:
            if errors is None:
                raise
            errors[row] = str(error)
            yield np.zeros((0, 0), np.uint8)
        else:
            yield classes
        listen(Progress(step, row + 1))


def _classes_of(model: Model, source: ImageSource, device: str) -> np.ndarray:
    """Return uint8 [H, W] of one picture."""
    assert isinstance(model.task, Semantic), type(model.task)
    settings, slices = model.preprocessing, model.task.slices
    form = {"channels": settings.channels, "background": settings.background}
    if slices is None:
        picture = decode(source, **form)
        return at_size(logits_of(model, [settings.whole(picture)], device)[0], picture.shape[:2])
    with opened(source, **form) as large:
        windows = slices.windows(large.size, name=title(source))
        return blended(_probabilities(model, large, windows, device), windows, large.size, margin=slices.shared)


def _probabilities(model: Model, picture: Picture, windows: Sequence[Window], device: str) -> Iterator[torch.Tensor]:
    """Give float32 [C, h, w] of each window, in pixels of the picture."""
    for start in range(0, len(windows), AT_ONCE):
        some = windows[start:start + AT_ONCE]
        small = [model.preprocessing.whole(picture.region(window)) for window in some]
        for logits, (left, top, right, bottom) in zip(logits_of(model, small, device), some, strict=True):
            large = functional.interpolate(logits[None], size=(bottom - top, right - left), mode="bilinear",
                                           align_corners=False)
            yield large[0].softmax(dim=0)


@dataclass(frozen=True)
class Answers:
    """What a segmenter says of labelled images, in their order."""

    confusions: np.ndarray
    """int64 [N, C, C]."""
    boundaries: Boundaries
    """[N, C] each."""
    shown: list[tuple[bytes, bytes]]
    """Of each image the true and the answered classes, reduced, as PNGs; empty where they are not asked for."""


def judge(model: Model, dataset: Dataset, *, listen: Listen = silent, step: str = "evaluate", device: str = "cpu",
          shown: bool = False) -> Answers:
    """Return what the model says of the images against their masks. One picture at a time is in memory.

    shown: whether a report will show the answers.

    Raises DataError for an image, or a mask, that can't be read, and for a mask of another size than its image.
    """
    confusions, boundaries, pngs = [], [], []
    classes = len(dataset.classes)
    found = segment(model, [sample.source for sample in dataset.samples], listen=listen, step=step, device=device)
    for sample, answer in zip(dataset.samples, found, strict=True):
        truth = classes_of(sample, answer.shape)
        confusions.append(confusion_of(truth, answer, classes))
        boundaries.append(boundaries_of(truth, answer, classes))
        if shown:
            pngs.append((_reduced(truth), _reduced(answer)))
    return Answers(np.array(confusions, np.int64).reshape(-1, classes, classes), together(boundaries, classes), pngs)


def _reduced(classes: np.ndarray) -> bytes:
    """Return class indices uint8 [H, W] as a small PNG of grey levels."""
    scale = min(1.0, SHOWN / max(classes.shape))
    small = resized_classes(classes, (max(1, round(classes.shape[0] * scale)), max(1, round(classes.shape[1] * scale))))
    file = io.BytesIO()
    Image.fromarray(small).save(file, "PNG")
    return file.getvalue()


def logits_of(model: Model, small: Sequence[np.ndarray], device: str) -> torch.Tensor:
    """Return float32 [N, C, h, w] of pictures uint8 [h, w, channels] of one size, which the network, on the device,
    sees as they are.
    """
    images = on_canvas([to_tensor(one).to(device) for one in small], model.preprocessing)
    with torch.inference_mode():
        logits = model.head(model.backbone.maps(images), images)
    found: torch.Tensor = logits[:, :, :small[0].shape[0], :small[0].shape[1]].cpu()
    return found


def at_size(logits: torch.Tensor, size: tuple[int, ...]) -> np.ndarray:
    """Return uint8 [H, W], the likeliest class of each pixel, logits [C, h, w] interpolated bilinearly in between.

    In bands of rows: all logits at the size of a large picture would take gigabytes.
    """
    height, width = size
    classes, high, _ = logits.shape
    found = np.empty((height, width), np.uint8)
    place = ((torch.arange(height, dtype=torch.float64) + 0.5) * high / height - 0.5).clamp(0, high - 1)
    above = place.floor().long()
    below, share = (above + 1).clamp(max=high - 1), (place - above).float()
    rows = max(1, BAND // (classes * width))
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        strip = torch.lerp(logits[:, above[part]], logits[:, below[part]], share[part][None, :, None])
        wide = functional.interpolate(strip[None], size=(strip.shape[1], width), mode="bilinear", align_corners=False)
        found[part] = wide[0].argmax(dim=0).to(torch.uint8).numpy()
    return found
