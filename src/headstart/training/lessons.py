"""Lessons: which one a model needs."""

from __future__ import annotations

from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.training.box_lesson import BoxLesson
from headstart.training.image_lesson import ImageLesson
from headstart.training.lesson import Lesson


def lesson_of(model: Model) -> type[Lesson]:
    """Return the lesson that trains models of this task."""
    return BoxLesson if isinstance(model.task, Detection) else ImageLesson
