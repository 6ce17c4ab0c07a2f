"""Loss: the contract of what a wrong answer costs."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from pydantic import BeforeValidator, PlainSerializer

from headstart.catalog import Catalog
from headstart.errors import ConfigError
from headstart.part import Part

# B images, C classes


class Loss(Part):
    """The cost of each sample. Everything is float32; the targets may be soft (smoothed or mixed labels)."""

    tasks: ClassVar[tuple[str, ...]]
    """Names of the tasks that the loss can do."""
    uses_prior: ClassVar[bool] = False
    """Whether the loss is corrected by the class shares, so that no other correction of them may come on top."""

    def check(self, task: str) -> None:
        """Raise ConfigError where the loss can't do the task, or where a setting has no effect on it."""
        if task not in self.tasks:
            able = [name for name, part in LOSSES.all().items() if task in part.tasks]
            raise ConfigError(f"loss {self.part_name} can't do {task}. Losses that can: {', '.join(able)}.")

    @abstractmethod
    def softmax(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B] for one class an image. logits [B, C]; targets [B, C], rows that sum to 1.

        prior: [C], the share of each class among the training images, summing to 1, none of them 0.
        """

    @abstractmethod
    def sigmoid(self, logits: torch.Tensor, targets: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return [B] for any number of labels an image, mean over the labels. targets [B, C] in 0..1.

        prior: [C], the share of the training images that have each label, in 0..1 exclusive.
        """


LOSSES: Catalog[Loss] = Catalog("losses", Loss)  # type: ignore[type-abstract]
ChosenLoss = Annotated[Loss, BeforeValidator(LOSSES.validated), PlainSerializer(LOSSES.plain)]
