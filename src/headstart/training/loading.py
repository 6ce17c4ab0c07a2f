"""Loading: DataLoaders whose workers are watched, and what to do when one dies."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from headstart.data.transforms import Preprocessing
from headstart.errors import ResourceError, listed
from headstart.events import Listen, Note
from headstart.training.box_pictures import TrainBoxes
from headstart.training.mask_pictures import TrainMasks
from headstart.training.order import Order
from headstart.training.pictures import Item, TrainImages, ValImages
from headstart.types import Sample

Examples = TrainImages | TrainBoxes | TrainMasks
PREFETCH = 2
"""Batches that each worker prepares ahead."""
TIMEOUT = 120
"""Seconds after which a worker that sends nothing counts as hung; torch's own default is for ever."""
SHARED_MEMORY = Path("/dev/shm")


def train_loader(images: Examples, order: Order, *, workers: int, pinned: bool) -> DataLoader[Any]:
    """Return the batches that `order` names: images uint8 [B, C, H, W], targets and more, or a list of items."""
    collate = None if isinstance(images, TrainImages) else images.collate
    return DataLoader(images, batch_sampler=order, num_workers=workers, pin_memory=pinned,  # type: ignore[arg-type]
                      collate_fn=collate, **_watched(workers))


def val_loader(images: ValImages, batch_size: int, *, pinned: bool) -> DataLoader[Item]:
    """Return the split in its order, in batches like those of `train_loader`; no workers, there is little to do."""
    return DataLoader(images, batch_size=batch_size, pin_memory=pinned)


def _watched(workers: int) -> dict[str, Any]:
    if not workers:
        return {}
    # fork shares the kept pictures with the workers; spawn would copy them all.
    methods = multiprocessing.get_all_start_methods()
    return {"prefetch_factor": PREFETCH, "timeout": TIMEOUT, "worker_init_fn": _ignore_interrupt,
            "multiprocessing_context": "fork" if "fork" in methods else None}


def _ignore_interrupt(worker: int) -> None:
    # Ctrl-C reaches the whole process group; the main process decides when the workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def possible_workers(wanted: int, preprocessing: Preprocessing, batch_size: int, listen: Listen) -> int:
    """Return `wanted`, or 0 with a Note where shared memory can't hold the batches on their way."""
    if not wanted or not SHARED_MEMORY.exists():
        return wanted
    need = preprocessing.size ** 2 * preprocessing.channels * batch_size * PREFETCH * wanted
    free = shutil.disk_usage(SHARED_MEMORY).free
    if need <= free:
        return wanted
    listen(Note(f"{SHARED_MEMORY} has {free / 1e6:.0f} MB free and {wanted} workers need {need / 1e6:.0f} MB: images "
                "are prepared in the main process instead, which is slower. Give the container more shared memory "
                "(docker: --shm-size), or fewer workers.", "warning"))
    return 0


def is_worker_fault(error: BaseException) -> bool:
    """Return whether a worker died or hung: torch says so, or the pipe to it broke while it handed over a batch."""
    if isinstance(error, ConnectionError | EOFError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and "DataLoader" in text and (
        "exited unexpectedly" in text or "timed out" in text or "is killed by signal" in text)


def worker_error(error: BaseException, samples: Sequence[Sample], positions: Sequence[int]) -> ResourceError:
    """Return the error that names the images which the workers had in hand."""
    names = [samples[position].id for position in positions]
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ResourceError(f"a loader worker died or hung twice ({first}). It was reading some of these images:\n"
                         f"{listed(names, shown=10)}\nThe last checkpoint is whole. Look at these files and at the "
                         "free memory, then go on with `headstart resume`, or use 0 workers.")
