"""Information maximisation: is the model sure of each image of the target, and its answers spread over the classes?"""

from __future__ import annotations

from headstart.probabilities import entropies, softened
from headstart.validators.validator import Evidence, Validator


class InformationMaximisation(Validator):
    """Entropy of the mean of the target's probabilities less their mean entropy; 0 to log C.

    It is the information that an answer has about which image was seen. Misleading where the target's classes are not
    evenly frequent.
    Source: Krause et al., "Discriminative Clustering by Regularized Information Maximization", NeurIPS 2010; that it
    chooses well among adapted models: Musgrave et al., "Three New Validators and a Large-Scale Benchmark Ranking for
    Unsupervised Domain Adaptation", 2022.
    """

    def __call__(self, evidence: Evidence) -> float:
        """Return the score; raises DataError where a logit is not finite."""
        chances = softened(evidence.target_logits, self.part_name)
        return max(0.0, float(entropies(chances.mean(axis=0)) - entropies(chances).mean()))
