"""Pictures with boxes for training: whole, at the size of the input, with the boxes brought along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from headstart import seeds
from headstart.data.augment import Preset
from headstart.data.augment_boxes import BoxAugment, Boxed, mosaic
from headstart.data.copy_paste import Outlined, paste
from headstart.data.dataset import Dataset
from headstart.data.regions import rectangle, region_of
from headstart.data.transforms import Preprocessing, to_tensor
from headstart.training.pictures import Pictures
from headstart.training.styles import Styles
from headstart.types import Detections, Instance

# N images, B images in a batch, K boxes


@dataclass(frozen=True, slots=True)
class BoxItem:
    """One image with its boxes, in pixels of the image."""

    image: torch.Tensor
    """uint8 [C, H, W]."""
    boxes: torch.Tensor
    """float32 [K, 4]."""
    labels: torch.Tensor
    """int64 [K]."""
    weight: float
    index: int
    """Position in the split."""
    masks: torch.Tensor | None = None
    """uint8 [K, H, W], 1 for the pixels of each object, where they are to be learned."""


class BoxPictures(Pictures):
    """The pictures of a split as `Preprocessing.whole` gives them; how large they were is kept, too."""

    def __init__(self, dataset: Dataset, preprocessing: Preprocessing, *, budget: float) -> None:
        super().__init__(dataset, preprocessing, budget=budget)
        self.original: list[tuple[int, int]] = [(0, 0)] * len(dataset)
        """Height and width of each picture in its file; known once it was decoded."""

    def boxed(self, position: int) -> Boxed:
        """Return a picture with what is to be learned on it: all that was marked, but crowds."""
        picture, objects = self[position], self.learned(position)
        boxes = np.array([one.box for one in objects], np.float32).reshape(-1, 4)
        height, width = self.original[position]
        factors = np.array([picture.shape[1] / width, picture.shape[0] / height] * 2, np.float32)
        return Boxed(picture, boxes * factors, np.array([one.label for one in objects], np.int64))

    def gathered(self, found: Sequence[Detections]) -> list[Detections]:
        """Return what was found in each picture of the split, from what was found in each that is shown."""
        return list(found)

    def sizes(self) -> list[tuple[int, int]]:
        """Return height and width of each picture of the split in its file; known once all were decoded."""
        return self.original

    def outlined(self, position: int) -> Outlined:
        """Return the same with the pixels of each object."""
        item = self.boxed(position)
        size, original = (item.picture.shape[0], item.picture.shape[1]), self.original[position]
        masks = [region_of(one, size, original) for one in self.learned(position)]
        regions = [rectangle(box, size) if mask is None else mask
                   for box, mask in zip(item.boxes, masks, strict=True)]
        return Outlined(item.picture, item.boxes, item.labels, np.array(regions, bool).reshape(-1, *size),
                        masked=all(mask is not None for mask in masks))

    def masked(self, position: int) -> Boxed:
        """Return a picture with the pixels of each object, to be learned."""
        item = self.outlined(position)
        return Boxed(item.picture, item.boxes, item.labels, masks=item.regions)

    def learned(self, position: int) -> list[Instance]:
        """Return what was marked on a picture, but crowds."""
        return [one for one in self.dataset.samples[position].objects or () if not one.crowd]

    def aspects(self) -> np.ndarray | None:
        """Return int64 [N], how much wider than high a picture is, in tenths of its longer side; None if all are alike.

        Known once all were decoded. Tenths fill up little, and leave enough pictures in a group to be shuffled.
        """
        height, width = np.array(self.original, np.float64).reshape(-1, 2).T
        tenths = np.ceil(10 * (width - height) / np.maximum(1, np.maximum(width, height))).astype(np.int64)
        return tenths if len(np.unique(tenths)) > 1 else None

    def _reduced(self, position: int, picture: np.ndarray) -> np.ndarray:
        self.original[position] = (picture.shape[0], picture.shape[1])
        return self.preprocessing.whole(picture)


class TrainBoxes(TorchDataset[BoxItem]):
    """Augmented images by (occasion, index), as `Order` names them: the same for any number of workers."""

    def __init__(self, pictures: BoxPictures, weights: np.ndarray, *, preset: Preset, level: int, seed: int,
                 masks: bool = False, style: Styles | None = None) -> None:
        """masks: whether the pixels of each object are learned, too; then nothing is pasted and no mosaic made.
        style: what gives a picture, or a mosaic, the style of another domain, before it is augmented.
        """
        self.pictures, self.weights, self.seed, self.masks = pictures, weights, seed, masks
        self.style = style
        settings = pictures.preprocessing
        self.background = settings.background
        self.augment = BoxAugment(preset, background=settings.background, channels=settings.channels, level=level)
        self._showing = [index for index in range(len(self)) if pictures.learned(index)]
        """Positions of the pictures with an object that can be pasted."""

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, key: tuple[int, int]) -> BoxItem:
        occasion, index = key
        item = self.pictures.masked(index) if self.masks else self._with_pasted(occasion, index)
        if self.augment.mosaic and not self.masks:
            rng = seeds.generator(self.seed, "mosaic", occasion, index)
            if rng.random() < self.augment.mosaic:
                others = rng.integers(len(self), size=3)
                item = mosaic([item, *(self.pictures.boxed(int(other)) for other in others)],
                              background=self.background, rng=rng)
        if self.style is not None:
            item = replace(item, picture=self.style(item.picture, occasion, index))
        found = self.augment(item, seed=seeds.derive(self.seed, "augment", occasion, index))
        return BoxItem(found.image, found.boxes, found.labels, float(self.weights[index]), index, found.masks)

    def _with_pasted(self, occasion: int, index: int) -> Boxed:
        """Return a picture, by chance with objects of another one in it."""
        if self.augment.paste:
            rng = seeds.generator(self.seed, "paste", occasion, index)
            if self._showing and rng.random() < self.augment.paste:
                other = self._showing[rng.integers(len(self._showing))]
                if other != index:
                    return paste(self.pictures.outlined(index), self.pictures.outlined(other), rng=rng)
        return self.pictures.boxed(index)

    def collate(self, items: Sequence[BoxItem]) -> list[BoxItem]:
        """Return the items as they are: images of several sizes make no tensor yet."""
        return list(items)


class ValBoxes(TorchDataset[BoxItem]):
    """Exactly what `Preprocessing.whole` gives, in the order of the split."""

    def __init__(self, pictures: BoxPictures, *, masks: bool = False) -> None:
        self.pictures, self.masks = pictures, masks
        self.weights = pictures.dataset.weights()

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, index: int) -> BoxItem:
        item = self.pictures.masked(index) if self.masks else self.pictures.boxed(index)
        masks = None if item.masks is None else torch.from_numpy(item.masks.astype(np.uint8))
        return BoxItem(to_tensor(item.picture), torch.from_numpy(item.boxes), torch.from_numpy(item.labels),
                       float(self.weights[index]), index, masks)
