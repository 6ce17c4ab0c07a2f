"""PlaceSample: what validators see of models whose answers have a place: the same few places of both domains."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from headstart.backbones.backbone import Backbone
from headstart.canvas import on_canvas
from headstart.data.dataset import Dataset, Splits
from headstart.data.transforms import to_tensor
from headstart.domains.box_places import BoxPlaces
from headstart.domains.judging import even_rows
from headstart.domains.pixel_places import PixelPlaces
from headstart.domains.places import UNKNOWN, Places
from headstart.errors import DataError
from headstart.images import decode
from headstart.methods.method import Context
from headstart.model import Model
from headstart.seeds import generator
from headstart.tasks.detection import Detection
from headstart.validators.validator import Evidence

# P places of a part, K of a picture, C answers, D features, h and w of a picture, H and W of its canvas

IMAGES, MOST, DENSEST = 64, 2000, 64
"""Images of a part that are looked at, places of all of them, and of one: neighbours say the same again."""


@dataclass(frozen=True)
class _Drawn:
    """Places of some pictures of a part."""

    pictures: list[np.ndarray]
    """uint8 [h, w, channels] each."""
    places: list[np.ndarray]
    """int64 [K, 2] each: rows and columns."""
    labels: np.ndarray
    """int64 [P]; of a target none is known, and these are what the start was asked where to look."""


class PlaceSample:
    """Places that the seed draws, with what the start's backbone sees there, and what is there on the source.

    Features are the hypercolumns of the maps that the head reads. A backbone that was trained has learned to agree with
    itself: the epochs of a training are judged by the start's, and the start against what came of it by the features of
    both, so that neither has the advantage. Of boxes at least half of the places lie in some, on the target in those
    that the start finds: else there would be little but ground.
    Source: Hariharan et al., "Hypercolumns for Object Segmentation and Fine-Grained Localization", CVPR 2015.
    """

    what = "places"

    def __init__(self, start: Model, splits: Splits, context: Context) -> None:
        """Read the pictures, which stay in memory. Raises DataError for one that can't be read, and where train or val
        has no place of which anything is known.
        """
        assert splits.target is not None, "a method that adapts to a domain has one"
        self._preprocessing, self._device = start.preprocessing, context.device
        train = splits.source or splits.train
        self._places: Places = BoxPlaces(train) if isinstance(start.task, Detection) else PixelPlaces()
        self._finest: int = start.head.finest  # type: ignore[assignment]
        with _resting(context.device, start.backbone, start.head):
            self._target, self._val, self._train = (self._drawn(name, part, start, context.seed) for name, part in (
                ("target", splits.target), ("val", splits.val), ("train", train)))
            self._features = self._seen(start.backbone)

    def evidence(self, backbone: Backbone, head: nn.Module, *, epoch: int = 0) -> Evidence:
        """Return what validators see of modules in eval mode, on the device where they are."""
        target, val = (self._answers(backbone, head, part) for part in (self._target, self._val))
        target, held = (self._places.logits(answers, val, self._val.labels) for answers in (target, val))
        there, here, learned = self._features
        return Evidence(there, target, here, held, self._val.labels, learned, self._train.labels, epoch)

    def of(self, model: Model) -> Evidence:
        """Return what validators see of a model."""
        with _resting(self._device, model.backbone, model.head):
            return self.evidence(model.backbone, model.head)

    def pair(self, start: Model, adapted: Model) -> tuple[Evidence, Evidence]:
        """Return what validators see of the start and of what came of it, among the features of both."""
        first, second = self.of(start), self.of(adapted)
        with _resting(self._device, adapted.backbone):
            own = self._seen(adapted.backbone)
        there, here, learned = (np.concatenate(both, axis=1) for both in zip(self._features, own, strict=True))
        first, second = (dataclasses.replace(one, target_features=there, source_features=here, train_features=learned)
                         for one in (first, second))
        return first, second

    def _seen(self, backbone: Backbone) -> list[np.ndarray]:
        """Return float32 [P, D] of the target, val and train.

        Each map counts the same, however many channels it has and however large its numbers are.
        """
        found = [self._columns(backbone, part) for part in (self._target, self._val, self._train)]
        scales = [float(np.sqrt(one.var(axis=0).sum())) or 1.0 for one in found[-1]]
        return [np.concatenate([one / scale for one, scale in zip(part, scales, strict=True)], axis=1)
                for part in found]

    def _answers(self, backbone: Backbone, head: nn.Module, part: _Drawn) -> np.ndarray:
        """Return float32 [P, C]."""
        with torch.no_grad():
            found = [self._places.answers(head, backbone.maps(images), images, places)
                     for images, places in self._shown(backbone, part)]
        return torch.cat(found).float().cpu().numpy()

    def _columns(self, backbone: Backbone, part: _Drawn) -> list[np.ndarray]:
        """Return float32 [P, D] of each map from a stride on, interpolated at the places."""
        found = []
        with torch.no_grad():
            for images, places in self._shown(backbone, part):
                maps = backbone.maps(images)
                # In -1..1 across the canvas, whose corners are those of pixels; x comes first.
                at = ((2 * places + 1) / places.new_tensor(images.shape[-2:]) - 1).flip(1)[None, None].float()
                found.append([functional.grid_sample(maps[stride].float(), at, align_corners=False,
                                                     padding_mode="border")[0, :, 0].T
                              for stride in sorted(maps) if stride >= self._finest])
        return [torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True)]

    def _shown(self, backbone: Backbone, part: _Drawn) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Give each picture as the network sees it, float32 [1, channels, H, W], and its places, int64 [K, 2]."""
        device = next(backbone.parameters()).device
        for picture, places in zip(part.pictures, part.places, strict=True):
            yield on_canvas([to_tensor(picture).to(device)], self._preprocessing), torch.from_numpy(places).to(device)

    def _drawn(self, name: str, part: Dataset, start: Model, seed: int) -> _Drawn:
        """Return places of images that lie evenly in a part; of the source only such of which something is known."""
        rows = even_rows(len(part), IMAGES)
        most = min(DENSEST, MOST // len(rows))
        pictures, places, labels = [], [], []
        for row in rows.tolist():
            sample, settings = part.samples[row], start.preprocessing
            picture = decode(sample.source, channels=settings.channels, background=settings.background)
            small = settings.whole(picture)
            original, size = ((one.shape[0], one.shape[1]) for one in (picture, small))
            classes = self._expected(start, small, size) if name == "target" else \
                self._places.known(sample, original, size)
            chosen = spread(classes, self._places.ground, most, generator(seed, f"places of {name}", row))
            pictures.append(small)
            places.append(chosen)
            labels.append(classes[chosen[:, 0], chosen[:, 1]])
        found = np.concatenate(labels)
        if not len(found):
            raise DataError(f"the {name} images have no pixel of which a label says anything, among those that judge a "
                            "model. Mend the labels.")
        return _Drawn(pictures, places, found)

    def _expected(self, start: Model, small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        images = on_canvas([to_tensor(small).to(self._device)], start.preprocessing)
        with torch.no_grad():
            return self._places.expected(start.backbone, start.head, images, size)


def spread(classes: np.ndarray, ground: int | None, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return int64 [K, 2], rows and columns of at most so many known pixels; at least half of them not ground, as far
    as there are such. classes: int64 [h, w].
    """
    known = np.argwhere(classes != UNKNOWN)
    order = rng.permutation(len(known))
    if ground is not None:
        objects = classes[tuple(known[order].T)] != ground
        first = objects & (objects.cumsum() <= most // 2)
        order = np.concatenate([order[first], order[~first]])
    return known[order[:most]]


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
