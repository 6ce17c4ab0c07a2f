"""Lessons: which one a model needs."""

from __future__ import annotations

from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.tasks.semantic import Semantic
from headstart.training.box_lesson import BoxLesson
from headstart.training.image_lesson import ImageLesson
from headstart.training.lesson import Lesson
from headstart.training.mask_lesson import MaskLesson


def lesson_of(model: Model) -> type[Lesson]:
    """Return the lesson that trains models of this task."""
    if isinstance(model.task, Semantic):
        return MaskLesson
    return BoxLesson if isinstance(model.task, Detection) else ImageLesson
