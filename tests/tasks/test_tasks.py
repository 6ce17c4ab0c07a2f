import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from headstart.errors import ConfigError
from headstart.tasks.classification import Classification
from headstart.tasks.multilabel import Multilabel

LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 4.0, 1.0]])


def test_classification_probabilities_equal_scipy_and_stay_finite():
    np.testing.assert_allclose(Classification().probabilities(LOGITS, 2.5), softmax(LOGITS / 2.5, axis=1), atol=1e-15)
    extreme = Classification().probabilities(np.array([[1e4, -1e4]], np.float32))
    np.testing.assert_array_equal(extreme, [[1, 0]])
    assert extreme.dtype == np.float64


def test_multilabel_probabilities_equal_scipy_and_stay_finite():
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_allclose(Multilabel().probabilities(LOGITS, 0.5), expit(LOGITS / 0.5), atol=1e-15)
        np.testing.assert_array_equal(Multilabel().probabilities(np.array([[1e4, -1e4]])), [[1, 0]])


def test_classification_loss_is_per_sample_and_takes_mixed_labels():
    labels = torch.tensor([0, 2, 1])
    loss = Classification().loss(torch.tensor(LOGITS), labels)
    assert loss.shape == (3,)
    assert loss.dtype == torch.float32
    assert loss.mean().item() == pytest.approx(log_loss(labels, softmax(LOGITS, axis=1)), abs=1e-6)
    mixed = torch.nn.functional.one_hot(labels, 3).float()
    torch.testing.assert_close(Classification().loss(torch.tensor(LOGITS), mixed), loss)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_smoothed_losses_equal_the_formula(smoothing):
    targets = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]], np.float32)
    smooth, p = targets * (1 - smoothing) + smoothing / 2, expit(LOGITS)
    expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean(axis=1)
    found = Multilabel().loss(torch.tensor(LOGITS), torch.tensor(targets), label_smoothing=smoothing)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    spread = np.eye(3)[[0, 2, 1]] * (1 - smoothing) + smoothing / 3
    single = Classification().loss(torch.tensor(LOGITS), torch.tensor([0, 2, 1]), label_smoothing=smoothing)
    np.testing.assert_allclose(single, -(spread * np.log(softmax(LOGITS, axis=1))).sum(axis=1), atol=1e-6)


def test_decisions():
    np.testing.assert_array_equal(Classification().decide(np.array([[0.2, 0.8], [0.5, 0.5]])), [1, 0])
    np.testing.assert_array_equal(Multilabel(threshold=0.3).decide(np.array([[0.2, 0.3, 0.9]])), [[0, 1, 1]])
    each = Multilabel(threshold=(0.2, 0.4, 0.95))
    np.testing.assert_array_equal(each.decide(np.array([[0.2, 0.3, 0.9], [0.1, 0.4, 0.95]])), [[1, 0, 0], [0, 1, 1]])
    assert Multilabel.parse(each.model_dump(mode="json")) == each


def test_thresholds_fit_the_classes_and_lie_between_0_and_1():
    with pytest.raises(ConfigError, match=r"threshold: 2 numbers for 3 classes\. Give one number, or one for each"):
        Multilabel(threshold=(0.3, 0.4)).decide(np.array([[0.2, 0.3, 0.9]]))
    for wrong in (0.0, 1.0, [0.5, 1.0]):
        with pytest.raises(ConfigError, match="threshold"):
            Multilabel.parse({"threshold": wrong})
