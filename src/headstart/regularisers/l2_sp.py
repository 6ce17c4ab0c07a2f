"""L2-SP: decay towards the pretrained weights instead of towards zero."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from headstart.regularisers.regulariser import Regulariser, Step


class L2SP(Regulariser):
    """strength / 2 * |w - w0|^2 over the backbone's trained weights, plus head_strength / 2 * |v|^2 over the head's.

    w0 is where training began. The optimizer's own weight decay is switched off on the backbone.
    Source: Li, Grandvalet & Davoine, "Explicit Inductive Bias for Transfer Learning", ICML 2018, equation 5.
    """

    uses: ClassVar[tuple[str, ...]] = ("reference",)
    replaces_decay: ClassVar[bool] = True

    strength: float = Field(0.01, ge=0, le=1e6)
    """Pull of the backbone's weights towards the pretrained point (the paper's alpha)."""
    head_strength: float = Field(0.0, ge=0, le=1e6)
    """Pull of the head's weights towards zero (the paper's beta)."""

    def penalty(self, step: Step) -> torch.Tensor:
        """Return a scalar."""
        assert step.reference is not None, "the learner gives what `uses` names"
        start = dict(step.reference.named_parameters())
        moved = step.logits.new_zeros(())
        size = step.logits.new_zeros(())
        for name, parameter in step.network.named_parameters():
            if not parameter.requires_grad:
                continue
            if name.startswith("backbone."):
                moved = moved + (parameter - start[name]).square().sum()
            else:
                size = size + parameter.square().sum()
        return self.strength / 2 * moved + self.head_strength / 2 * size
