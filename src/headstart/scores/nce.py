"""NCE: negative conditional entropy of the labels given the class that the pretrained classifier names."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from headstart.scores.score import Groups, MeanScore


class NCE(MeanScore):
    """sum over y, z of P(y, z) log(P(y, z) / P(z)), z the most probable source class; at most 0.

    Source: Tran et al., "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019.
    """

    needs_source: ClassVar[bool] = True

    def terms(self, features: np.ndarray, labels: np.ndarray, source: np.ndarray | None, groups: Groups) -> np.ndarray:
        """Return log P(y | z) of each image."""
        assert source is not None, "checked"
        named = source.argmax(axis=1)
        joint = np.zeros((int(labels.max()) + 1, source.shape[1]))
        np.add.at(joint, (labels, named), 1)
        return np.asarray(np.log(joint[labels, named] / joint.sum(axis=0)[named]))
