"""Memory faults: how it looks when memory runs out."""

from __future__ import annotations

import torch

SIGNS = ("DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Texts of plain RuntimeErrors: what is taken past PyTorch's own allocator fails without its type."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the main memory or the accelerator's ran out."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS))
