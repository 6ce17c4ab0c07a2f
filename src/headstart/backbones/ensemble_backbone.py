"""EnsembleBackbone: backbones side by side; what each makes of a picture stands one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from headstart.backbones.backbone import Backbone, BackboneSpec

# B images, D features of a member, C channels of a map, H and W pixels, k members


class EnsembleBackbone(Backbone):
    """Several backbones that see the same picture."""

    model: nn.ModuleList

    def __init__(self, members: Sequence[Backbone], spec: BackboneSpec) -> None:
        super().__init__()
        self.model = nn.ModuleList(members)
        self.spec = spec
        self.width = sum(member.width for member in members)
        self.fixed_size = any(member.fixed_size for member in members)

    @property
    def members(self) -> list[Backbone]:
        """Return the backbones, in the order of their vectors."""
        return list(self.model)  # type: ignore[arg-type]

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, k D]."""
        return torch.cat([member.pooled(images) for member in self.members], dim=1)

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return {stride: [B, k C, H/stride, W/stride]}, finest first."""
        found = [member.maps(images) for member in self.members]
        return {stride: torch.cat([maps[stride] for maps in found], dim=1) for stride in found[0]}

    def stages(self) -> list[nn.Module]:
        """Return the stages of the same depth of all members together, shallow first."""
        return [nn.ModuleList(depth) for depth in zip(*(member.stages() for member in self.members), strict=True)]
