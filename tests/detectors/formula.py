"""Weights, pictures and boxes by a formula in whole numbers, the same on every machine and for every library."""

from collections.abc import Mapping

import numpy as np
import torch

from headstart.detectors.head import Target


def spread(count: int, place: int) -> torch.Tensor:
    """Return float32 [count] between -1 and 1 that look random: a mix of bits of their numbers."""
    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(place)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return torch.from_numpy((mixed >> np.uint64(11)).astype(np.float64) / 2**52 - 1).float()


def fill(tensors: Mapping[str, torch.Tensor]) -> None:
    """Set each tensor of a YOLOX, in place, by its place among the sorted names of the release."""
    for place, (name, tensor) in enumerate(sorted(tensors.items())):
        if name.endswith("num_batches_tracked"):
            continue
        values = spread(tensor.numel(), place).view_as(tensor)
        if tensor.ndim > 1:
            gain = 0.02 if "stem" in name and "backbone" in name else 1.0 if "preds" in name else 2.2
            values = values * gain / tensor[0].numel() ** 0.5
        elif "reg_preds" in name:
            values = values / 4 + torch.tensor([0.5, 0.5, 1.5, 1.5])  # boxes of some cells, which lie over each other
        elif name.endswith("running_var"):
            values = 1 + values / 2
        elif name.endswith("bn.weight"):
            values = 1 + values / 4
        tensor.copy_(values)


def pictures() -> torch.Tensor:
    """Return float32 [2, 3, 96, 128], 0 to 255."""
    return spread(2 * 3 * 96 * 128, 1000).view(2, 3, 96, 128) * 127.5 + 127.5


def targets() -> list[Target]:
    """Return the boxes of the two pictures; some lie over each other."""
    boxes = ([[4, 4, 60, 84], [20, 10, 70, 80], [90, 40, 120, 60], [88, 36, 126, 90]], [[10, 20, 50, 60]])
    labels = ([3, 41, 3, 79], [0])
    return [{"boxes": torch.tensor(box, dtype=torch.float32), "labels": torch.tensor(label)}
            for box, label in zip(boxes, labels, strict=True)]
