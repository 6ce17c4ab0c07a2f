"""Costs: what a backbone takes, counted and measured on this machine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from headstart.backbones.backbone import Backbone
from headstart.errors import HeadstartError
from headstart.events import Listen, Note
from headstart.features.eager import evaluating
from headstart.features.engine import engine_for, engine_name
from headstart.features.exported import Exported
from headstart.features.identity import identity, key
from headstart.files import cache_folder, read_json, write_json
from headstart.types import ImageSource

TRIED, ROUNDS = 8, 3
"""Images of noise whose time is taken, and how often; the least counts."""
TRAINING_BATCH = 32
TRAINING_COPIES = 4
"""Weights, gradients and the two moments of AdamW."""


@dataclass(frozen=True)
class Cost:
    """What one image costs a backbone at its input size."""

    parameters: int
    """Without the classifier."""
    gmacs: float
    """Billions of multiply-adds in its convolutions and matrix products."""
    images_per_second: float
    """Feature extraction of so many images here, decoding not counted."""
    training_mb: float
    """Memory to train all of it: weights, gradients, AdamW, and the activations of 32 images in float32."""


def measure(backbone: Backbone, sources: Sequence[ImageSource], *, images: int, device: str, listen: Listen) -> Cost:
    """Return the cost, measured once on this machine and then remembered in the cache folder.

    sources: a few images, on which the engine that is timed is checked. images: how many there are in all; they decide
    which engine that is.
    """
    preprocessing = backbone.spec.preprocessing
    engine = engine_name(images, preprocessing.size, device=device)
    name = key({**identity(backbone, preprocessing, engine=engine), "threads": str(torch.get_num_threads())})
    path = cache_folder() / "costs" / f"{name}.json"
    with contextlib.suppress(OSError, TypeError, HeadstartError):  # none yet, or a damaged one: measured anew
        return Cost(**read_json(path))
    macs, saved = count(backbone)
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    cost = Cost(parameters, macs / 1e9, throughput(backbone, sources, images=images, device=device, listen=listen),
                (TRAINING_COPIES * 4 * parameters + TRAINING_BATCH * saved) / 1e6)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(cost))
    except (OSError, HeadstartError) as error:
        listen(Note(f"the cost of {backbone.spec.architecture} can't be kept and is measured anew next time: {error}",
                    "warning"))
    return cost


def count(backbone: Backbone) -> tuple[float, float]:
    """Return the multiply-adds of one image, and the bytes of activations that its backward pass needs."""
    settings = backbone.spec.preprocessing
    image = torch.zeros(1, settings.channels, settings.size, settings.size)
    weights = {parameter.data_ptr() for parameter in [*backbone.parameters(), *backbone.buffers()]}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with evaluating(backbone), torch.enable_grad(), FlopCounterMode(display=False) as counter, \
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        backbone.pooled(image.requires_grad_())
    return counter.get_total_flops() / 2, float(sum(kept.values()))


def throughput(backbone: Backbone, sources: Sequence[ImageSource], *, images: int, device: str,
               listen: Listen) -> float:
    """Return images a second of feature extraction by the engine that so many images are computed with."""
    settings = backbone.spec.preprocessing
    shape = (TRIED, settings.size, settings.size, settings.channels)
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    engine = engine_for(backbone, settings, sources, listen=listen, count=images, device=device)
    # A graph computes one picture in each thread that calls it; PyTorch and a GPU take a batch.
    threads = torch.get_num_threads() if isinstance(engine, Exported) else 1
    parts = [noise[number::threads] for number in range(threads)]
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            list(pool.map(engine.pooled, parts))
            seconds.append(time.perf_counter() - began)
    return TRIED / min(seconds)
