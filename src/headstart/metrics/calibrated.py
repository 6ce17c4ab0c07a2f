"""Per-sample log loss and Brier score, and the bins of the expected calibration error.

# N samples, C classes
"""

from __future__ import annotations

import numpy as np

BINS = 15


def log_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return float64 [N]: -log p of the truth in nats; for multi-label the mean over labels.

    Probabilities are clipped to [e, 1 - e] with e the float64 epsilon, as scikit-learn does.
    """
    epsilon = np.finfo(np.float64).eps
    clipped = np.clip(probabilities, epsilon, 1 - epsilon)
    if labels.ndim == 1:
        return np.asarray(-np.log(clipped[np.arange(len(labels)), labels]))
    return np.asarray(-np.where(labels > 0, np.log(clipped), np.log1p(-clipped)).mean(axis=1))


def brier_scores(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return float64 [N], the squared error of the probabilities.

    One class per image: summed over classes, 0..2 (Brier, 1950); with two classes twice scikit-learn's binary score.
    Multi-label: mean over the labels, 0..1, each label's term being scikit-learn's binary score.
    """
    if labels.ndim == 2:
        return np.asarray(((probabilities - labels) ** 2).mean(axis=1))
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(labels)), labels] = 1
    return np.asarray(((probabilities - truth) ** 2).sum(axis=1))


def confidences(labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what was claimed and what was so, float64 [N, K] each.

    One class per image: K = 1, the probability of the decision against whether it is right.
    Multi-label: K = C, the probability of each label against whether it is there.
    """
    if labels.ndim == 2:
        return probabilities, labels.astype(np.float64)
    claimed = probabilities[np.arange(len(labels)), predicted]
    return claimed[:, None], (predicted == labels).astype(np.float64)[:, None]


def bin_of(claimed: np.ndarray) -> np.ndarray:
    """Return int64, the bin of each probability: bin b is (b/15, (b+1)/15], and 0 belongs to the first."""
    return np.clip(np.ceil(claimed * BINS) - 1, 0, BINS - 1).astype(np.int64)


def binned_gaps(claimed: np.ndarray, so: np.ndarray) -> np.ndarray:
    """Return float64 [N, 15]: what each sample adds to the gap of each bin.

    The error is then sum_b |sum_n w_n gap_nb| / sum_n w_n, which is Guo et al., ICML 2017, equation 3.
    """
    gaps = np.zeros((len(claimed), BINS))
    rows = np.broadcast_to(np.arange(len(claimed))[:, None], claimed.shape)
    np.add.at(gaps, (rows, bin_of(claimed)), (claimed - so) / claimed.shape[1])
    return gaps
