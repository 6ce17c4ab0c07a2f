"""Every score: what it may not see, no number that is none, memory that the images do not fill."""

import tracemalloc
import warnings

import numpy as np
import pytest
import yaml

from headstart.errors import ConfigError
from headstart.scores import spectrum
from headstart.scores.score import SCORES, MeanScore, Score
from tests.scores.cases import THETA, X, Y, draw, rotation, several

# N images, D features, C classes, Z classes of the pretrained classifier

ALL = SCORES.names()
NO_FEATURES = {"leep", "nce"}
SEE_ORDER = {"linear_probe", "nleep"}
"""The order decides the folds, or where the mixture starts."""
SEE_ROTATION = {"gbc", "parc"}
SEE_SHIFT = {"logme"}
SEE_SCALE = {"gbc", "logme", "sfda", "trans_rate"}
"""By a floor of the variance, by where and when the iteration starts and ends, by the shrinkage, by the distortion."""
MB = 1e6
LIMIT = 250 * MB
"""Half of it is PARC, 2,000 images with each other, or NLEEP, a posterior of each image."""


@pytest.fixture(params=ALL)
def score(request) -> Score:
    return SCORES.get(request.param)()


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return draw((70, 6, 3), 1)


def test_it_is_a_float_whatever_the_precision_of_the_features(score):
    features, labels, source = data()
    found = score(features, labels, source)
    assert type(found) is float
    near = score(features.astype(np.float32), labels.astype(np.int32), source.astype(np.float32))
    assert near == pytest.approx(found, rel=1e-4, abs=1e-4)
    assert np.isfinite(score(features.astype(np.float16), labels.astype(np.uint8), source.astype(np.float16)))


def test_its_inputs_stay_as_they_are_and_it_finds_the_same_again(score):
    features, labels, source = data()
    for array in (features, labels, source):
        array.setflags(write=False)
    assert score(features, labels, source) == score(features, labels, source)


def test_classes_may_have_any_numbers(score):
    features, labels, source = data()
    found = score(features, labels, source)
    for names in ([0, 1, 2], [-5, 7, 10**9], [9, 2, 4]):
        assert score(features, np.array(names)[labels], source) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("name", sorted(set(ALL) - SEE_ORDER))
def test_the_order_of_the_images_does_not_matter(name):
    features, labels, source = data()
    order = np.random.default_rng(0).permutation(70)
    score = SCORES.get(name)()
    assert score(features[order], labels[order], source[order]) == pytest.approx(score(features, labels, source))


@pytest.mark.parametrize("name", sorted(set(ALL) - SEE_ROTATION))
def test_a_rotation_of_the_features_does_not_matter(name):
    features, labels, source = data()
    score = SCORES.get(name)()
    assert score(features @ rotation(6), labels, source) == pytest.approx(score(features, labels, source), rel=1e-6)


@pytest.mark.parametrize("name", sorted(set(ALL) - SEE_SHIFT))
def test_a_shift_of_the_features_does_not_matter(name):
    features, labels, source = data()
    score = SCORES.get(name)()
    shift = np.linspace(-20, 30, 6)
    assert score(features + shift, labels, source) == pytest.approx(score(features, labels, source), rel=1e-6)


@pytest.mark.parametrize("name", sorted(set(ALL) - SEE_SCALE))
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_unit_of_the_features_does_not_matter(name, scale):
    features, labels, source = data()
    score = SCORES.get(name)()
    assert score(scale * features, labels, source) == pytest.approx(score(features, labels, source), rel=1e-6)


@pytest.mark.parametrize("name", sorted(SEE_ROTATION | SEE_SHIFT | (SEE_SCALE - {"logme"})))
def test_what_is_said_to_matter_does(name):
    features, labels, source = data()
    score, found = SCORES.get(name)(), SCORES.get(name)()(features, labels, source)
    other = features @ rotation(6) if name in SEE_ROTATION else features / 100
    other = features + np.linspace(-20, 30, 6) if name in SEE_SHIFT else other
    assert score(other, labels, source) != pytest.approx(found, rel=1e-3)


