"""PixelSample: what validators see of segmenters: the same few pixels of both domains for every model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from headstart.backbones.backbone import Backbone
from headstart.canvas import on_canvas
from headstart.data.dataset import Dataset, Splits
from headstart.data.pixel_classes import classes_of, resized_classes
from headstart.data.transforms import Preprocessing, to_tensor
from headstart.domains.judging import even_rows
from headstart.errors import DataError
from headstart.images import decode
from headstart.methods.method import Context
from headstart.model import Model
from headstart.seeds import generator
from headstart.segmenters.head import SegmentationHead
from headstart.types import IGNORED
from headstart.validators.validator import Evidence

# P pixels of a part, K of a picture, C classes, D features, h and w of the input, H and W of its canvas

IMAGES, MOST, DENSEST = 64, 2000, 64
"""Images of a part that are looked at, pixels of all of them, and pixels of one: neighbours say the same again."""


@dataclass(frozen=True)
class _Pixels:
    """Pixels of some pictures of a part."""

    pictures: list[np.ndarray]
    """uint8 [h, w, channels] each."""
    places: list[np.ndarray]
    """int64 [K, 2] each: rows and columns."""
    labels: np.ndarray
    """int64 [P]; of a target there are none, and all are 0."""


class PixelSample:
    """Pixels at places that the seed draws, with what the start's backbone sees there, and their classes on the source.

    Every model is judged by the start's features, the hypercolumns of the maps that the head reads: those of a backbone
    that was trained may deceive, since it has learned to agree with itself.
    Source: Hariharan et al., "Hypercolumns for Object Segmentation and Fine-Grained Localization", CVPR 2015.
    """

    def __init__(self, start: Model, splits: Splits, context: Context) -> None:
        """Read the pictures, which stay in memory. Raises DataError for one that can't be read, and where train or val
        has no pixel of any class.
        """
        assert splits.target is not None, "a method that adapts to a domain has one"
        assert isinstance(start.head, SegmentationHead), type(start.head)
        self._preprocessing = start.preprocessing
        parts = (("target", splits.target), ("val", splits.val), ("train", splits.train))
        self._target, self._val, self._train = (
            _drawn(name, part, start.preprocessing, context.seed) for name, part in parts)
        strides = sorted(set(start.head.sources.values()))
        with _resting(context.device, start.backbone):
            found = [self._columns(start.backbone, pixels, strides)
                     for pixels in (self._target, self._val, self._train)]
        # Each map counts the same, however many channels it has and however large its numbers are.
        scales = [float(np.sqrt(one.var(axis=0).sum())) or 1.0 for one in found[-1]]
        self._features = [np.concatenate([one / scale for one, scale in zip(part, scales, strict=True)], axis=1)
                          for part in found]

    def evidence(self, backbone: Backbone, head: nn.Module, *, epoch: int = 0) -> Evidence:
        """Return what validators see of modules in eval mode, on the device where they are."""
        target, val = (self._logits(backbone, head, pixels) for pixels in (self._target, self._val))
        there, here, learned = self._features
        return Evidence(there, target, here, val, self._val.labels, learned, self._train.labels, epoch)

    def evidence_of(self, model: Model, device: str) -> Evidence:
        """Return what validators see of a model."""
        with _resting(device, model.backbone, model.head):
            return self.evidence(model.backbone, model.head)

    def _logits(self, backbone: Backbone, head: nn.Module, pixels: _Pixels) -> np.ndarray:
        """Return float32 [P, C]."""
        with torch.no_grad():
            found = [head(backbone.maps(images), images)[0][:, places[:, 0], places[:, 1]].T
                     for images, places in self._shown(backbone, pixels)]
        return torch.cat(found).float().cpu().numpy()

    def _columns(self, backbone: Backbone, pixels: _Pixels, strides: list[int]) -> list[np.ndarray]:
        """Return float32 [P, D] of each map, interpolated at the places."""
        found = []
        with torch.no_grad():
            for images, places in self._shown(backbone, pixels):
                maps = backbone.maps(images)
                # In -1..1 across the canvas, whose corners are those of pixels; x comes first.
                at = ((2 * places + 1) / places.new_tensor(images.shape[-2:]) - 1).flip(1)[None, None].float()
                found.append([functional.grid_sample(maps[stride].float(), at, align_corners=False,
                                                     padding_mode="border")[0, :, 0].T for stride in strides])
        return [torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True)]

    def _shown(self, backbone: Backbone, pixels: _Pixels) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Give each picture as the network sees it, float32 [1, channels, H, W], and its places, int64 [K, 2]."""
        device = next(backbone.parameters()).device
        for picture, places in zip(pixels.pictures, pixels.places, strict=True):
            yield on_canvas([to_tensor(picture).to(device)], self._preprocessing), torch.from_numpy(places).to(device)


@contextlib.contextmanager
def _resting(device: str, *parts: nn.Module) -> Iterator[None]:
    """Put modules in eval mode on the device, and back as they were on the CPU: a fresh head would move statistics."""
    modes = {module: module.training for part in parts for module in part.modules()}
    try:
        for part in parts:
            part.to(device).eval()
        yield
    finally:
        for part in parts:
            part.cpu()
        for module, mode in modes.items():
            module.training = mode


def _drawn(name: str, part: Dataset, preprocessing: Preprocessing, seed: int) -> _Pixels:
    """Return pixels of images that lie evenly in a part; of the source only such as have a class."""
    rows = even_rows(len(part), IMAGES)
    most = min(DENSEST, MOST // len(rows))
    pictures, places, labels = [], [], []
    for row in rows.tolist():
        sample = part.samples[row]
        picture = decode(sample.source, channels=preprocessing.channels, background=preprocessing.background)
        small = preprocessing.whole(picture)
        classes = np.zeros(small.shape[:2], np.uint8)
        if sample.mask is not None:
            classes = resized_classes(classes_of(sample, picture.shape[:2]), (small.shape[0], small.shape[1]))
        known = np.argwhere(classes != IGNORED)
        chosen = known[generator(seed, f"pixels of {name}", row).permutation(len(known))[:most]]
        pictures.append(small)
        places.append(chosen)
        labels.append(classes[chosen[:, 0], chosen[:, 1]])
    found = np.concatenate(labels).astype(np.int64)
    if not len(found):
        raise DataError(f"the {name} images have no pixel of any class among those that judge a model. Mend the masks.")
    return _Pixels(pictures, places, found)
