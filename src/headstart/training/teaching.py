"""Teaching: what a student is told by a teacher that sees the very same pictures.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; that the teacher sees the student's own
crop of each picture is the point of Beyer et al., "Knowledge distillation: A good teacher is patient and consistent",
CVPR 2022.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch.nn import functional

from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError
from headstart.model import Model

# B images, C classes, S pixels a side, K channels

SMOOTH = {"bilinear": "bilinear", "bicubic": "bicubic", "lanczos": "bicubic", "nearest": "bilinear"}
"""How tensors are resized, by the name of how pictures are; PyTorch has antialiasing for two ways only."""


class Teacher:
    """A finished model that answers on the student's images, in the student's order of classes.

    student: the preprocessing by which the images were normalised; they are brought back to 0..1, resized to the
    teacher's size and normalised its way. What the student's crop left out the teacher does not see either.
    Raises ConfigError where the teacher lacks a class, or has other channels.
    """

    def __init__(self, model: Model, student: Preprocessing, classes: Sequence[str], *, device: str = "cpu") -> None:
        require_teaching(model.classes, classes, theirs=model.preprocessing, mine=student)
        self.student, self.own, self.temperature = student, model.preprocessing, model.temperature
        self.columns = torch.tensor([model.classes.index(name) for name in classes], device=device)
        network = torch.nn.Sequential(copy.deepcopy(model.backbone), copy.deepcopy(model.head))
        self.network = network.eval().requires_grad_(False)
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return calibrated logits, float32 [B, C], from the student's float32 [B, K, S, S]; without gradients."""
        with torch.no_grad():
            logits: torch.Tensor = self.network(self.seen(images)).float() / self.temperature
        return logits[:, self.columns]

    def seen(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, K, S, S] as the teacher knows them, with its own S; untouched where that is the same."""
        student, own = self.student, self.own
        if (student.size, student.mean, student.std) == (own.size, own.mean, own.std):
            return images
        pixels = images * _channels(student.std, images) + _channels(student.mean, images)
        if student.size != own.size:
            pixels = functional.interpolate(pixels, size=(own.size, own.size), mode=SMOOTH[own.interpolation],
                                            align_corners=False, antialias=True).clamp(0, 1)
        return (pixels - _channels(own.mean, images)) / _channels(own.std, images)


def require_teaching(known: Sequence[str], wanted: Sequence[str], *, theirs: Preprocessing,
                     mine: Preprocessing) -> None:
    """Raise ConfigError where a teacher does not know a class that is wanted, or takes other channels."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"the teacher knows no {', '.join(unknown[:10])}; it knows {', '.join(known[:30])}. Choose a "
                          "teacher that was adapted to these classes.")
    if theirs.channels != mine.channels:
        raise ConfigError(f"the teacher takes images of {theirs.channels} channels, the student of {mine.channels}. "
                          f"Give the student the same: --set channels={theirs.channels}.")


def _channels(values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)
