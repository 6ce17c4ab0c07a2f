"""Method: the contract of a way to adapt a model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np

from headstart.data.dataset import Dataset, Splits
from headstart.errors import DataError, listed
from headstart.events import Listen
from headstart.features.store import FeatureStore
from headstart.model import Model
from headstart.part import Part


@dataclass(frozen=True)
class Context:
    """What a method may use besides the model and the data; it changes no result but through `seed`."""

    listen: Listen
    seed: int
    features: FeatureStore
    workspace: Path
    """A folder of this method alone: checkpoints live here while it trains, and are gone when it ends."""
    device: Literal["cpu", "cuda"] = "cpu"
    workers: int = 0
    remaining: Callable[[], float] = lambda: float("inf")
    """Seconds left of --limit-time."""

    def vectors(self, model: Model, part: Dataset) -> np.ndarray:
        """Return float32 [N, D], the features of a part, from the store.

        Raises DataError naming the samples whose features are not finite.
        """
        if not len(part):
            return np.zeros((0, model.backbone.width), np.float32)
        features = self.features.features(model.backbone, model.preprocessing, part, listen=self.listen,
                                          device=self.device, workers=self.workers)
        broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
        if len(broken):
            raise DataError(f"{len(broken)} of {len(part)} images have features that are NaN or infinite:\n"
                            f"{listed([part.samples[i].id for i in broken])}\nLook at these images and leave them out; "
                            "where it is all of them, the weights of the backbone are damaged: choose another one.")
        return features


class Method(Part):
    """Adapts a model to data."""

    tasks: ClassVar[tuple[str, ...]]
    """Names of the tasks that the method supports."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Methods that must run before this one; they are put in front where the user did not name them."""
    takes_labelled: ClassVar[bool] = False
    """Whether it takes the labelled images of a target from `splits.labelled` itself: they don't join train then, for
    no method of its chain."""
    needs_target: ClassVar[bool] = False
    """Whether it adapts to images of another domain, `splits.target`."""
    trains_backbone: ClassVar[bool] = True
    """Whether the backbone's weights change; where not, features come from the store."""

    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Task -> settings whose default is another one there."""
    effective: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Setting -> the only tasks in which it has an effect, for settings that do nothing in some."""

    @classmethod
    def settings_for(cls, tasks: Collection[str]) -> list[str]:
        """Return the names of the settings that have an effect in at least one of the tasks."""
        return [name for name in cls.model_fields if set(cls.effective.get(name, tasks)) & set(tasks)]

    def for_task(self, task: str) -> Self:
        """Return the method with the task's own defaults for all that was not set."""
        own = {name: value for name, value in self.task_defaults.get(task, {}).items()
               if name not in self.model_fields_set}
        return self.model_copy(update=own) if own else self

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise HeadstartError where the settings, or what they name, don't fit this job.

        Called before anything is written, so that such a mistake leaves no run behind.
        """

    @abstractmethod
    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the adapted model; `model` itself is left as it was. Reads train and val, never test."""
