"""DetectionHead: everything of a detector but its backbone: pyramid, heads, losses, choice of boxes."""

from __future__ import annotations

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.image_list import ImageList

from headstart.backbones.maps import Maps
from headstart.detectors.pyramid import Reader

# B images, K boxes

Target = dict[str, torch.Tensor]
"""`boxes` float32 [K, 4] (left, top, right, bottom) in pixels of the input, `labels` int64 [K] class indices; for a
detector that tells masks `masks`: of a truth uint8 [K, H, W], 1 for its pixels; of an answer float32 [K, M, M] in 0..1,
squares that are stretched over the boxes."""


class DetectionHead(nn.Module, ABC):
    """Reads a backbone's maps: in training into losses, else into boxes. `model` has its library's names of tensors."""

    tells_classes: ClassVar[re.Pattern[str]]
    """Names of the tensors that have rows for each class."""
    model: nn.Module
    classes: int
    first_label: int = 0
    """Rows for something else before that of the first class: 1 where 0 is the background."""
    finest: int
    """Stride of the finest map that is looked at."""
    tells_masks: bool = False
    """Whether it learns and tells the pixels of each object, too."""

    @abstractmethod
    def losses(self, maps: Maps, images: torch.Tensor, targets: Sequence[Target]) -> dict[str, torch.Tensor]:
        """Return the named losses, scalars, each a mean over the batch. images: float32 [B, 3, H, W], for their size.

        It does so in training as in validation; normalisation layers keep the mode that they are in.
        """

    @abstractmethod
    def detect(self, maps: Maps, images: torch.Tensor) -> list[Target]:
        """Return `boxes`, `labels` and `scores` float32 [K] of each image, the surest first."""

    def take_over(self, other: DetectionHead, pairs: Sequence[tuple[int, int]]) -> None:
        """Take the tensors of another head: of the layers that tell classes the rows of `pairs` (own, the other's)."""
        theirs, mine = other.model.state_dict(), self.model.state_dict()
        known = [(new + self.first_label, old + other.first_label) for new, old in pairs]
        known += [(place, place) for place in range(self.first_label)]  # the background
        for name, tensor in mine.items():
            source = theirs.get(name)
            if source is None or tensor.shape[1:] != source.shape[1:]:
                continue
            if not self.tells_classes.search(name):
                if tensor.shape == source.shape:
                    tensor.copy_(source)
                continue
            own, its = self._by_class(name, tensor), other._by_class(name, source)
            for new, old in known:
                own[:, new] = its[:, old]

    def _by_class(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a view, [?, classes and what stands before them, ?, ...], of a tensor that has rows for each class."""
        per_class = 4 if "bbox_pred" in name else 1
        return tensor.view(-1, self.classes + self.first_label, per_class, *tensor.shape[1:])


class TorchvisionHead(DetectionHead):
    """One of torchvision's detectors whose `backbone` is a Reader."""

    # `rpn.head.cls_logits` only tells objects from nothing.
    tells_classes = re.compile(r"(classification_head\.(cls_logits|module_list\.\d+\.1)|"
                               r"box_predictor\.(cls_score|bbox_pred)|mask_predictor\.mask_fcn_logits)\.")

    def __init__(self, model: nn.Module, *, classes: int, first_label: int) -> None:
        super().__init__()
        self.model = model
        self.classes = classes
        self.first_label = first_label
        self.finest = self.reader.finest
        self.tells_masks = isinstance(model, MaskRCNN)
        model.transform = Untouched()

    @property
    def reader(self) -> Reader:
        """What reads the backbone's maps."""
        found = self.model.backbone
        assert isinstance(found, Reader), type(found)
        return found

    def losses(self, maps: Maps, images: torch.Tensor, targets: Sequence[Target]) -> dict[str, torch.Tensor]:
        """Return the losses that the library names."""
        shifted = [{**target, "labels": target["labels"] + self.first_label} for target in targets]
        with self._answering("losses"):
            found: dict[str, torch.Tensor] = self._run(maps, images, shifted)
        return found

    def detect(self, maps: Maps, images: torch.Tensor) -> list[Target]:
        """Return the boxes of each image."""
        with self._answering("boxes"):
            found: list[Target] = self._run(maps, images, None)
        return [{**one, "labels": one["labels"] - self.first_label,
                 **({"masks": one["masks"][:, 0]} if self.tells_masks else {})} for one in found]

    def _run(self, maps: Maps, images: torch.Tensor, targets: list[Target] | None):  # type: ignore[no-untyped-def]
        self.reader.feed({stride: found.float() for stride, found in maps.items()})
        try:
            return self.model(images, targets)
        finally:
            self.reader.feed({})

    @contextlib.contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        """Let torchvision's own modules take the branch that gives losses or boxes: it goes by their `training`."""
        switches = [module for module in self.model.modules()
                    if type(module).__module__.startswith("torchvision.models.detection")]
        before = [module.training for module in switches]
        for module in switches:
            module.training = what == "losses"
        try:
            yield
        finally:
            for module, mode in zip(switches, before, strict=True):
                module.training = mode


class Untouched(nn.Module):
    """Stands for torchvision's resizing and normalising, which the preprocessing has done."""

    def forward(self, images: torch.Tensor, targets: list[Target] | None = None
                ) -> tuple[ImageList, list[Target] | None]:
        """Return the images as torchvision lists them."""
        return ImageList(images, [(int(images.shape[-2]), int(images.shape[-1]))] * len(images)), targets

    def postprocess(self, found: list[Target], *sizes: object) -> list[Target]:
        """Return the boxes as they are: in pixels of the input."""
        return found
