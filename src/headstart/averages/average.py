"""Average: the contract of a mean of the weights along the course of training."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from pydantic import BeforeValidator, PlainSerializer

from headstart.catalog import Catalog
from headstart.part import Part

Tensors = list[torch.Tensor]


class Average(Part):
    """Says when the weights are taken into the mean, and how."""

    follows: ClassVar[bool] = False
    """Whether it is a mean of what was learned from the first step on, fit to teach the network."""
    fresh_statistics: ClassVar[bool] = False
    """Whether BatchNorm's statistics, where they move, are taken anew for the mean: the mean of the statistics of
    distant weights is not that of their mean."""

    @abstractmethod
    def due(self, step: int, *, steps: int, total: int) -> bool:
        """Return whether the weights after step `step` (from 1) are taken in; an epoch has `steps`, all are `total`."""

    @abstractmethod
    def update(self, averaged: Tensors, current: Tensors, taken: int) -> None:
        """Take `current` into `averaged`, in place; `taken` sets were taken in before, at least one."""

    def rate(self, progress: float, factor: float) -> float:
        """Return the factor on the learning rates at `progress` (0..1), given the schedule's own."""
        return factor


AVERAGES: Catalog[Average] = Catalog("averages", Average)  # type: ignore[type-abstract]
ChosenAverage = Annotated[Average, BeforeValidator(AVERAGES.validated), PlainSerializer(AVERAGES.plain)]
