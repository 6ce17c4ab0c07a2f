"""What the tests of the losses share: cases, and their exact probabilities in float64."""

import numpy as np
import torch

# B images, C classes

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (7, 4))
HARD = np.eye(4)[RNG.integers(0, 4, 7)]
SOFT = RNG.dirichlet(np.ones(4), 7)
SEVERAL = RNG.integers(0, 2, (7, 4)).astype(float)
PRIOR = np.array([0.6, 0.25, 0.1, 0.05])


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.array([[np.exp(z) / sum(np.exp(other) for other in row) for z in row] for row in logits])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def tensors(*arrays: np.ndarray) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(array, dtype=torch.float32) for array in arrays)


def near_1() -> torch.Tensor:
    """Logits [B, 2] whose softmax comes as near to 1 as float32 goes, and arrives there."""
    gap = torch.linspace(0, 40, 161)
    return torch.stack([gap, torch.zeros_like(gap)], dim=1)
