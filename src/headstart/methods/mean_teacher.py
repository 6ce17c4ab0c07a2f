"""Mean teacher: train a segmenter on the source's masks and on what a mean of its own weights says of the target."""

from __future__ import annotations

from typing import ClassVar

from headstart.averages.ema import EMA
from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.domain_plan import TeacherPlan
from headstart.training.domain_training import SegmenterTraining
from headstart.training.train import train


class MeanTeacher(TeacherPlan, SegmenterTraining):
    """The teacher tells the class of the target's pixels, as far as it is sure; the student learns that in other
    colours. The teacher, the exponential mean of the student's weights, is what is kept.

    Source: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017; for the domains of segmenters
    Tranheden et al., "DACS", WACV 2021, here without its mixing of both domains' images.
    """

    from_answers: ClassVar[bool] = True

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where another average is asked for."""
        if self.average is not None:
            raise ConfigError(f"mean_teacher: average={self.average.part_name} would have no effect: the teacher is "
                              "the average. Set decay.")

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the teacher of the chosen epoch. Raises as `training.train.train`."""
        return train(model, splits, self.model_copy(update={"average": EMA(decay=self.decay)}), context)
