"""TaughtLesson: a training beside a target on which a mean of the network's own weights is the teacher."""

from __future__ import annotations

import math

from torch import nn

from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.domain_plan import TeacherPlan
from headstart.training.network import Network
from headstart.training.objective import Teaching
from headstart.training.plan import Plan
from headstart.training.target_lesson import TargetLesson

RAMP = 0.3
"""Share of training in which the target's loss rises to its strength."""


class TaughtLesson(TargetLesson):
    """The teacher is the average that is validated and kept. Its weights are in every checkpoint."""

    plan: TeacherPlan
    _teacher: nn.Module

    def __init__(self, model: Model, splits: Splits, plan: TeacherPlan, context: Context) -> None:
        super().__init__(model, splits, plan, context)
        self.beside = {"partners": self.partners}

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError for settings that would look at the source alone, and as the source's lesson."""
        if plan.find_lr:
            raise ConfigError(f"{plan.part_name}: find_lr looks for the rate at which the source's loss falls, which "
                              "says nothing of the target's. Leave it out.")
        super().refuse(plan, model)

    def begin(self, network: Network, averaged: nn.Module | None, teaching: Teaching | None) -> list[nn.Module]:
        """Take the network in, and its average as the teacher."""
        assert averaged is not None, "the method sets the average"
        self._teacher = averaged
        return super().begin(network, averaged, teaching)  # type: ignore[safe-super]


def ramp(progress: float) -> float:
    """Return exp(-5 (1 - t)^2), with t from 0 to 1 in the first RAMP of training, then 1.

    Source: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017, section 3.
    """
    return math.exp(-5 * (1 - min(1.0, progress / RAMP)) ** 2)
