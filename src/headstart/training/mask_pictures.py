"""Pictures with the class of each pixel for training: whole, at the size of the input, with the mask brought along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from headstart import seeds
from headstart.data.augment import Preset
from headstart.data.augment_masks import Labelled, MaskAugment
from headstart.data.dataset import Dataset
from headstart.data.pixel_classes import classes_of, resized_classes
from headstart.data.transforms import Preprocessing, to_tensor
from headstart.training.pictures import Pictures
from headstart.training.styles import Styles

# N images


@dataclass(frozen=True, slots=True)
class MaskItem:
    """One image with the class of each of its pixels."""

    image: torch.Tensor
    """uint8 [C, H, W]."""
    classes: torch.Tensor
    """uint8 [H, W], class indices or IGNORED."""
    weight: float
    index: int
    """Position in the split."""


class MaskPictures(Pictures):
    """The pictures of a split as `Preprocessing.whole` gives them, with their masks behind the last channel."""

    def __init__(self, dataset: Dataset, preprocessing: Preprocessing, *, budget: float) -> None:
        super().__init__(dataset, preprocessing, budget=budget)
        self._shapes: list[tuple[int, int]] = [(0, 0)] * len(dataset)

    def labelled(self, position: int) -> Labelled:
        """Return a picture with the class of each pixel."""
        both = self[position]
        return Labelled(both[..., :-1], both[..., -1])

    def aspects(self) -> np.ndarray | None:
        """Return int64 [N], a number for each size that occurs; None if all pictures have one. Known once decoded."""
        kinds = sorted(set(self._shapes))
        return np.array([kinds.index(shape) for shape in self._shapes]) if len(kinds) > 1 else None

    def gathered(self, found: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the confusion of each picture of the split, from that of each that is shown."""
        return list(found)

    def _reduced(self, position: int, picture: np.ndarray) -> np.ndarray:
        return self._both(position, picture, classes_of(self.dataset.samples[position], picture.shape[:2]))

    def _both(self, position: int, picture: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return a picture uint8 [H, W, C] and its classes [H, W] at the size of the input, behind one another."""
        small = self.preprocessing.whole(picture)
        self._shapes[position] = (small.shape[0], small.shape[1])
        return np.dstack([small, resized_classes(classes, (small.shape[0], small.shape[1]))])


class TrainMasks(TorchDataset[MaskItem]):
    """Augmented images by (occasion, index), as `Order` names them: the same for any number of workers."""

    def __init__(self, pictures: MaskPictures, weights: np.ndarray, *, preset: Preset, level: int, seed: int,
                 style: Styles | None = None) -> None:
        """style: what gives a picture the style of another domain, before it is augmented."""
        self.pictures, self.weights, self.seed, self.style = pictures, weights, seed, style
        settings = pictures.preprocessing
        self.augment = MaskAugment(preset, background=settings.background, channels=settings.channels, level=level)

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, key: tuple[int, int]) -> MaskItem:
        occasion, index = key
        item = self.pictures.labelled(index)
        if self.style is not None:
            item = replace(item, picture=self.style(item.picture, occasion, index))
        image, classes = self.augment(item, seed=seeds.derive(self.seed, "augment", occasion, index))
        return MaskItem(image, classes, float(self.weights[index]), index)

    def collate(self, items: Sequence[MaskItem]) -> list[MaskItem]:
        """Return the items as they are: images of several sizes make no tensor yet."""
        return list(items)


class ValMasks(TorchDataset[MaskItem]):
    """Exactly what `Preprocessing.whole` gives, in the order of the split."""

    def __init__(self, pictures: MaskPictures) -> None:
        self.pictures = pictures
        self.weights = pictures.dataset.weights()

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, index: int) -> MaskItem:
        item = self.pictures.labelled(index)
        return MaskItem(to_tensor(item.picture), torch.from_numpy(np.ascontiguousarray(item.classes)),
                        float(self.weights[index]), index)
