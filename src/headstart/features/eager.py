"""Eager: a backbone run by PyTorch itself, on a CPU in float32 or on a GPU in bfloat16."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.data.transforms import Preprocessing

# B images, D features, S pixels a side, C channels


class Eager:
    """Pooled features by PyTorch, a batch at a time, in channels_last.

    The weights are copied to the device and laid out there; the backbone itself stays where and as it is.
    """

    def __init__(self, backbone: Backbone, preprocessing: Preprocessing, *, device: str) -> None:
        self.backbone, self.preprocessing, self.device = backbone, preprocessing, torch.device(device)
        # bfloat16 moves logits by more than the 1e-4 that a CPU promises, and without AMX it is slower as well.
        self.half = self.device.type == "cuda"
        self.name = f"eager-{self.device.type}-{'bfloat16' if self.half else 'float32'}"
        self.tensors = {name: _laid_out(tensor.detach(), self.device) for name, tensor in
                        [*backbone.named_parameters(), *backbone.named_buffers()]}

    def pooled(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 [B, D] from uint8 [B, S, S, C]."""
        batch = torch.from_numpy(pixels)
        if self.half:
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        with (evaluating(self.backbone), torch.inference_mode(),
              torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)):
            # Pixels lie [B, S, S, C] in memory: seen as [B, C, S, S] that is channels_last, at no cost.
            images = self.preprocessing.normalise(batch.permute(0, 3, 1, 2))
            vectors = torch.func.functional_call(self.backbone, self.tensors, (images,))
            return np.asarray(vectors.float().cpu().numpy())


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in eval mode, and back in the mode in which each of them was."""
    modes = [(module, module.training) for module in model.modules()]
    for module, _ in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _laid_out(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    layout = torch.channels_last if tensor.ndim == 4 else torch.preserve_format
    return tensor.to(device, memory_format=layout)
