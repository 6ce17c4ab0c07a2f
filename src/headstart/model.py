"""Model: backbone, head, classes and preprocessing, in one thing that predicts, saves and loads."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.data.transforms import Preprocessing
from headstart.tasks.task import Task


@dataclass(frozen=True)
class Model:
    """A backbone with a head for named classes. The methods that make new models leave the old one alone."""

    backbone: Backbone
    head: nn.Module
    classes: tuple[str, ...]
    task: Task
    preprocessing: Preprocessing
    temperature: float = 1.0
    """Logits are divided by this before they become probabilities (Guo et al., ICML 2017)."""
