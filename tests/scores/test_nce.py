import numpy as np
import pytest

from headstart.scores.nce import NCE
from tests.scores import slow
from tests.scores.cases import SHAPES, THETA, X, Y, draw


def test_iris():
    assert NCE()(X, Y, THETA) == pytest.approx(-1.098612, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_the_formula(shape, seed):
    features, labels, source = draw(shape, seed)
    assert NCE()(features, labels, source) == pytest.approx(slow.nce(source, labels), rel=1e-9)


def test_it_is_0_where_the_named_class_tells_the_label_and_the_entropy_of_the_labels_where_it_tells_nothing():
    assert NCE()(X, Y, np.eye(3)[[2, 0, 1]][Y]) == 0
    assert NCE()(X, Y, np.tile([0.2, 0.8], (150, 1))) == pytest.approx(-np.log(3))


def test_it_reads_no_features():
    assert NCE()(X * 0, Y, THETA) == NCE()(X, Y, THETA)
