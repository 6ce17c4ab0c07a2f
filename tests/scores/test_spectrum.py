import numpy as np
import pytest

from headstart.scores import score, spectrum
from headstart.scores.spectrum import class_means, principal, scatter
from tests.scores import slow
from tests.scores.cases import SHAPES, X, Y, draw


@pytest.mark.parametrize("shape", [*SHAPES.values(), (20, 20, 2), (200, 30, 4)])
@pytest.mark.parametrize("centred", [True, False])
def test_it_is_the_singular_value_decomposition(shape, centred):
    features = draw(shape, 0)[0]
    mean = features.mean(axis=0) if centred else 0 * features[0]
    found = spectrum.spectrum(features, centred=centred)
    expected = np.linalg.svd(features - mean, compute_uv=False)
    np.testing.assert_allclose(found.values, expected[expected > 1e-9], rtol=1e-10)
    np.testing.assert_allclose(found.directions.T @ found.directions, np.eye(len(found.values)), atol=1e-10)
    np.testing.assert_allclose(found.project(features) @ found.directions.T + mean, features, atol=1e-9)


@pytest.mark.parametrize("centred", [True, False])
def test_the_scatter_gives_the_same_as_the_matrix(monkeypatch, centred):
    features = draw((200, 30, 4), 0)[0]
    features[:, 7] = features[:, 8]
    direct = spectrum.spectrum(features, centred=centred)
    monkeypatch.setattr(spectrum, "DIRECT", 0)
    monkeypatch.setattr(score, "BLOCK", 37)
    gram = spectrum.spectrum(features, centred=centred)
    assert len(direct.values) == len(gram.values) == 29
    np.testing.assert_allclose(gram.values, direct.values, rtol=1e-7)
    np.testing.assert_allclose(np.abs(gram.directions.T @ direct.directions), np.eye(29), atol=1e-6)


@pytest.mark.parametrize("direct", [2**22, 0])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, 1e-20])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_constant_has_no_directions_however_its_mean_is_rounded(monkeypatch, direct, value, kind):
    monkeypatch.setattr(spectrum, "DIRECT", direct)
    assert len(spectrum.spectrum(np.full((150, 6), value, kind), centred=True).values) == 0


@pytest.mark.parametrize("direct", [2**22, 0])
def test_the_rank_is_found_at_any_scale(monkeypatch, direct):
    monkeypatch.setattr(spectrum, "DIRECT", direct)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(90, 3)) @ rng.normal(size=(3, 12))
    for scale in (1e-12, 1.0, 1e12):
        assert len(spectrum.spectrum(scale * features, centred=True).values) == 3
        assert len(spectrum.spectrum((scale * features).astype(np.float64) + scale, centred=False).values) == 4


def test_scatter_and_means_do_not_depend_on_the_blocks(monkeypatch):
    monkeypatch.setattr(score, "BLOCK", 7)
    np.testing.assert_allclose(scatter(X, X.mean(axis=0)), np.cov(X.T) * 149, rtol=1e-12)
    counts, means = class_means(X, Y)
    assert counts.tolist() == [50, 50, 50]
    np.testing.assert_allclose(means, slow.means_of(X, Y), rtol=1e-12)


def test_principal_components_are_those_of_the_covariance():
    np.testing.assert_allclose(np.abs(principal(X, 2).project(X)), np.abs(slow.pca(X, 2)), atol=1e-10)
    assert principal(X[:3], 64).project(X[:3]).shape == (3, 2)
