"""Exactness: what makes two trainings with the same seed end in the same bits, switched on and off again."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch

memory: Any = torch.utils.deterministic
"""Untyped: the library sets this module's attributes at run time."""


@contextlib.contextmanager
def exact(device: str, *, threads: int) -> Iterator[None]:
    """Choose deterministic kernels and a fixed number of threads; afterwards everything is as it was before.

    threads: sums are split by thread, so that another number gives other last bits.
    The global generator is given back untouched: training reseeds it at each step from (seed, step).
    """
    before = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
              memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark,
              torch.get_num_threads())
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        devices = range(torch.cuda.device_count()) if device == "cuda" else []
        with torch.random.fork_rng(devices=devices), warnings.catch_warnings():
            # A few CUDA kernels have no deterministic twin; refusing to train for them would help nobody.
            warnings.filterwarnings("ignore", message=".*deterministic.*", category=UserWarning)
            torch.use_deterministic_algorithms(True, warn_only=True)
            # Filling fresh memory takes time and hides nothing: the kernels used here write what they allocate.
            memory.fill_uninitialized_memory = False
            torch.backends.cudnn.benchmark = False
            torch.set_num_threads(threads)
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = before[2]
        torch.backends.cudnn.benchmark = before[3]
        torch.set_num_threads(before[4])
