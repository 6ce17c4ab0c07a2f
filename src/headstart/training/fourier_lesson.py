"""FourierLesson: a network learns from the source's images, each in the style of one of the target."""

from __future__ import annotations

from headstart.data.dataset import Splits
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.box_lesson import BoxLesson
from headstart.training.domain_plan import FourierPlan
from headstart.training.mask_lesson import MaskLesson
from headstart.training.styles import Styles
from headstart.training.target_lesson import TargetLesson


class FourierLesson(TargetLesson):
    """The source's loss on images in the target's style."""

    plan: FourierPlan

    def __init__(self, model: Model, splits: Splits, plan: FourierPlan, context: Context) -> None:
        super().__init__(model, splits, plan, context)
        self._maps = None  # an image varies with its style, even where nothing else augments it
        self.beside = {"style": Styles(self.partners, beta=plan.beta)}


class FourierMaskLesson(FourierLesson, MaskLesson):
    """The same of a segmenter."""


class FourierBoxLesson(FourierLesson, BoxLesson):
    """The same of a detector."""
