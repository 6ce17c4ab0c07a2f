"""Feature distillation: the features may not move far from what the pretrained backbone makes of the same images."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch.nn import functional

from headstart.regularisers.regulariser import Regulariser, Step

# B images, D features


class FeatureDistillation(Regulariser):
    """strength * mean over B and D of (f - f0)^2, f0 being the pooled features of the backbone as training began.

    Source: Li et al., "DELTA: Deep Learning Transfer using Feature Map with Attention", ICLR 2019, on the pooled vector
    and without attention.
    """

    uses: ClassVar[tuple[str, ...]] = ("reference",)

    strength: float = Field(1.0, ge=0, le=1e6)
    """Factor on the mean squared distance."""

    def penalty(self, step: Step) -> torch.Tensor:
        """Return a scalar."""
        assert step.reference is not None, "the learner gives what `uses` names"
        reference: Any = step.reference
        with torch.no_grad():
            before = reference.backbone.pooled(step.images).float()
        return self.strength * functional.mse_loss(step.features, before)
