"""Mean teacher: train on the source's masks or boxes and on what a mean of the own weights says of the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from headstart.averages.ema import EMA
from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.domain_plan import TeacherPlan
from headstart.training.domain_training import WholeTraining
from headstart.training.train import train


class MeanTeacher(TeacherPlan, WholeTraining):
    """Of masks the student learns images of the target with half of a source image's classes laid on them, in other
    colours: there the mask is true, the rest is what the teacher says, which counts as far as it is sure. Of boxes it
    learns those of which the teacher is sure. The teacher, the exponential mean of the student's weights, is kept.

    Source: Tranheden et al., "DACS: Domain Adaptation via Cross-domain Mixed Sampling", WACV 2021; Olsson et al.,
    "ClassMix", WACV 2021; Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017; of boxes Liu et
    al., "Unbiased Teacher", ICLR 2021, and Deng et al., "Unbiased Mean Teacher", CVPR 2021.
    """

    from_answers: ClassVar[bool] = True
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **WholeTraining.task_defaults,
        "detection": {**WholeTraining.task_defaults["detection"], "threshold": 0.5, "decay": 0.95}}

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError where another average is asked for."""
        if self.average is not None:
            raise ConfigError(f"mean_teacher: average={self.average.part_name} would have no effect: the teacher is "
                              "the average. Set decay.")

    def adapted(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the teacher of the chosen epoch. Raises as `training.train.train`."""
        # A mean that warms up is within the first hundred steps hardly more than the student, whose errors it would
        # teach back: on CamVid at dusk that took the mean IoU from 0.34 to 0.30, and a detector lost its sure boxes.
        teacher = EMA(decay=self.decay, begin="steady")
        return train(model, splits, self.model_copy(update={"average": teacher}), context)
