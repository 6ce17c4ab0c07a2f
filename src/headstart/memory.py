"""Memory: make the C allocator keep big blocks, which training on a CPU takes and drops at every layer."""

from __future__ import annotations

import ctypes
import logging
import platform
from functools import cache

log = logging.getLogger("headstart")

# Parameters of mallopt in glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST = 2**31 - 1


@cache
def keep_pages() -> bool:
    """Let freed blocks of any size stay in the process, and return whether that was possible (glibc on Linux).

    glibc hands blocks above 32 MB back to the kernel as soon as they are freed. The activations of a batch are of
    that size, so each layer has fresh memory cleared for it page by page. Kept, they are used again. Measured on
    2 cores, EfficientNet-Lite0, 224 px, batch 32, images/s: forward 38 -> 68, training step 5.3 -> 11.9, and
    13.7 -> 20 in channels_last. The price: the process stays as large as it was at its peak.
    The results of no computation change. Elsewhere than on glibc nothing is done.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    return _set_thresholds(LARGEST, LARGEST)


def _set_thresholds(mmap: int, trim: int) -> bool:
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        log.debug("no mallopt in libc.so.6; the allocator stays as it is")
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return bool(mallopt(M_MMAP_THRESHOLD, mmap) and mallopt(M_TRIM_THRESHOLD, trim))
