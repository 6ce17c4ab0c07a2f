"""Sight: how validators see models of a task: the one that is to be adapted, and all that come of it."""

from __future__ import annotations

from typing import Protocol

from headstart.data.dataset import Splits
from headstart.domains.judging import answered, evidence_of
from headstart.domains.place_sample import PlaceSample
from headstart.methods.method import Context
from headstart.model import Model
from headstart.tasks.task import ImageTask
from headstart.validators.validator import Evidence


class Sight(Protocol):
    """The same images, and the same places of them, for every model."""

    what: str
    """What a model answers, for messages, such as `places`."""

    def of(self, model: Model) -> Evidence:
        """Return what validators see of a model."""

    def pair(self, start: Model, adapted: Model) -> tuple[Evidence, Evidence]:
        """Return what validators see of the start and of what came of it, so that the two can be compared."""


class ImageSight:
    """Whole images, among the features of the start."""

    what = "answers"

    def __init__(self, start: Model, splits: Splits, context: Context) -> None:
        self._start, self._splits, self._context = start, splits, context
        self._first = evidence_of(start, splits, context)

    def of(self, model: Model) -> Evidence:
        """Return what validators see of a model."""
        if model is self._start:
            return self._first
        return answered(self._first, self._start, model, self._splits, self._context)

    def pair(self, start: Model, adapted: Model) -> tuple[Evidence, Evidence]:
        """Return what validators see of the start and of what came of it."""
        return self.of(start), self.of(adapted)


def sight(start: Model, splits: Splits, context: Context) -> Sight:
    """Return how validators see a model that is to be adapted, and others of its task."""
    made = ImageSight if isinstance(start.task, ImageTask) else PlaceSample
    return made(start, splits, context)