def test_several_labels_have_a_score_and_constant_ones_change_nothing(score):
    features, labels, source = X[::5], several(Y)[::5], THETA[::5]
    found = score(features, labels, source)
    assert found == pytest.approx(score(features, labels[:, :3], source), rel=1e-12)
    if not score.does_labels:
        alone = [score(features, labels[:, c], source) for c in range(3)]
        assert found == pytest.approx(np.mean(alone), rel=1e-9)


def test_a_mean_score_is_the_mean_of_its_terms(score):
    for labels in (Y[::5], several(Y)[::5]):
        if isinstance(score, MeanScore):
            terms = score.each(X[::5], labels, THETA[::5])
            assert terms.shape == (30,)
            assert score(X[::5], labels, THETA[::5]) == pytest.approx(terms.mean(), rel=1e-12)


def test_it_is_the_same_from_yaml(score):
    plain = yaml.safe_load(yaml.safe_dump(SCORES.plain(score)))
    assert SCORES.parse(plain) == SCORES.parse(score.part_name) == score
    with pytest.raises(ConfigError, match="unknown setting"):
        SCORES.parse({**plain, "no_such": 1})


RNG = np.random.default_rng(5)
NOISE, SOURCE = RNG.normal(size=(24, 9)), RNG.dirichlet(np.ones(4), 24)
THIRDS = np.arange(24) % 3
SPARSE = np.eye(6)[np.array([0, 2, 2, 5] * 6)]
DEGENERATE = {
    "fewer images than features": (RNG.normal(size=(24, 200)), THIRDS, SOURCE),
    "many times fewer": (RNG.normal(size=(6, 600)), np.arange(6) % 3, SOURCE[:6]),
    "one image in a class": (NOISE, (np.arange(24) == 3).astype(int), SOURCE),
    "every class has one image": (NOISE, np.arange(24), SOURCE),
    "every class has one image, and they are few": (RNG.normal(size=(5, 40)), np.arange(5), SOURCE[:5]),
    "duplicated features": (np.hstack([NOISE] * 4), THIRDS, SOURCE),
    "duplicated images": (np.tile(NOISE[:4], (6, 1)), THIRDS, SOURCE),
    "images of a class are equal": (np.eye(3)[THIRDS], THIRDS, SOURCE),
    "one feature": (NOISE[:, :1], THIRDS, SOURCE),
    "one feature of two values": (np.sign(NOISE[:, :1]), THIRDS, SOURCE),
    "two features": (NOISE[:, :2], THIRDS, SOURCE),
    "some constant features": (np.hstack([NOISE, np.full((24, 3), 0.1)]), THIRDS, SOURCE),
    "constant features": (np.full((24, 5), 0.1), THIRDS, SOURCE),
    "constant features, few images": (np.full((24, 99), 0.1, np.float32), THIRDS, SOURCE),
    "all zero": (np.zeros((24, 5)), THIRDS, SOURCE),
    "all zero, few images": (np.zeros((24, 99)), THIRDS, SOURCE),
    "one image differs": (np.eye(24)[:, :1] * np.ones(5), THIRDS, SOURCE),
    "two images": (NOISE[:2], np.array([0, 1]), SOURCE[:2]),
    "two images, one feature": (NOISE[:2, :1], np.array([0, 1]), SOURCE[:2]),
    "two equal images": (NOISE[[0, 0]], np.array([0, 1]), SOURCE[:2]),
    "three images": (NOISE[:3], np.array([0, 1, 1]), SOURCE[:3]),
    "exact zeros in the source": (NOISE, THIRDS, SPARSE),
    "a source of one class": (NOISE, THIRDS, np.ones((24, 1))),
    "a source that is sure and wrong": (NOISE, THIRDS, np.eye(3)[(THIRDS + 1) % 3]),
    "99 to 1": (RNG.normal(size=(300, 5)), (np.arange(300) % 100 == 0).astype(int), np.full((300, 2), 0.5)),
    "large numbers": (1e15 * NOISE, THIRDS, SOURCE),
    "small numbers": (1e-15 * NOISE, THIRDS, SOURCE),
    "sparse features": (np.where(NOISE > 1.5, NOISE, 0), THIRDS, SOURCE),
    "a sparse feature of float32": (np.maximum(NOISE - 2, 0).astype(np.float32), THIRDS, SOURCE),
    "far from zero": (NOISE.astype(np.float32) + 1e4, THIRDS, SOURCE),
    "labels: one image has one": (NOISE, np.eye(24)[:, :2].astype(int), SOURCE),
    "labels: one of one": (NOISE, (THIRDS == 0)[:, None], SOURCE),
    "labels: all the same": (NOISE, np.repeat(THIRDS[:, None] > 0, 5, axis=1), SOURCE),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_no_case_is_too_poor_for_a_finite_number(score, case):
    assert np.isfinite(score(*DEGENERATE[case]))


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("name", ["gbc", "h_score", "logme", "nleep", "regularized_h_score", "sfda"])
def test_nor_where_the_scatter_is_decomposed_instead(monkeypatch, name, case):
    score = SCORES.get(name)()
    score = score.model_copy(update={"components": 2}) if name == "gbc" else score
    monkeypatch.setattr(spectrum, "DIRECT", 0)
    assert np.isfinite(score(*DEGENERATE[case]))


BOUNDS = {"gbc": (-np.inf, 0), "h_score": (0, 23), "knn": (0, 1), "leep": (-np.inf, 0), "linear_probe": (0, 1),
          "nce": (-np.inf, 0), "nleep": (-np.inf, 0), "parc": (-100, 100), "regularized_h_score": (0, 23),
          "sfda": (0, 1), "trans_rate": (0, np.inf)}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("name", BOUNDS)
def test_it_stays_within_its_range(name, case):
    features, labels, source = DEGENERATE[case]
    found = SCORES.get(name)()(features, labels, source)
    assert BOUNDS[name][0] - 1e-9 <= found <= BOUNDS[name][1] + 1e-9


@pytest.mark.parametrize("name", sorted(set(ALL) - NO_FEATURES))
def test_features_that_part_the_classes_score_above_noise(name):
    labels = np.arange(120) % 4
    noise = np.random.default_rng(0).normal(size=(120, 8))
    score = SCORES.get(name)()
    assert score(noise + 4 * np.eye(8)[labels], labels) > score(noise, labels) + 1e-3


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """100,000 images of 1,000 classes with 64 features on disk, and a source of 50 classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(100_000) % 1000)
    centres = rng.normal(size=(1000, 64))
    found = []
    for name, width in (("features", 64), ("source", 50)):
        path = tmp_path_factory.mktemp("large") / f"{name}.f32"
        array = np.memmap(path, np.float32, "w+", shape=(100_000, width))
        for start in range(0, 100_000, 10_000):
            ids = labels[start:start + 10_000]
            array[start:start + 10_000] = rng.normal(size=(10_000, 64))[:, :width] + centres[ids][:, :width]
        if name == "source":
            array[:] = np.exp(array) / np.exp(array).sum(axis=1, keepdims=True)
        found.append(np.memmap(path, np.float32, "r", shape=(100_000, width)))
    return found[0], labels, found[1]


def peak(score: Score, features: np.ndarray, labels: np.ndarray, source: np.ndarray) -> float:
    """Most bytes held at once, numpy's among them."""
    tracemalloc.start()
    try:
        assert np.isfinite(score(features, labels, source))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SLOW = {"knn", "linear_probe", "nleep"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
                                  for name in ALL])
def test_memory_does_not_grow_with_the_images(name, large):
    assert peak(SCORES.get(name)(), *large) < LIMIT
