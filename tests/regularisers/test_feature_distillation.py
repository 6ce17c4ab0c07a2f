import numpy as np
import pytest

from headstart.regularisers.feature_distillation import FeatureDistillation
from tests.regularisers.steps import double, step


def test_the_penalty_is_the_mean_squared_distance_of_the_pooled_features_in_float64() -> None:
    given = step()
    exact = double(given)
    now = exact.network.backbone.pooled(exact.images).detach().numpy()
    before = exact.reference.backbone.pooled(exact.images).numpy()
    found = FeatureDistillation(strength=3.0).penalty(given)
    assert float(found.detach()) == pytest.approx(3 * np.mean((now - before) ** 2), rel=1e-4)


def test_the_head_is_none_of_its_business() -> None:
    given = step(head=1.0)
    FeatureDistillation().penalty(given).backward()
    assert all(parameter.grad is None for parameter in given.network.head.parameters())
    assert any(parameter.grad is not None for parameter in given.network.backbone.parameters())
