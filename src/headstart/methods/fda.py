"""Fda: fine-tune a segmenter or a detector on the source's images in the target's style."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from headstart.training.domain_plan import FourierPlan
from headstart.training.domain_training import WholeTraining


class Fda(FourierPlan, WholeTraining):
    """Each training image gets the low-frequency amplitudes of an image of the target: its light and its colours.

    Source: Yang & Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020; here in one training
    with one beta, without the second one on pseudo-labels of several such models.
    """

    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **WholeTraining.task_defaults, "detection": {**WholeTraining.task_defaults["detection"], "beta": 0.05}}
