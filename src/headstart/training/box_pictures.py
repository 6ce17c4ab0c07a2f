"""Pictures with boxes for training: whole, at the size of the input, with the boxes brought along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from headstart import seeds
from headstart.data.augment import Preset
from headstart.data.augment_boxes import BoxAugment, Boxed, mosaic
from headstart.data.dataset import Dataset
from headstart.data.transforms import Preprocessing, to_tensor
from headstart.training.pictures import Pictures
from headstart.types import Detections

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


class BoxPictures(Pictures):
    """The pictures of a split as `Preprocessing.whole` gives them; how large they were is kept, too."""

    def __init__(self, dataset: Dataset, preprocessing: Preprocessing, *, budget: float) -> None:
        super().__init__(dataset, preprocessing, budget=budget)
        self.original: list[tuple[int, int]] = [(0, 0)] * len(dataset)
        """Height and width of each picture in its file; known once it was decoded."""

    def boxed(self, position: int) -> Boxed:
        """Return a picture with what is to be learned on it: all that was marked, but crowds."""
        picture = self[position]
        objects = [one for one in self.dataset.samples[position].objects or () if not one.crowd]
        boxes = np.array([one.box for one in objects], np.float32).reshape(-1, 4)
        height, width = self.original[position]
        factors = np.array([picture.shape[1] / width, picture.shape[0] / height] * 2, np.float32)
        return Boxed(picture, boxes * factors, np.array([one.label for one in objects], np.int64))

    def gathered(self, found: Sequence[Detections]) -> list[Detections]:
        """Return what was found in each picture of the split, from what was found in each that is shown."""
        return list(found)

    def _reduced(self, position: int, picture: np.ndarray) -> np.ndarray:
        self.original[position] = (picture.shape[0], picture.shape[1])
        return self.preprocessing.whole(picture)


class TrainBoxes(TorchDataset[BoxItem]):
    """Augmented images by (occasion, index), as `Order` names them: the same for any number of workers."""

    def __init__(self, pictures: BoxPictures, weights: np.ndarray, *, preset: Preset, level: int, seed: int) -> None:
        self.pictures, self.weights, self.seed = pictures, weights, seed
        settings = pictures.preprocessing
        self.background = settings.background
        self.augment = BoxAugment(preset, background=settings.background, channels=settings.channels, level=level)

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, key: tuple[int, int]) -> BoxItem:
        occasion, index = key
        item = self.pictures.boxed(index)
        if self.augment.mosaic:
            rng = seeds.generator(self.seed, "mosaic", occasion, index)
            if rng.random() < self.augment.mosaic:
                others = rng.integers(len(self), size=3)
                item = mosaic([item, *(self.pictures.boxed(int(other)) for other in others)],
                              background=self.background, rng=rng)
        image, boxes, labels = self.augment(item, seed=seeds.derive(self.seed, "augment", occasion, index))
        return BoxItem(image, boxes, labels, float(self.weights[index]), index)

    def collate(self, items: Sequence[BoxItem]) -> list[BoxItem]:
        """Return the items as they are: images of several sizes make no tensor yet."""
        return list(items)


class ValBoxes(TorchDataset[BoxItem]):
    """Exactly what `Preprocessing.whole` gives, in the order of the split."""

    def __init__(self, pictures: BoxPictures) -> None:
        self.pictures = pictures
        self.weights = pictures.dataset.weights()

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, index: int) -> BoxItem:
        item = self.pictures.boxed(index)
        return BoxItem(to_tensor(item.picture), torch.from_numpy(item.boxes), torch.from_numpy(item.labels),
                       float(self.weights[index]), index)
