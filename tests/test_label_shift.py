import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from headstart.errors import DataError
from headstart.label_shift import bbse, corrected, em

# N source images, M target images, C classes


def soft(logits):
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


def draw(count, proportions, seed, *, apart=2.0, prior=None):
    """Labels and the true posteriors, under `prior`, of images at apart * e_label + N(0, I)."""
    rng = np.random.default_rng(seed)
    classes = len(proportions)
    labels = rng.choice(classes, size=count, p=proportions)
    points = apart * np.eye(classes)[labels] + rng.normal(size=(count, classes))
    return labels, soft(apart * points + np.log(proportions if prior is None else prior))


SOURCE, TARGET = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.05, 0.15, 0.2, 0.6])
ANSWERS = {"hard": lambda p, y, t: bbse(p, y, t, hard=True), "soft": lambda p, y, t: bbse(p, y, t, hard=False),
           "em": lambda p, y, t: em(np.bincount(y, minlength=p.shape[1]) / len(y), t)}
every = pytest.mark.parametrize("found", ANSWERS.values(), ids=ANSWERS)


@every
@pytest.mark.parametrize("seed", range(3))
def test_the_proportions_are_recovered(found, seed):
    labels, source = draw(4000, SOURCE, seed)
    _, target = draw(4000, TARGET, seed + 10, prior=SOURCE)
    np.testing.assert_allclose(found(source, labels, target), TARGET, atol=0.035)


@every
def test_more_images_bring_it_nearer(found):
    errors = []
    for count in (60, 6000):
        pairs = [(draw(count, SOURCE, seed), draw(count, TARGET, seed + 50, prior=SOURCE)[1]) for seed in range(6)]
        errors.append(np.mean([np.abs(found(p, y, target) - TARGET).sum() for (y, p), target in pairs]))
    assert errors[1] < errors[0] / 3


@every
def test_the_source_itself_has_its_own_proportions(found):
    labels, source = draw(5000, SOURCE, 0)
    np.testing.assert_allclose(found(source, labels, source), np.bincount(labels) / 5000, atol=0.012)


@every
def test_classes_in_another_order_have_their_proportions_in_that_order(found):
    labels, source = draw(500, SOURCE, 0)
    _, target = draw(300, TARGET, 1, prior=SOURCE)
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(found(source[:, order], np.argsort(order)[labels], target[:, order]),
                               found(source, labels, target)[order], atol=1e-6)


@every
def test_a_class_without_a_source_image_gets_nothing(found):
    labels, source = draw(300, SOURCE, 0)
    kept = labels != 1
    answer = found(source[kept], labels[kept], source)
    assert answer[1] == 0
    assert answer.sum() == pytest.approx(1)


