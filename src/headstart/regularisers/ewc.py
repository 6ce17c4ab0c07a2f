"""EWC: elastic weight consolidation: what the start's answers hang on stays where it was, the rest may move."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from headstart.regularisers.regulariser import Regulariser, Step


class EWC(Regulariser):
    """strength / 2 * sum of F (w - w0)^2 over the backbone's trained weights, w0 being where training began.

    F is the diagonal of the Fisher information: the mean over validation images (those of the source, where there is a
    target) of the squared gradient of -log p(y), y being the start's own answer. The optimizer's own weight decay is
    switched off on the backbone.
    Source: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017, equation 3; with own
    answers as in Niu et al., "Efficient Test-Time Model Adaptation without Forgetting", ICML 2022, equations 8 and 9.
    """

    uses: ClassVar[tuple[str, ...]] = ("reference", "importance")
    replaces_decay: ClassVar[bool] = True

    strength: float = Field(4000.0, ge=0, le=1e9)
    """Pull towards the start (twice the beta of EATA, which is 2000 on ImageNet)."""

    def penalty(self, step: Step) -> torch.Tensor:
        """Return a scalar."""
        assert step.reference is not None, "the learner gives what `uses` names"
        assert step.importance is not None, "the learner gives what `uses` names"
        start, importance = dict(step.reference.named_parameters()), step.importance
        moved = [(importance[name] * (parameter - start[name]).square()).sum()
                 for name, parameter in step.network.named_parameters() if name in importance]
        return self.strength / 2 * sum(moved, step.logits.new_zeros(()))
