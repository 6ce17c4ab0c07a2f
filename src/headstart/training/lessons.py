"""Lessons: which one a model needs."""

from __future__ import annotations

from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.tasks.semantic import Semantic
from headstart.training.box_lesson import BoxLesson
from headstart.training.domain_lesson import DomainLesson
from headstart.training.domain_plan import DomainPlan, FourierPlan, TeacherPlan
from headstart.training.fourier_lesson import FourierLesson
from headstart.training.image_lesson import ImageLesson
from headstart.training.lesson import Lesson
from headstart.training.mask_lesson import MaskLesson
from headstart.training.plan import Plan
from headstart.training.teacher_lesson import TeacherLesson


def lesson_of(model: Model, plan: Plan) -> type[Lesson]:
    """Return the lesson that trains models of this task by such a plan."""
    if isinstance(plan, DomainPlan):
        return DomainLesson
    if isinstance(plan, FourierPlan | TeacherPlan):
        return FourierLesson if isinstance(plan, FourierPlan) else TeacherLesson
    if isinstance(model.task, Semantic):
        return MaskLesson
    return BoxLesson if isinstance(model.task, Detection) else ImageLesson
