import numpy as np
import pytest

from headstart.errors import ConfigError, DataError
from headstart.scores.leep import LEEP
from headstart.scores.nce import NCE
from headstart.scores.score import SCORES, MeanScore, Score, evenly
from headstart.scores.trans_rate import TransRate
from tests.scores.cases import THETA, X, Y, several


@pytest.mark.parametrize(("features", "labels"), [(X[:, 0], Y), (X[:9], Y), (X[:, :0], Y), (X, Y[:, None, None])])
def test_shapes_that_do_not_fit_are_refused(features, labels):
    with pytest.raises(DataError, match=r"trans_rate: features must be \[N, D\] and labels N long; got \("):
        TransRate()(features, labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_no_numbers_are_refused(bad):
    broken = X.copy()
    broken[77, 2] = bad
    with pytest.raises(DataError, match=r"trans_rate: some features are NaN or infinite\. Look at these images"):
        TransRate()(broken, Y)


@pytest.mark.parametrize("labels", [Y * 0, Y * 0 + 5, np.ones((150, 3), int)])
def test_a_single_class_is_refused(labels):
    with pytest.raises(DataError, match="trans_rate: the images show a single class"):
        TransRate()(X, labels)


def test_no_images_are_refused():
    with pytest.raises(DataError, match="trans_rate: "):
        TransRate()(X[:0], Y[:0])


def test_labels_in_columns_are_0_or_1():
    with pytest.raises(DataError, match=r"trans_rate: labels \[N, C\] must be 0 or 1"):
        TransRate()(X, Y[:, None])


def test_a_score_that_needs_the_pretrained_classifier_says_so():
    with pytest.raises(ConfigError, match=r"leep reads the answers of the pretrained classifier.* such as logme"):
        LEEP()(X, Y)


@pytest.mark.parametrize("source", [THETA[:9], THETA[:, 0], THETA[:, :0]])
def test_a_source_that_does_not_fit_is_refused(source):
    with pytest.raises(DataError, match=r"nce: source must be \[150, Z\]; got \("):
        NCE()(X, Y, source)


@pytest.mark.parametrize("source", [X, -THETA, THETA * np.nan, THETA - 1])
def test_a_source_of_logits_is_refused(source):
    with pytest.raises(DataError, match=r"nce: source must be probabilities, .* take their softmax"):
        NCE()(X, Y, source)


def test_several_labels_are_one_against_the_rest_and_constant_ones_are_left_out():
    labels = several(Y)
    for score in (TransRate(), LEEP()):
        alone = [score(X, labels[:, c], THETA) for c in range(3)]
        assert score(X, labels, THETA) == pytest.approx(np.mean(alone), rel=1e-12)
    np.testing.assert_allclose(LEEP().each(X, labels.astype(bool), THETA),
                               np.mean([LEEP().each(X, labels[:, c], THETA) for c in range(3)], axis=0))


def test_of_each_class_its_share_is_taken():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [900, 90, 10]))
    rows = evenly(labels, 100)
    assert np.bincount(labels[rows]).tolist() == [90, 9, 1]
    assert (np.diff(rows) > 0).all()
    assert evenly(labels, 5000).tolist() == list(range(1000))
    assert evenly(labels[:, None] > 0, 3).tolist() == [0, 499, 999]


def test_a_score_is_called_by_the_name_of_its_file_and_a_wrong_one_gets_the_nearest():
    assert SCORES.get("logme").part_name == "logme"
    with pytest.raises(ConfigError, match=r'unknown score "logm"\. Did you mean "logme"\?'):
        SCORES.get("logm")


def test_the_contracts_are_abstract():
    for contract in (Score, MeanScore):
        with pytest.raises(TypeError, match="abstract"):
            contract()
