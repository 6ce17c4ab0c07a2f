"""A network of LeNet's size for pictures of digits, without pretrained weights, as the literature of domain adaptation
takes for MNIST and USPS: two convolutions and a bottleneck, with BatchNorm."""

from __future__ import annotations

import torch
from torch import nn

from headstart.backbones.backbone import Backbone, BackboneSpec
from headstart.data.transforms import Preprocessing

SIZE = 28


class LeNet(Backbone):
    """Grey pictures of 28 pixels -> 256 features."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = BackboneSpec(
            architecture="lenet", source="packaged", family="LeNet", license="apache-2.0",
            preprocessing=Preprocessing(size=SIZE, channels=1, crop_fraction=1.0, interpolation="bilinear",
                                        mean=(0.5,), std=(0.5,)))
        self.width = 256
        self.model = nn.ModuleList([
            nn.Sequential(nn.Conv2d(1, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(32, 64, 5), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Flatten(), nn.Linear(64 * 16, 256), nn.BatchNorm1d(256), nn.ReLU())])

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        for stage in self.model:
            images = stage(images)
        return images

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        first = self.model[0](images)
        return {2: first, 4: self.model[1](first)}

    def stages(self) -> list[nn.Module]:
        return list(self.model)
