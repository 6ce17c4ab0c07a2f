"""Nearness: how like the images of a backbone's pretraining these are, from features that are there anyway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone

# N images, D features, Z classes of the pretrained classifier

NODES = 32
"""Points of the quadrature."""


@dataclass(frozen=True)
class Nearness:
    """What speaks for or against these images being like those of the pretraining; None where it can't be told."""

    confidence: float | None
    """Mean probability of the pretrained classifier's first choice, 0..1; about 0.6 to 0.8 on images like its own."""
    entropy: float | None
    """Mean entropy of its answers as a share of the largest possible, 0..1."""
    distance: float | None
    """How far the mean features are from those of the pretraining images, as a share of their length; 0 is the same."""


def nearness(backbone: Backbone, features: np.ndarray, source: np.ndarray | None) -> Nearness:
    """Return the nearness of float32 [N, D] features; source: float64 [N, Z], as `source_probabilities` gives it."""
    confidence = entropy = distance = None
    if source is not None:
        confidence = float(source.max(axis=1).mean())
        logs = np.log(np.maximum(source, np.finfo(float).tiny))
        entropy = float(-(source * logs).sum(axis=1).mean() / np.log(source.shape[1]))
    expected = expected_mean(backbone)
    if expected is not None:
        difference = features.mean(axis=0, dtype=np.float64) - expected
        distance = float(np.linalg.norm(difference) / max(np.linalg.norm(expected), np.finfo(float).tiny))
    return Nearness(confidence, entropy, distance)


def expected_mean(backbone: Backbone) -> np.ndarray | None:
    """Return float64 [D]: the mean pooled features of the pretraining images, read off the last BatchNorm.

    In eval mode its output, over images of the pretraining and places, has the mean `bias` and the deviation
    `|weight|` in each channel; taken for a Gaussian, the mean after the activation is a quadrature away. None where
    the features are not the mean over a BatchNorm's map: a transformer, a residual branch, or a layer in between.
    """
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms or norms[-1].num_features != backbone.width or norms[-1].weight is None:
        return None
    inner = getattr(norms[-1], "act", None)
    act = inner or _after(backbone, norms[-1])
    if not _is_pooled(backbone, norms[-1], nn.Identity() if inner else act):
        return None
    points, shares = np.polynomial.hermite_e.hermegauss(NODES)
    with torch.inference_mode():
        bias, scale = norms[-1].bias.double().cpu(), norms[-1].weight.double().abs().cpu()
        values = act(bias[None] + torch.from_numpy(points)[:, None] * scale[None])
    return np.asarray((shares[:, None] * values.numpy()).sum(axis=0) / shares.sum())


def _is_pooled(backbone: Backbone, norm: nn.Module, act: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """Return whether the features are the mean over what `act` makes of the norm's map, tried on an image of noise.

    The order of the modules can't tell: a shortcut may be added to the map before it is pooled.
    """
    settings, like = backbone.spec.preprocessing, next(backbone.parameters())
    noise = torch.randn(1, settings.channels, settings.size, settings.size, generator=torch.Generator().manual_seed(0))
    seen: list[torch.Tensor] = []
    # A copy: the activation after it may write in place.
    hook = norm.register_forward_hook(lambda module, given, found: seen.append(found.clone()))
    training = backbone.training
    try:
        with torch.inference_mode():
            features = backbone.eval().pooled(noise.to(like.device, like.dtype))
            means = act(seen[-1]).mean((2, 3)) if seen else None
    finally:
        hook.remove()
        backbone.train(training)
    return means is not None and means.shape == features.shape and torch.allclose(means, features, 1e-3, 1e-5)


def _after(backbone: Backbone, norm: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the activation that is defined next after the norm; the identity where none is."""
    modules = list(backbone.modules())
    later = modules[modules.index(norm) + 1:]
    kinds = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU, nn.LeakyReLU)
    return next((module for module in later if isinstance(module, kinds)), nn.Identity())
