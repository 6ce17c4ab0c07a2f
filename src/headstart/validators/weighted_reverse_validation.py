"""Weighted reverse validation: reverse validation on a source whose classes stand in the shares of the answers."""

from __future__ import annotations

from pydantic import Field

from headstart.probabilities import softened
from headstart.round_trip import PENALTY, as_answered, returned
from headstart.validators.validator import Evidence, Validator

# N source images (train and validation), D features, C classes


class WeightedReverseValidation(Validator):
    """As reverse validation, each image of the source weighing as often as its class is answered on the target.

    What learns the answers on a target that shows a part of the classes can't name the others, and plain reverse
    validation prefers answers that are spread over all of them, however wrong. Here a class that is not answered does
    not count, neither in the accuracy nor in the mean that the features are taken about. The price: answers that merge
    classes which are there are not seen through.
    """

    penalty: float = Field(PENALTY, gt=0)
    """Of the regression, for features of unit variance on average; times the target's images."""

    def __call__(self, evidence: Evidence) -> float:
        """Return the score, at most 1; raises DataError where a logit is not finite."""
        said = softened(evidence.target_logits, self.part_name).argmax(axis=1)
        classes = evidence.target_logits.shape[1]
        source, labels = evidence.source()
        weights = as_answered(labels, said, classes=classes)
        if weights is None:
            return 0.0
        return returned(source, labels, evidence.target_features, said, classes=classes, penalty=self.penalty,
                        weights=weights)
