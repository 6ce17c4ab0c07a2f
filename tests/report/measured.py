"""Numbers of a run directory, computed with scikit-learn from real predictions of handwritten digits."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn import metrics as sk


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def auroc(hot: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of pairs that are ranked right, by the Mann-Whitney statistic. hot bool [N], scores [N]."""
    positives = hot.sum()
    return float((rankdata(scores)[hot].sum() - positives * (positives + 1) / 2) / (positives * (~hot).sum()))


def single(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return the metrics of one class per image. labels int [N], probabilities [N, C]."""
    said, classes = probabilities.argmax(1), np.arange(probabilities.shape[1])
    scores = sk.precision_recall_fscore_support(labels, said, labels=classes, average="macro", zero_division=0)
    hot = np.eye(len(classes), dtype=bool)[labels]
    present = hot.any(0)
    return {
        "accuracy": sk.accuracy_score(labels, said),
        "balanced_accuracy": float(sk.recall_score(labels, said, average="macro", zero_division=0)),
        "precision_macro": scores[0], "recall_macro": scores[1], "f1_macro": scores[2],
        "auroc": float(np.mean([auroc(hot[:, i], probabilities[:, i]) for i in classes[present]])),
        "log_loss": sk.log_loss(labels, probabilities, labels=classes),
        "brier": float(((probabilities - hot) ** 2).sum(1).mean()),
        "expected_calibration_error": calibration(said == labels, probabilities.max(1))[1],
        "cohen_kappa": sk.cohen_kappa_score(labels, said), "mcc": sk.matthews_corrcoef(labels, said),
    }


def several(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return the metrics of several labels per image. labels bool [N, C], probabilities [N, C]."""
    said = probabilities >= 0.5
    return {
        "average_precision": float(sk.average_precision_score(labels, probabilities, average="macro")),
        "f1_macro": sk.f1_score(labels, said, average="macro", zero_division=0),
        "f1_micro": sk.f1_score(labels, said, average="micro", zero_division=0),
        "auroc": float(np.mean([auroc(labels[:, i], probabilities[:, i]) for i in range(labels.shape[1])])),
        "subset_accuracy": sk.accuracy_score(labels, said), "hamming_loss": sk.hamming_loss(labels, said),
        "expected_calibration_error": calibration((said == labels).ravel(), np.maximum(
            probabilities, 1 - probabilities).ravel())[1],
    }


def with_intervals(measure, labels: np.ndarray, probabilities: np.ndarray, *, resamples: int = 3) -> dict:
    """Return {metric: {"value", "low", "high"}} by a percentile bootstrap."""
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(resamples):
        rows = rng.integers(0, len(labels), len(labels))
        draws.append(measure(labels[rows], probabilities[rows]))
    found = {}
    for name, value in measure(labels, probabilities).items():
        low, high = np.quantile([draw[name] for draw in draws], [0.025, 0.975])
        found[name] = {"value": float(value), "low": float(low), "high": float(high)}
    return found


def headline(labels: np.ndarray, probabilities: np.ndarray) -> float:
    if labels.ndim == 1:
        return float((probabilities.argmax(1) == labels).mean())
    return float(sk.average_precision_score(labels, probabilities, average="macro"))


def difference(name: str, labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> dict:
    rng = np.random.default_rng(1)
    gaps = []
    for _ in range(100):
        rows = rng.integers(0, len(labels), len(labels))
        gaps.append(headline(labels[rows], a[rows]) - headline(labels[rows], b[rows]))
    low, high = np.quantile(gaps, [0.025, 0.975])
    return {"metric": name, "difference": {"value": headline(labels, a) - headline(labels, b), "low": float(low),
                                           "high": float(high)},
            "probability_a_better": float(np.mean(np.array(gaps) > 0))}


def calibration(right: np.ndarray, confidence: np.ndarray) -> tuple[list[dict], float]:
    """Return ten bins of confidence, and the expected calibration error."""
    bins, error = [], 0.0
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        n = int(inside.sum())
        mean = float(confidence[inside].mean()) if n else None
        share = float(right[inside].mean()) if n else None
        bins.append({"low": float(low), "high": float(low + 0.1), "count": n, "confidence": mean, "accuracy": share})
        error += n / len(right) * abs(mean - share) if n else 0.0
    return bins, float(error)


def per_class(classes: list[str], hot: np.ndarray, said: np.ndarray, probabilities: np.ndarray) -> dict:
    """Return the scores of each class; hot and said are bool [N, C]."""
    precision, recall, f1, support = sk.precision_recall_fscore_support(hot, said, average=None, zero_division=0)
    found = {}
    for i, name in enumerate(classes):
        known = 0 < support[i] < len(hot)
        found[name] = {
            "precision": float(precision[i]), "recall": float(recall[i]), "f1": float(f1[i]) if support[i] else None,
            "support": int(support[i]),
            "auroc": auroc(hot[:, i], probabilities[:, i]) if known else None,
            "average_precision": float(sk.average_precision_score(hot[:, i], probabilities[:, i])) if known else None}
    return found
