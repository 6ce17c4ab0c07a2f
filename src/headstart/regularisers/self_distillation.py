"""Self-distillation: the answers may not move far from those of the moving average of the same network."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from headstart.divergence import soft_loss
from headstart.regularisers.regulariser import Regulariser, Step

# B images, C classes


class SelfDistillation(Regulariser):
    """strength * mean over B of T^2 KL(average || network), with both logits divided by T; needs `average`.

    Where an image can have several labels, it is the mean over the labels of the divergence between two coins.
    Source: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017, with the divergence of Hinton et
    al., 2015, in the place of their squared distance.
    """

    uses: ClassVar[tuple[str, ...]] = ("averaged",)

    strength: float = Field(1.0, ge=0, le=1e6)
    """Factor on the mean divergence."""
    temperature: float = Field(2.0, gt=0, le=100)
    """T: higher ones tell more of the classes that the average holds unlikely."""

    def penalty(self, step: Step) -> torch.Tensor:
        """Return a scalar."""
        assert step.averaged is not None, "the learner gives what `uses` names"
        with torch.no_grad():
            believed = step.averaged(step.images)
        divergence = soft_loss(step.logits, believed, temperature=self.temperature, several=step.several)
        return self.strength * divergence.mean()