@every
@given(st.integers(1, 6), st.integers(1, 30), st.integers(1, 30), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_it_is_a_distribution_whatever_comes(found, classes, count, others, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    source, target = (rng.dirichlet(np.full(classes, 0.1), rows) for rows in (count, others))
    source = 0.4 * source + 0.6 * np.eye(classes)[labels]  # it tells classes apart: else it would be refused
    answer = found(source, labels, target)
    assert answer.dtype == np.float64
    assert answer.shape == (classes,)
    assert (answer >= 0).all()
    assert answer.sum() == pytest.approx(1)


@every
def test_a_thousand_classes_of_few_images_are_no_trouble(found):
    labels, source = draw(1500, np.full(1000, 1e-3), 0, apart=5)
    answer = found(source, labels, source)
    assert np.abs(answer - np.bincount(labels, minlength=1000) / 1500).sum() < 0.4


@pytest.mark.parametrize("hard", [True, False])
def test_it_is_the_least_squares_solution_with_its_ridge(hard):
    labels, source = draw(80, SOURCE, 0, apart=1)
    _, target = draw(60, np.array([0.01, 0.01, 0.01, 0.97]), 1, apart=1, prior=SOURCE)
    answers, seen = (np.eye(4)[p.argmax(1)] if hard else p for p in (source, target))
    columns = np.array([answers[labels == c].mean(0) for c in range(4)]).T
    prior = np.bincount(labels) / 80

    def loss(q):
        return ((columns @ q - seen.mean(0))**2).sum() + 0.3 * (1 / 80 + 1 / 60) * ((q - prior)**2 / prior).sum()
    best = minimize(loss, prior, bounds=[(0, 1)] * 4, constraints={"type": "eq", "fun": lambda q: q.sum() - 1},
                    options={"ftol": 1e-14, "maxiter": 500})
    np.testing.assert_allclose(bbse(source, labels, target, hard=hard), best.x, atol=1e-4)


def test_em_is_where_the_likelihood_is_highest():
    _, target = draw(400, TARGET, 1, prior=SOURCE)

    def loss(logits):
        return -np.log(target @ (soft(logits[None])[0] / SOURCE)).mean()
    best = minimize(loss, np.zeros(4), options={"gtol": 1e-9})
    np.testing.assert_allclose(em(SOURCE, target), soft(best.x[None])[0], atol=1e-4)


def test_em_of_sure_answers_counts_them():
    np.testing.assert_allclose(em(SOURCE, np.eye(4)[[0, 0, 0, 3]]), [0.75, 0, 0, 0.25], atol=1e-6)


def test_classes_that_the_model_takes_for_each_other_keep_the_sources_ratio():
    labels = np.repeat([0, 1, 2], [300, 100, 400])
    source = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])[labels]
    found = bbse(source, labels, source[::-1][:500], hard=False)
    assert found[0] / found[1] == pytest.approx(3, abs=0.01)
    assert found[2] == pytest.approx(400 / 500, abs=0.01)


@pytest.mark.parametrize("hard", [True, False])
def test_a_model_that_answers_the_same_whatever_the_class_is_refused(hard):
    same = np.tile([0.5, 0.3, 0.2], (30, 1))
    with pytest.raises(DataError, match=r"the model answers the same whatever the class.* Train it further"):
        bbse(same, np.arange(30) % 3, same, hard=hard)


def test_corrected_probabilities_are_those_of_a_model_that_knew_the_proportions():
    labels, known = draw(200, TARGET, 0)
    _, unknown = draw(200, TARGET, 0, prior=SOURCE)
    np.testing.assert_allclose(corrected(unknown, SOURCE, TARGET), known, atol=1e-9)
    np.testing.assert_allclose(corrected(known, TARGET, TARGET), known, atol=1e-9)
    assert (corrected(unknown, SOURCE, TARGET).argmax(1) == labels).mean() > (unknown.argmax(1) == labels).mean()


def test_corrected_probabilities_know_no_class_that_the_target_lacks():
    rows = corrected(np.array([[1.0, 0, 0], [0.2, 0.5, 0.3]]), [0.5, 0.25, 0.25], [0.0, 0.5, 0.5])
    np.testing.assert_allclose(rows, [[0, 0.5, 0.5], [0, 0.625, 0.375]], atol=1e-9)
    with pytest.raises(DataError, match="the target has classes that the source lacks"):
        corrected(np.full((1, 2), 0.5), [1.0, 0.0], [0.5, 0.5])


@pytest.mark.parametrize(("source", "labels", "target", "message"), [
    (np.eye(3), [0, 1, 3], np.eye(3), r"one label for each of the 3 source images, each in 0\.\.2"),
    (np.eye(3), [0, 1], np.eye(3), "one label for each of the 3"),
    (np.eye(3), [0, 1, 2], np.eye(4), r"target: needs probabilities .* 3 classes each; got \(4, 4\)"),
    (np.eye(3), [0, 1, 2], np.eye(3)[:0], "target: needs probabilities of at least one image"),
    (3 * np.eye(3), [0, 1, 2], np.eye(3), "source: each row must be probabilities with sum 1.* softmax"),
    (np.eye(3) * np.nan, [0, 1, 2], np.eye(3), "source: each row must be probabilities"),
])
def test_inputs_that_do_not_fit_are_refused(source, labels, target, message):
    with pytest.raises(DataError, match=f"label shift, {message}" if ": " in message else message):
        bbse(source, np.array(labels), target, hard=False)
