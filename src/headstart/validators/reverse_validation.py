"""Reverse validation: whether the answers on the target, taken for labels, teach what is right on the source."""

from __future__ import annotations

from pydantic import Field

from headstart.probabilities import softened
from headstart.round_trip import PENALTY, returned
from headstart.validators.validator import Evidence, Validator

# M target images, S source images (train and validation), D features, C classes


class ReverseValidation(Validator):
    """Accuracy on the source's images, beyond chance, of a classifier that learned the model's answers on the target.

    Where a model mixes up groups of the target, what is learned from its answers is wrong about the source, whose
    labels are known; how sure or how tidy the answers are does not matter. The classifier is a ridge regression to
    the classes. The features of each domain are taken about their own mean, and chance off as in Cohen's kappa:
    (a - e) / (1 - e), e the accuracy that the two sets' shares of the classes would give.
    Source: Zhong et al., "Cross Validation Framework to Choose amongst Models and Datasets for Transfer Learning",
    ECML PKDD 2010, which goes back the same way.
    """

    penalty: float = Field(PENALTY, gt=0)
    """Of the regression, for features of unit variance on average; times M."""

    def __call__(self, evidence: Evidence) -> float:
        """Return the score, at most 1; raises DataError where a logit is not finite."""
        said = softened(evidence.target_logits, self.part_name).argmax(axis=1)
        classes = evidence.target_logits.shape[1]
        source, labels = evidence.source()
        return returned(source, labels, evidence.target_features, said, classes=classes, penalty=self.penalty)
