"""Lessons: which one a model needs."""

from __future__ import annotations

from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.tasks.semantic import Semantic
from headstart.training.box_lesson import BoxLesson
from headstart.training.box_teacher_lesson import BoxTeacherLesson
from headstart.training.domain_lesson import DomainLesson
from headstart.training.domain_plan import DomainPlan, FourierPlan, TeacherPlan
from headstart.training.fourier_lesson import FourierBoxLesson, FourierMaskLesson
from headstart.training.image_lesson import ImageLesson
from headstart.training.lesson import Lesson
from headstart.training.mask_lesson import MaskLesson
from headstart.training.plan import Plan
from headstart.training.teacher_lesson import TeacherLesson


def lesson_of(model: Model, plan: Plan) -> type[Lesson]:
    """Return the lesson that trains models of this task by such a plan."""
    if isinstance(plan, DomainPlan):
        return DomainLesson
    of_masks, of_boxes = isinstance(model.task, Semantic), isinstance(model.task, Detection)
    if not of_masks and not of_boxes:
        return ImageLesson
    if isinstance(plan, FourierPlan):
        return FourierMaskLesson if of_masks else FourierBoxLesson
    if isinstance(plan, TeacherPlan):
        return TeacherLesson if of_masks else BoxTeacherLesson
    return MaskLesson if of_masks else BoxLesson
