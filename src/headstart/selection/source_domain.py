"""Source domain: how like the images of its pretraining a backbone finds others, from what its weights remember.

BatchNorm keeps the mean and the variance that each channel had over the pretraining images. What the same channel shows
on other images is compared with them.

# N images, B in a batch, C channels of a layer, L layers
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.data.transforms import Preprocessing
from headstart.events import Finished, Listen, Progress, Started
from headstart.features.eager import evaluating
from headstart.features.pipeline import decode_batch
from headstart.selection.evidence import source_probabilities
from headstart.selection.nearness import nearness
from headstart.types import ImageSource

STEP = "layer by layer"
BATCH = 8
LIKE, UNLIKE = 0.03, 0.08
"""Mean distance of the layers up to which images are like the pretraining's, and from which they are unlike."""


@dataclass(frozen=True)
class SourceDomain:
    """Images against those of a backbone's pretraining; None where the weights remember nothing of it."""

    layers: tuple[float, ...]
    """Of each BatchNorm, shallow first: mean squared Hellinger distance of its channels, 0..1."""
    distance: float | None
    """Their mean."""
    confidence: float | None
    """Mean probability of the pretrained classifier's first choice."""
    entropy: float | None
    """Mean entropy of its answers, as a share of the largest possible."""
    images: int
    """Through which the layers were looked at."""

    @property
    def word(self) -> Literal["like", "between", "unlike", "not known"]:
        """`like` up to a mean distance of 0.03, `unlike` from 0.08 on; of no BatchNorm `not known`."""
        if self.distance is None:
            return "not known"
        return "like" if self.distance <= LIKE else "unlike" if self.distance >= UNLIKE else "between"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "layers": list(self.layers), "word": self.word}


def source_domain(backbone: Backbone, preprocessing: Preprocessing, sources: Sequence[ImageSource],
                  features: np.ndarray, *, listen: Listen) -> SourceDomain:
    """Return what the weights say of images. features: float32 [N, D] of these or more of them.

    Raises DataError naming an image that can't be read.
    """
    layers = tuple(layer_distances(backbone, preprocessing, sources, listen=listen))
    near = nearness(backbone, features, source_probabilities(backbone, features))
    return SourceDomain(layers, float(np.mean(layers)) if layers else None, near.confidence, near.entropy,
                        len(sources) if layers else 0)


def layer_distances(backbone: Backbone, preprocessing: Preprocessing, sources: Sequence[ImageSource], *,
                    listen: Listen) -> list[float]:
    """Return [L], for each BatchNorm with statistics the mean over its channels of the squared Hellinger distance."""
    norms = [module for module in backbone.modules()
             if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None]
    if not norms or not sources:
        return []
    seen = {norm: _Moments() for norm in norms}
    hooks = [norm.register_forward_pre_hook(lambda module, inputs: seen[module].add(inputs[0])) for norm in norms]
    began = time.monotonic()
    listen(Started(STEP, len(sources), "images"))
    try:
        with evaluating(backbone), torch.inference_mode():
            for start in range(0, len(sources), BATCH):
                rows = range(start, min(start + BATCH, len(sources)))
                pixels = torch.from_numpy(decode_batch(preprocessing, sources, rows, tolerant=False).pixels)
                backbone(preprocessing.normalise(pixels.permute(0, 3, 1, 2)))
                listen(Progress(STEP, rows.stop))
    finally:
        for hook in hooks:
            hook.remove()
    listen(Finished(STEP, time.monotonic() - began))
    return [float(hellinger(*_remembered(norm), *moments.mean_and_variance()).mean())
            for norm, moments in seen.items() if moments.count]


def _remembered(norm: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 [C] twice: the mean and the variance that a BatchNorm keeps."""
    state = norm.state_dict()
    return state["running_mean"].double().cpu().numpy(), state["running_var"].double().cpu().numpy()


def hellinger(mean: np.ndarray, variance: np.ndarray, other_mean: np.ndarray, other_variance: np.ndarray) -> np.ndarray:
    """Return float64 [C], the squared Hellinger distance of Gaussians, in 0..1; symmetric. 0 for two equal constants.

    1 - sqrt(2 s t / (s^2 + t^2)) exp(-(m - n)^2 / (4 (s^2 + t^2))) for deviations s, t and means m, n: 0 for
    equal ones, 1 for such as never overlap. A dead channel can't outweigh the others, as it would in a divergence.
    Source: Pardo, "Statistical Inference Based on Divergence Measures", 2006.
    """
    # Channels that hardly vary are compared on a scale that rounding does not reach.
    tiny = 1e-12 * max(float(variance.max(initial=0.0)), float(other_variance.max(initial=0.0)), 1e-12)
    one, two = variance + tiny, other_variance + tiny
    together = one + two
    return np.asarray(1 - np.sqrt(2 * np.sqrt(one * two) / together) * np.exp(-(mean - other_mean)**2 / (4 * together)))


class _Moments:
    """Mean and variance of each channel over images and places."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[np.ndarray] = []

    def add(self, values: torch.Tensor) -> None:
        """Take float32 [B, C] or [B, C, H, W]."""
        channels = values.detach().double().transpose(0, 1).flatten(1)
        self.count += channels.shape[1]
        self.sums.append(torch.stack([channels.sum(dim=1), channels.square().sum(dim=1)]).cpu().numpy())

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Return float64 [C] twice."""
        total, squares = np.sum(self.sums, axis=0) / self.count
        return total, np.maximum(squares - total**2, 0.0)
