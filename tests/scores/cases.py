"""Data that the tests of the scores share."""

import numpy as np
from sklearn.datasets import load_iris

# N images, D features, C classes, Z classes of the pretrained classifier

X, Y = load_iris(return_X_y=True)


def softmax(logits):
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


THETA = softmax(X)

SHAPES = {"many images": (60, 5, 3), "few images": (14, 30, 3), "one feature": (40, 1, 2), "two classes": (30, 6, 2),
          "30 classes": (90, 6, 30)}
"""N, D, C."""


def draw(shape, seed, *, apart=1.0):
    """Features [N, D] with classes some way apart, labels with every class at least once, source [N, 7]."""
    rng = np.random.default_rng(seed)
    count, width, classes = shape
    labels = rng.permutation(np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)]))
    features = apart * rng.normal(size=(classes, width))[labels] + rng.normal(size=(count, width)) @ np.diag(
        rng.uniform(0.3, 2, width)) + rng.normal(size=width)
    return features, labels, rng.dirichlet(np.full(7, 0.5), count)


def several(labels_of, seed=0):
    """0/1 labels [N, 4] that lean on a class each; the last column is constant."""
    rng = np.random.default_rng(seed)
    columns = [(labels_of == c) ^ (rng.random(len(labels_of)) < 0.1) for c in range(3)]
    return np.stack([*columns, np.ones(len(labels_of), bool)], axis=1).astype(np.int64)


def rotation(width, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]
