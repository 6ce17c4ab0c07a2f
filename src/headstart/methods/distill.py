"""Distill: train a small model on what a larger, already adapted one says of the same pictures."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from headstart.data.dataset import Splits
from headstart.divergence import soft_loss
from headstart.errors import ConfigError
from headstart.events import Note
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.past_runs import PastRun, RunPath, find_past_run, refuse_leaks
from headstart.training.objective import Teaching
from headstart.training.plan import Plan
from headstart.training.teaching import Teacher, require_teaching
from headstart.training.train import train


class Distill(Plan, Method):
    """Fine-tunes towards the labels and a teacher's soft answers on the very pictures, augmented, that it sees itself.

    (1 - teacher_weight) * loss + teacher_weight * T^2 KL(teacher || student). A teacher of the same architecture makes
    it self-distillation (Furlanello et al., "Born-Again Neural Networks", ICML 2018).
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")
    needs: ClassVar[tuple[str, ...]] = ("probe",)

    teacher: RunPath = ""
    """Folder of a finished run on the same data and seed, whose model teaches."""
    teacher_weight: float = Field(0.5, ge=0, le=1)
    """Share of the teacher in the loss; the labels have the rest."""
    teacher_temperature: float = Field(2.0, gt=0, le=100)
    """T: both logits are divided by it; higher ones tell more of the classes that the teacher holds unlikely."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError for a teacher that can't teach this job, DataError for one that knows its test images."""
        run = self._run()
        if run.task != model.task.part_name:
            raise ConfigError(f"distill: {run} does {run.task}, this job {model.task.part_name}. Choose a teacher of "
                              "the same task.")
        require_teaching(run.classes, splits.train.classes, theirs=run.preprocessing, mine=model.preprocessing)
        refuse_leaks([run], splits, where="distill")

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return `model` with the weights of the best epoch. Raises as `refuse_unfit` and `training.train.train`."""
        self.refuse_unfit(model, splits)
        run = self._run()
        taught_by = run.model()
        theirs, mine = taught_by.preprocessing, model.preprocessing
        if theirs.fit != mine.fit:
            context.listen(Note(f"distill: {run} learned from pictures brought to the square by {theirs.fit}, and is "
                                f"shown the student's, by {mine.fit}. Its answers may be worse for it; --set "
                                f"fit={theirs.fit} makes them alike.", "warning"))
        teacher = Teacher(taught_by, mine, model.classes, device=context.device)

        def losses(images: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            return soft_loss(logits, teacher(images), temperature=self.teacher_temperature,
                             several=model.task.part_name == "multilabel")

        return train(model, splits, self, context, teaching=Teaching(self.teacher_weight, losses))

    def _run(self) -> PastRun:
        if not self.teacher:
            raise ConfigError("distill: name the run whose model teaches, such as "
                              "--set method.distill.teacher=runs/large.")
        return find_past_run(self.teacher, where="distill")
