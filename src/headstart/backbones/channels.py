"""Channels: make a model of RGB images take 1, 4 or n channels."""

from __future__ import annotations

import math

import torch

from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError


def adapt_kernel(kernel: torch.Tensor, channels: int) -> torch.Tensor:
    """Return a first convolution's kernel [out, channels, h, w] from one for RGB [out, 3, h, w].

    One channel gets the sum over the colours, so that a grey image gives what its three equal channels gave.
    More get the colours in turn, scaled by 3/channels, so that the sum over the inputs keeps its size.
    Source: timm, `adapt_input_conv`.
    """
    colours = kernel.shape[1]
    if colours == channels:
        return kernel
    if colours != 3:
        raise ConfigError(f"the first convolution has {colours} input channels; only one of 3 can be adapted to "
                          f"{channels}. Give images of {colours} channels, or another backbone.")
    if channels == 1:
        return kernel.float().sum(1, keepdim=True).to(kernel.dtype)
    repeated = kernel.float().repeat(1, math.ceil(channels / 3), 1, 1)[:, :channels]
    return (repeated * (3 / channels)).to(kernel.dtype)


def adapt_preprocessing(preprocessing: Preprocessing, channels: int) -> Preprocessing:
    """Return the same preprocessing for `channels`: the average of mean and std for 1, the colours in turn for more."""
    if channels == preprocessing.channels:
        return preprocessing
    mean, std = (_spread(values, channels) for values in (preprocessing.mean, preprocessing.std))
    return preprocessing.model_copy(update={"channels": channels, "mean": mean, "std": std})


def _spread(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if channels == 1:
        return (math.fsum(values) / len(values),)
    return tuple(values[i % len(values)] for i in range(channels))
