"""Mean teacher: train on the source's masks or boxes and on what a mean of the own weights says of the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from headstart.averages.ema import EMA
from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.methods.method import Context
from headstart.model import Model
from headstart.tasks.detection import Detection
from headstart.training.domain_plan import TeacherPlan
from headstart.training.domain_training import WholeTraining
from headstart.training.train import train


class MeanTeacher(TeacherPlan, WholeTraining):
    """The teacher tells the class of the target's pixels, or its boxes, as far as it is sure; the student learns that
    in other colours. The teacher, the exponential mean of the student's weights, is what is kept.

    Source: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017; for the domains of segmenters
    Tranheden et al., "DACS", WACV 2021, here without its mixing of both domains' images; of detectors Liu et al.,
    "Unbiased Teacher", ICLR 2021, and Deng et al., "Unbiased Mean Teacher", CVPR 2021.
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
        # The few boxes of which a detector is sure are soon lost where the teacher follows the first steps.
        start: Literal["kept", "forgotten"] = "kept" if isinstance(model.task, Detection) else "forgotten"
        teacher = EMA(decay=self.decay, start=start)
        return train(model, splits, self.model_copy(update={"average": teacher}), context)
