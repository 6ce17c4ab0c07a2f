"""Counter-based randomness: a number from (seed, what for, counters), never from a generator's position.

A run that resumes at step 17 therefore draws what it would have drawn, with no random state to restore.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, kind: str, *counters: int) -> int:
    """Return a 63-bit integer that depends on all arguments and nothing else."""
    digest = hashlib.sha256(repr((seed, kind, counters)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, kind: str, *counters: int) -> np.random.Generator:
    """Return a NumPy generator seeded by `derive`."""
    return np.random.default_rng(derive(seed, kind, *counters))
