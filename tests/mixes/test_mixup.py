import numpy as np
import pytest
import torch

from headstart.mixes.mixup import Mixup

# B images, C classes


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(5, 2, 8, 6, generator=generator), torch.rand(5, 4, generator=generator),
            torch.rand(5, generator=generator))


def share(alpha: float, seed: int) -> float:
    """Draw Beta(a, a) once more, as the first of two coordinates of Dirichlet(a, a)."""
    torch.manual_seed(seed)
    return float(torch._sample_dirichlet(torch.tensor([[alpha, alpha]]))[0, 0])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_images_labels_and_weights_are_blended_by_one_share(seed: int, alpha: float) -> None:
    images, targets, weights = batch()
    lam = share(alpha, seed)
    torch.manual_seed(seed)
    mixed, labels, carried = Mixup(alpha=alpha)(images, targets, weights)
    # A label counts as much as its image's weight.
    pairs = ((images, mixed), (weights, carried), (weights[:, None] * targets, carried[:, None] * labels))
    for before, after in pairs:
        plain = before.double().numpy()
        expected = np.stack([lam * plain[n] + (1 - lam) * plain[n - 1] for n in range(len(plain))])
        np.testing.assert_allclose(after.numpy(), expected, atol=1e-6)


def test_the_shares_are_those_of_the_beta_distribution() -> None:
    """Mean 1/2 and variance 1 / (4 (2 alpha + 1))."""
    torch.manual_seed(0)
    images, weights = torch.zeros(2, 1, 1, 1), torch.ones(2)
    shares = np.array([float(Mixup(alpha=0.2)(images, torch.eye(2), weights)[1][0, 0]) for _ in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.04)
    assert shares.var() == pytest.approx(1 / (4 * 1.4), abs=0.01)
