"""Validator: the contract of a judgement of a model on a target domain of which no label is known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import AfterValidator

from headstart.catalog import Catalog
from headstart.errors import ConfigError
from headstart.part import NamedError, Part

# M target images, N source images of validation, T source images of train, D features, C classes


@dataclass(frozen=True)
class Evidence:
    """What a validator sees of a model. There is no place for a label of the target, on purpose."""

    target_features: np.ndarray
    """float [M, D]: the pooled vectors that the head reads."""
    target_logits: np.ndarray
    """float [M, C], before any temperature."""
    source_features: np.ndarray
    """float [N, D] of the source's validation images."""
    source_logits: np.ndarray
    """float [N, C] of the same."""
    source_labels: np.ndarray
    """int [N] of the same, 0..C-1."""
    train_features: np.ndarray
    """float [T, D] of (a part of) the source images that the model learned from."""
    train_labels: np.ndarray
    """int [T] of the same."""
    epoch: int
    """Epochs trained so far; 0 for the start."""
    _said: dict[str, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def source(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the source's images, train and validation together: float [T + N, D] and int [T + N]."""
        return (np.concatenate([self.train_features, self.source_features]),
                np.concatenate([self.train_labels, self.source_labels]))

    def verdict(self, name: str) -> float:
        """Return what a validator says; each is asked once, for others may be made of it. Raises as it does."""
        return self.once(name, lambda: VALIDATORS.get(name)()(self))

    def once(self, name: str, compute: Callable[[], float]) -> float:
        """Return what is computed from this evidence under a name, the first time alone."""
        if name not in self._said:
            self._said[name] = compute()
        return self._said[name]


class Validator(Part):
    """A number in float64, higher for a model that is expected to be right more often on the target."""

    @abstractmethod
    def __call__(self, evidence: Evidence) -> float:
        """Return the score; comparable between models on equal data only."""


VALIDATORS: Catalog[Validator] = Catalog("validators", Validator)  # type: ignore[type-abstract]
NONE = "none"
USUAL = "consistency"
"""The validator that judges where none is named."""


def _known(name: str) -> str:
    """Return the name. Raises NamedError for one that no validator has."""
    if name != NONE:
        try:
            VALIDATORS.get(name)
        except ConfigError as error:
            raise NamedError(str(error)) from None
    return name


def _judging(name: str) -> str:
    """Return the name. Raises NamedError for a validator that holds whatever comes later for better."""
    if name == "last_epoch":
        raise NamedError("last_epoch tells no model from another, only later epochs from earlier ones. Take another "
                         "validator, such as consistency.")
    return _known(name)


ValidatorName = Annotated[str, AfterValidator(_known)]
"""A setting that names a validator, or NONE."""
GuardName = Annotated[str, AfterValidator(_judging)]
"""The same, for one that must tell two models apart."""
