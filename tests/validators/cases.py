"""Evidence that the tests of the validators share."""

import dataclasses

import numpy as np

from headstart.validators.validator import Evidence

# M target images, N source images of validation, T source images of train, D features, C classes


def evidence(sizes=(60, 50, 70, 8, 4), seed=0, *, target_apart=3.0, source_apart=3.0, shift=0.5, epoch=3):
    """Of a model whose logits are `apart` for the right class and noise for the others. sizes: M, N, T, D, C."""
    rng = np.random.default_rng(seed)
    m, n, t, d, c = sizes
    labels, truth, taught = (rng.permutation(np.arange(count) % c) for count in (n, m, t))
    return Evidence(
        target_features=rng.normal(size=(m, d)) + shift,
        target_logits=target_apart * np.eye(c)[truth] + rng.normal(size=(m, c)),
        source_features=rng.normal(size=(n, d)),
        source_logits=source_apart * np.eye(c)[labels] + rng.normal(size=(n, c)),
        source_labels=labels,
        train_features=rng.normal(size=(t, d)),
        train_labels=taught,
        epoch=epoch)


def but(given, **changes):
    return dataclasses.replace(given, **changes)
