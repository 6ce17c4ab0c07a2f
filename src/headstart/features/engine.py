"""Engine: the one way in which a backbone is run over images without training it.

Pictures are decoded in threads while others are computed: Pillow and the engines let go of Python's lock. Only a few
batches are in memory at any time. Two runs give the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch

from headstart.backbones.backbone import Backbone
from headstart.data.transforms import Preprocessing
from headstart.errors import IntegrityError
from headstart.events import Finished, Listen, Note, Progress, Started
from headstart.features.eager import Eager
from headstart.features.exported import Exported
from headstart.features.identity import identity, key
from headstart.features.pipeline import Pictures, decode_batch, in_order
from headstart.images import title
from headstart.memory import keep_pages
from headstart.types import ImageSource

# N images, B images in a batch, D features, S pixels a side, C channels

WORTH_EXPORTING = 48 * 224**2
"""Pixels, over all images, from which on the half second that an export takes is won back: 48 images at 224 pixels, 190
at 112 (measured at 64 to 224 on EfficientNet-Lite0, Lite2 and MobileNetV2)."""
BATCH = {"exported": 4, "cpu": 8, "cuda": 128}
"""Images that are decoded, and computed, in one go."""
CHECKED = 4
"""Images on which an exported graph is compared with PyTorch."""
TOLERANCE = 1e-4
"""Largest difference between the two, as a share of the largest feature (or of 1, if that is smaller)."""


class Engine(Protocol):
    """What computes: uint8 [B, S, S, C] -> float32 [B, D]."""

    name: str

    def pooled(self, pixels: np.ndarray) -> np.ndarray:
        """Return the pooled features of a batch."""


def extract(backbone: Backbone, preprocessing: Preprocessing, sources: Sequence[ImageSource], *, listen: Listen,
            step: str = "features", device: str = "cpu", workers: int = 0, batch_size: int | None = None,
            errors: dict[int, str] | None = None) -> np.ndarray:
    """Return pooled features, float32 [N, D], in the order of `sources`. The backbone is left as it is.

    workers: threads that decode; 0 takes one for each core.
    batch_size: images in one go; None takes what is fast on the device.
    errors: where given, an image that can't be read is told here by its position, and its row is NaN.
    Raises DataError naming an image that can't be read; IntegrityError where the backbone gives NaN or infinity.
    On a CPU all ways of computing agree within 1e-4 of the largest feature; a GPU computes in bfloat16.
    """
    began = time.monotonic()
    listen(Started(step, len(sources), "images"))
    vectors = np.full((len(sources), backbone.width), np.nan, np.float32)
    for rows, found in stream(backbone, preprocessing, sources, listen=listen, count=len(sources), device=device,
                              workers=workers, batch_size=batch_size, errors=errors):
        vectors[rows] = found
        listen(Progress(step, rows.stop))
    listen(Finished(step, time.monotonic() - began))
    return vectors


def stream(backbone: Backbone, preprocessing: Preprocessing, sources: Sequence[ImageSource], *, listen: Listen,
           count: int, device: str = "cpu", workers: int = 0, batch_size: int | None = None,
           errors: dict[int, str] | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, float32 [B, D]) batch by batch, in order; arguments as in `extract`.

    count: the number of images that decides how to compute; the store asks for fewer than the whole.
    """
    if not sources:
        return
    engine = engine_for(backbone, preprocessing, sources, listen=listen, count=count, device=device)
    cores = torch.get_num_threads()
    # A graph computes in the thread that decoded; PyTorch has threads of its own, and is called from here alone.
    together = isinstance(engine, Exported)
    size = batch_size or BATCH["exported" if together else torch.device(device).type]

    def work(start: int) -> tuple[Pictures, np.ndarray | None]:
        rows = range(start, min(start + size, len(sources)))
        batch = decode_batch(preprocessing, sources, rows, tolerant=errors is not None)
        return batch, engine.pooled(batch.pixels) if together else None

    for start, (batch, found) in zip(range(0, len(sources), size),
                                     in_order(work, range(0, len(sources), size), threads=workers or cores),
                                     strict=True):
        rows = slice(start, start + len(batch.pixels))
        vectors = engine.pooled(batch.pixels) if found is None else found
        if errors is not None:
            errors.update(batch.faults)
        vectors[[row - start for row in batch.faults]] = np.nan
        _require_finite(vectors, backbone, sources[rows], {row - start for row in batch.faults})
        yield rows, vectors


def engine_name(count: int, size: int, *, device: str) -> str:
    """Return how `count` images of `size` pixels a side are computed on a device; part of the key of what is stored."""
    if torch.device(device).type == "cpu":
        return "exported" if count * size**2 >= WORTH_EXPORTING else "eager"
    return torch.device(device).type


def engine_for(backbone: Backbone, preprocessing: Preprocessing, sources: Sequence[ImageSource], *, listen: Listen,
               count: int, device: str) -> Engine:
    """Return what `count` images are computed with. sources: some of them, on which an exported graph is checked."""
    if engine_name(count, preprocessing.size, device=device) == "exported":
        name = key(identity(backbone, preprocessing, engine="exported"))
        if name not in _exported:
            _exported.clear()  # one at a time: a graph holds a copy of the weights
            _exported[name] = _export(backbone, preprocessing, sources[:CHECKED], listen=listen)
        graph = _exported[name]
        if graph is not None:
            return graph
    if torch.device(device).type == "cpu":
        keep_pages()
    return Eager(backbone, preprocessing, device=device)


_exported: dict[str, Exported | None] = {}
"""The graph of the backbone that was run last, by its identity; None where it could not be exported."""


def _export(backbone: Backbone, preprocessing: Preprocessing, sources: Sequence[ImageSource], *,
            listen: Listen) -> Exported | None:
    """Return the exported backbone if it agrees with PyTorch on the first pictures; else None, with a Note."""
    architecture = backbone.spec.architecture
    try:
        exported = Exported(backbone, preprocessing)
    except Exception as error:
        # The exporter and the runtime raise types of their own, and any model may come along.
        reason = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
        listen(Note(f"{architecture} can't be exported ({reason}); PyTorch computes its features, more slowly.",
                    level="warning"))
        return None
    pixels = decode_batch(preprocessing, sources, range(len(sources)), tolerant=True).pixels
    expected = Eager(backbone, preprocessing, device="cpu").pooled(pixels)
    difference = np.abs(exported.pooled(pixels) - expected).max() / max(1.0, np.abs(expected).max())
    if difference <= TOLERANCE:
        return exported
    listen(Note(f"{architecture}: the exported graph differs from PyTorch by {difference:.2g} of the largest feature; "
                "PyTorch computes its features, more slowly.", level="warning"))
    return None


def _require_finite(vectors: np.ndarray, backbone: Backbone, sources: Sequence[ImageSource],
                    unread: set[int]) -> None:
    bad = [int(row) for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)) if int(row) not in unread]
    if bad:
        raise IntegrityError(f"{title(sources[bad[0]])}: {backbone.spec.architecture} gives NaN or infinity for this "
                             "picture, so its weights are damaged. Load them again, or choose another backbone.")
