import numpy as np
import pytest

from headstart.scores.leep import LEEP
from headstart.scores.nce import NCE
from tests.scores import slow
from tests.scores.cases import SHAPES, THETA, X, Y, draw


def test_iris():
    assert LEEP()(X, Y, THETA) == pytest.approx(-0.985570, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_formula(shape, seed):
    features, labels, source = draw(shape, seed)
    assert LEEP()(features, labels, source) == pytest.approx(slow.leep(source, labels), rel=1e-9)


def test_source_classes_without_any_share_change_nothing():
    idle = np.hstack([np.zeros((150, 2)), THETA, np.zeros((150, 1))])
    assert LEEP()(X, Y, idle) == pytest.approx(LEEP()(X, Y, THETA), rel=1e-12)


def test_of_sure_answers_it_is_the_negative_conditional_entropy():
    """Nguyen et al., property 1: LEEP is at least NCE plus the mean log of the largest probability."""
    sure = np.eye(3)[THETA.argmax(axis=1)]
    assert LEEP()(X, Y, sure) == pytest.approx(NCE()(X, Y, sure))
    assert LEEP()(X, Y, THETA) >= NCE()(X, Y, THETA) + np.log(THETA.max(axis=1)).mean()


def test_probabilities_may_come_in_any_precision():
    for kind, near in ((np.float32, 1e-6), (np.float16, 1e-3)):
        assert LEEP()(X, Y, THETA.astype(kind)) == pytest.approx(LEEP()(X, Y, THETA), abs=near)
