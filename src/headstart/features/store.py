"""FeatureStore: pooled features on disk, keyed by what they depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.data.dataset import Dataset
from headstart.data.transforms import Preprocessing
from headstart.events import Listen


class FeatureStore:
    """Keeps features under `folder`. To be written by the features helper; this signature stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def features(self, backbone: Backbone, preprocessing: Preprocessing, dataset: Dataset, *, listen: Listen,
                 device: str = "cpu", workers: int = 0) -> np.ndarray:
        """Return float32 [N, D] in the order of the samples; computed only for images not stored yet."""
        raise NotImplementedError
