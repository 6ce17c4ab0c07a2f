"""Methods that adapt on cached features: their formulas against slow ones, and what becomes of the head."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch

from headstart.errors import ConfigError
from headstart.methods import t3a, transport
from headstart.methods.adabn import Adabn
from headstart.methods.coral import Coral
from headstart.methods.label_shift import LabelShift
from headstart.methods.propagation import Propagation
from headstart.methods.prototypes import Prototypes
from headstart.methods.subspace import Subspace
from headstart.methods.tca import Tca
from headstart.methods.transport import Transport
from tests.domains.worlds import blobs, domains, model_of, part, soft, world
from tests.methods.past import moved
from tests.training.small import Events, context, model, pictures, splits

RNG = np.random.default_rng(0)
OF_THE_SOURCE = [Coral(), Subspace(directions=3), Tca(components=3), Transport()]


def unit(rows):
    return np.array([row / np.linalg.norm(row) for row in rows])


def covariance(features):
    return sum(np.outer(row, row) for row in features - features.mean(axis=0)) / len(features)


def same(given):
    """Both domains are the source."""
    return replace(given, target=given.source)


# What the head is fitted to

@pytest.mark.parametrize("method", OF_THE_SOURCE, ids=lambda method: method.part_name)
def test_a_moved_source_keeps_its_labels_and_weights(method):
    given = domains()
    found = method.examples(given, RNG)
    np.testing.assert_array_equal(found.labels, given.labels)
    np.testing.assert_array_equal(found.weights, given.weights)
    assert found.features.shape == given.source.shape


def test_coral_gives_the_source_the_mean_and_the_covariance_of_the_target():
    given = domains()
    found = Coral(shrinkage=1e-12).examples(given, RNG).features
    np.testing.assert_allclose(found.mean(axis=0), given.target.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(covariance(found), covariance(given.target), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shrinkage", [1.0, 0.01])
def test_coral_is_the_formula_of_the_paper_with_a_share_of_the_variance_on_both_diagonals(shrinkage):
    given = domains()
    both = [covariance(part) for part in (given.source, given.target)]
    shrunk = [c + shrinkage * np.mean(np.diag(c)) * np.eye(6) for c in both]
    turn = np.linalg.inv(scipy.linalg.sqrtm(shrunk[0])) @ scipy.linalg.sqrtm(shrunk[1])
    expected = (given.source - given.source.mean(axis=0)) @ turn + given.target.mean(axis=0)
    np.testing.assert_allclose(Coral(shrinkage=shrinkage).examples(given, RNG).features, expected, atol=1e-9)


def test_coral_leaves_equal_domains_where_they_are():
    given = same(domains())
    np.testing.assert_allclose(Coral().examples(given, RNG).features, given.source, atol=1e-9)


@pytest.mark.parametrize("width", [1, 6])
def test_coral_of_a_domain_in_which_nothing_varies_is_finite(width):
    given = domains(width=width)
    still = replace(given, source=np.ones_like(given.source), target=np.ones_like(given.target))
    np.testing.assert_allclose(Coral().examples(still, RNG).features, 1)


def along_leading_directions(features, count):
    """The projector on the leading eigenvectors of the covariance [D, D]."""
    vectors = np.linalg.eigh(covariance(features))[1][:, -count:]
    return vectors @ vectors.T


def test_subspace_projects_on_the_sources_directions_and_then_on_the_targets():
    given = domains()
    centred = given.source - given.source.mean(axis=0)
    expected = centred @ along_leading_directions(given.source, 3) @ along_leading_directions(given.target, 3)
    found = Subspace(directions=3).examples(given, RNG).features
    np.testing.assert_allclose(found - given.target.mean(axis=0), expected, atol=1e-9)


def test_subspace_of_equal_domains_is_the_projection_on_their_own_directions():
    given = same(domains())
    mean = given.source.mean(axis=0)
    expected = (given.source - mean) @ along_leading_directions(given.source, 2) + mean
    np.testing.assert_allclose(Subspace(directions=2).examples(given, RNG).features, expected, atol=1e-9)
    np.testing.assert_allclose(Subspace(directions=80).examples(given, RNG).features, given.source, atol=1e-9)


def test_subspace_takes_no_more_directions_than_there_are_images():
    given = domains(target=4)
    found = Subspace().examples(given, RNG).features
    assert np.linalg.matrix_rank(found - given.target.mean(axis=0)) == 4 - 1


@pytest.mark.parametrize("mu", [0.1, 1e-3, 10.0])
def test_tca_keeps_the_leading_generalised_eigenvectors(mu):
    given = domains()
    both = np.concatenate([given.source, given.target])
    scatter, gap = covariance(both), given.source.mean(axis=0) - given.target.mean(axis=0)
    against = mu * np.eye(6) + np.outer(gap, gap) / np.trace(scatter)
    kept = np.linalg.qr(scipy.linalg.eigh(scatter, against)[1][:, -2:])[0]
    expected = (given.source - both.mean(axis=0)) @ kept @ kept.T + both.mean(axis=0)
    np.testing.assert_allclose(Tca(components=2, mu=mu).examples(given, RNG).features, expected, atol=1e-8)


def test_tca_keeps_what_both_share_and_loses_the_gap_between_the_means():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(200, 5)), rng.normal(size=(150, 5))
    target[:, 0] += 20
    there = replace(domains(source=200, target=150, width=5), source=source, target=target)
    back = replace(there, source=target, target=source, labels=np.zeros(150, int), weights=np.ones(150))
    method = Tca(components=4, mu=1e-3)
    moved_source, moved_target = (method.examples(given, RNG).features for given in (there, back))
    assert np.linalg.norm(moved_source.mean(axis=0) - moved_target.mean(axis=0)) < 0.2
    np.testing.assert_allclose(np.var(moved_source[:, 1:], axis=0), np.var(source[:, 1:], axis=0), rtol=0.05)


def test_tca_with_all_components_changes_nothing():
    given = domains()
    np.testing.assert_allclose(Tca(components=6).examples(given, RNG).features, given.source, atol=1e-9)


def slow_plan(given, method):
    """Scaling iterations for unbalanced transport (Chizat et al.): both domains may be carried in part."""
    source, target = (unit(part - part.mean(axis=0)) for part in (given.source, given.target))
    cost = np.array([[np.sum((a - b) ** 2) for b in target] for a in source])
    cost /= cost.mean()
    cost += method.answers * np.array([[1 - chances[label] for chances in given.probabilities]
                                       for label in given.labels])
    rows, columns = given.weights / given.weights.sum(), np.full(len(target), 1 / len(target))
    kernel = np.exp(-cost / cost.mean() / method.entropy) * np.outer(rows, columns)
    v, power = np.ones(len(target)), method.marginals / (method.marginals + method.entropy)
    for _ in range(5000):
        u = (rows / (kernel @ v)) ** power
        v = (columns / (kernel.T @ u)) ** power
    return u[:, None] * kernel * v


@pytest.mark.parametrize("method", [Transport(), Transport(entropy=0.2, marginals=10.0), Transport(answers=0.0)],
                         ids=["default", "balanced", "without answers"])
def test_transport_carries_each_image_to_the_mean_of_where_the_plan_sends_it(method):
    given = domains()
    plan = slow_plan(given, method)
    expected = plan @ given.target / plan.sum(axis=1, keepdims=True)
    found = method.examples(given, RNG)
    np.testing.assert_allclose(found.features, expected, atol=1e-3)


def test_transport_of_equal_domains_with_little_entropy_leaves_each_image_where_it_is():
    given = same(domains(width=20))
    said = replace(given, weights=np.ones(40), probabilities=np.full((40, 3), 1 / 3))
    np.testing.assert_allclose(Transport(entropy=0.01).examples(said, RNG).features, given.source, atol=1e-4)


def test_transport_sends_an_image_to_those_that_the_model_takes_for_its_class():
    given = replace(domains(), target=np.random.default_rng(1).normal(size=(30, 6)))
    sure = replace(given, probabilities=np.eye(3)[np.arange(30) % 3])
    centres = np.array([sure.target[label::3].mean(axis=0) for label in range(3)])
    found = Transport(answers=1e4, entropy=0.05).examples(sure, RNG)
    np.testing.assert_allclose(found.features, centres[found.labels], atol=0.05)


def test_transport_leaves_images_of_weight_0_out():
    given = domains()
    light = replace(given, weights=np.where(np.arange(40) < 10, 0.0, given.weights))
    without = replace(given, source=given.source[10:], labels=given.labels[10:], weights=given.weights[10:])
    found, expected = (Transport().examples(each, RNG) for each in (light, without))
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.weights, expected.weights)
    np.testing.assert_array_equal(found.features, expected.features)


def test_transport_refuses_more_pairs_than_it_can_hold(monkeypatch, tmp_path):
    parts, _ = world(tmp_path, (np.zeros((20, 2)), np.arange(20) % 2), (np.zeros((4, 2)), np.arange(4) % 2),
                     np.zeros((30, 2)), classes=2, events=Events())
    Transport().refuse_unfit(model(), parts)
    monkeypatch.setattr(transport, "MOST", 599)
    with pytest.raises(ConfigError, match=r"600 pairs .* more than the 599 .* Take coral or prototypes"):
        Transport().refuse_unfit(model(), parts)


def dense_graph(features, neighbours):
    """D^(-1/2) W D^(-1/2); two images that are each other's neighbours are joined twice."""
    cosines = unit(features - features.mean(axis=0)) @ unit(features - features.mean(axis=0)).T
    edges = np.zeros_like(cosines)
    for row in range(len(features)):
        others = [column for column in range(len(features)) if column != row]
        for column in sorted(others, key=lambda column: -cosines[row, column])[:neighbours]:
            weight = max(cosines[row, column], 0) ** 3
            edges[row, column] += weight
            edges[column, row] += weight
    degree = edges.sum(axis=1)
    return edges / np.sqrt(np.outer(degree, degree))


@pytest.mark.parametrize(("spread", "near"), [(0.5, 1e-9), (0.8, 1e-9), (0.95, 1e-4)])
def test_propagation_solves_the_equation_of_the_paper(spread, near):
    given = domains()
    spread_out = np.linalg.solve(np.eye(30) - spread * dense_graph(given.target, 4), given.probabilities)
    expected = (1 - spread) * spread_out
    expected /= expected.sum(axis=1, keepdims=True)
    found = Propagation(neighbours=4, spread=spread).examples(given, RNG)
    np.testing.assert_array_equal(found.labels, expected.argmax(axis=1))
    np.testing.assert_allclose(found.weights, expected.max(axis=1), atol=near)
    np.testing.assert_array_equal(found.features, given.target)


def test_propagation_lets_a_group_overrule_its_few():
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 2
    features = blobs(np.array([[4.0, 0, 0], [-4.0, 0, 0]]), truth, rng)
    said = soft(3 * np.eye(2)[np.where(np.arange(60) < 10, 1 - truth, truth)])
    given = replace(domains(width=3, classes=2), target=features, probabilities=said)
    np.testing.assert_array_equal(Propagation().examples(given, RNG).labels, truth)


def slow_prototypes(given, rounds, sharpness):
    images, shares = unit(given.target - given.target.mean(axis=0)), given.probabilities
    for _ in range(rounds):
        centres = unit([sum(share[label] * image for share, image in zip(shares, images, strict=True))
                        for label in range(shares.shape[1])])
        raw = np.array([[np.exp(sharpness * (image @ centre)) for centre in centres] for image in images])
        shares = raw / raw.sum(axis=1, keepdims=True)
    return shares


@pytest.mark.parametrize(("rounds", "sharpness"), [(1, 20.0), (5, 20.0), (3, 2.0)])
def test_prototypes_are_a_soft_spherical_k_means_from_the_models_answers(rounds, sharpness):
    given = domains()
    expected = slow_prototypes(given, rounds, sharpness)
    found = Prototypes(rounds=rounds, sharpness=sharpness).examples(given, RNG)
    np.testing.assert_array_equal(found.labels, expected.argmax(axis=1))
    np.testing.assert_allclose(found.weights, expected.max(axis=1), atol=1e-9)


def test_prototypes_put_a_line_right_that_cuts_through_a_group():
    rng = np.random.default_rng(0)
    truth = np.arange(100) % 2
    features = blobs(np.array([[3.0, 0, 0], [-1.0, 0, 0]]), truth, rng, spread=0.6)
    said = soft(np.stack([features[:, 0] - 2.8, 2.8 - features[:, 0]], axis=1))
    given = replace(domains(width=3, classes=2), target=features, probabilities=said)
    assert (said.argmax(axis=1) == truth).mean() < 0.85
    assert (Prototypes().examples(given, RNG).labels == truth).mean() > 0.99


# The head

def two_classes(folder, *, bias=0.0, shift=0.0, events):
    """A source of two groups, the same moved along as target, and a model that is right on the source."""
    rng, centres = np.random.default_rng(0), np.array([[2.0, 0, 0], [-2.0, 0, 0]])
    labels = [np.arange(count) % 2 for count in (80, 40, 60)]
    train, val, target = (blobs(centres, part, rng) for part in labels)
    parts, known = world(folder, (train, labels[0]), (val, labels[1]), target + shift, classes=2, events=events)
    return model_of(np.array([[1.0, 0, 0], [-1.0, 0, 0]]), np.array([bias, 0.0])), parts, known, labels[2]


def answers(found, parts, known):
    return found.logits_of(known.vectors(found, parts.target)).argmax(axis=1)


@pytest.mark.parametrize("method", [Coral(shrinkage=1.0), Transport(), Prototypes(), Subspace()],
                         ids=lambda method: method.part_name)
def test_a_target_that_was_moved_along_is_answered_right_where_it_was_not_before(method, tmp_path):
    start, parts, known, truth = two_classes(tmp_path, shift=np.array([1.7, 0, 0]), events=Events())
    made = method.fit(start, parts, known)
    assert (answers(start, parts, known) == truth).mean() < 0.9
    assert (answers(made, parts, known) == truth).mean() > 0.95
    assert made.backbone is start.backbone


def test_a_target_that_would_all_be_one_class_leaves_the_model_with_a_note(tmp_path):
    events = Events()
    start, parts, known, _ = two_classes(tmp_path, bias=60.0, events=events)
    assert Propagation(guard="none").fit(start, parts, known) is start
    assert "propagation: would give all images of the target one class" in events.notes()


def test_templates_are_the_mean_of_the_classifiers_own_and_the_surest_of_the_target():
    given = domains()
    probabilities, weights = given.probabilities, np.random.default_rng(1).normal(size=(3, 6))
    expected = []
    for label in range(3):
        mine = [row for row in range(30) if np.argmax(probabilities[row]) == label]
        mine.sort(key=lambda row: -sum(p * np.log(p) for p in probabilities[row]))
        chosen = unit([weights[label], *given.target[mine[:2]]])
        expected.append(unit([chosen.mean(axis=0)])[0])
    np.testing.assert_allclose(t3a.adjusted(weights, given.target, probabilities, count=2), expected, atol=1e-12)


def test_a_class_that_no_image_of_the_target_gets_keeps_the_classifiers_own_template():
    weights = np.array([[3.0, 0], [0, 2.0]])
    found = t3a.adjusted(weights, np.array([[1.0, 1.0]]), np.array([[0.9, 0.1]]), count=5)
    np.testing.assert_allclose(found[1], [0, 1])


def test_adjusted_templates_answer_by_the_largest_product_with_the_image_and_nothing_else(tmp_path):
    start, parts, known, _ = two_classes(tmp_path, events=Events())
    made = t3a.T3a(guard="none").fit(start, parts, known)
    features = known.features_of["target"].astype(np.float32).astype(np.float64)
    templates = t3a.adjusted(np.array([[1.0, 0, 0], [-1.0, 0, 0]]), features,
                             soft(start.logits_of(features).astype(float)), count=100)
    np.testing.assert_array_equal(answers(made, parts, known), (features @ templates.T).argmax(axis=1))
    before, after = (np.abs(z - z.mean(axis=1, keepdims=True)).mean()
                     for z in (start.logits_of(features), made.logits_of(features)))
    assert after == pytest.approx(before, rel=1e-5)
    assert not made.head.linear.bias.any()


def test_label_shift_finds_the_logarithms_of_the_ratios_and_changes_the_bias_alone(tmp_path):
    rng, centres = np.random.default_rng(0), np.array([[2.0, 0], [-2.0, 0], [0, 2.0]])
    proportions = {"train": [0.2, 0.3, 0.5], "val": [0.2, 0.3, 0.5], "target": [0.6, 0.3, 0.1]}
    labels = {name: rng.choice(3, 1500, p=shares) for name, shares in proportions.items()}
    features = {name: blobs(centres, label, rng, spread=1.0) for name, label in labels.items()}
    # Of Gaussians of one width these are the true chances, up to the proportions.
    bias = np.log(proportions["train"]) - (centres ** 2).sum(axis=1) / 2
    start, events = model_of(centres, bias), Events()
    parts, known = world(tmp_path, (features["train"], labels["train"]), (features["val"], labels["val"]),
                         features["target"], classes=3, events=events)
    made = LabelShift().fit(start, parts, known)
    counts = [np.bincount(labels[name], minlength=3) for name in ("target", "train")]
    np.testing.assert_allclose((made.head.linear.bias - start.head.linear.bias).detach(),
                               np.log(counts[0] / counts[1]), atol=0.15)
    assert torch.equal(made.head.linear.weight, start.head.linear.weight)
    assert "label_shift: proportions of the classes on the target, the source's in brackets: class 0 0." in \
        events.notes()


def test_label_shift_of_a_model_that_says_nothing_leaves_it_with_a_note(tmp_path):
    events = Events()
    _, parts, known, _ = two_classes(tmp_path, events=events)
    start = model_of(np.zeros((2, 3)), np.zeros(2))
    assert LabelShift().fit(start, parts, known) is start
    assert "label_shift: label shift: the model answers the same whatever the class" in events.notes()


# BatchNorm's statistics

def test_adabn_takes_the_targets_statistics_and_touches_no_weight(tmp_path):
    parts = splits(tmp_path / "data")
    target = replace(part("target", None, 20, 2), samples=tuple(
        replace(sample, source=path) for sample, path in zip(part("target", None, 20, 2).samples,
                                                             pictures(tmp_path / "target", 40)[20:], strict=True)))
    start = moved(model(), seed=1)
    made = Adabn(head="kept", guard="none").fit(start, replace(parts, target=target), context(tmp_path, Events()))
    norms = {name: module for name, module in start.backbone.named_modules()
             if isinstance(module, torch.nn.BatchNorm2d)}
    seen = {}
    for name, module in norms.items():
        module.register_forward_hook(lambda module, given, _, name=name: seen.update({name: given[0].double()}))
        module.train()
    pixels = np.stack([start.preprocessing.pixels(sample.source) for sample in target.samples])
    with torch.no_grad():
        start.backbone(start.preprocessing.normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2)))
    found = dict(made.backbone.named_modules())
    for name, values in seen.items():
        torch.testing.assert_close(found[name].running_mean.double(), values.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[name].running_var.double(), values.var(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert seen.keys() == norms.keys()
    assert all(torch.equal(mine, its) for mine, its in zip(made.backbone.parameters(), start.backbone.parameters(),
                                                           strict=True))
    assert torch.equal(made.head.linear.weight, start.head.linear.weight)


def test_adabn_refuses_a_backbone_without_batch_norm(tmp_path):
    start = model()
    bare = replace(start, backbone=torch.nn.Sequential())
    bare.backbone.spec = start.backbone.spec
    with pytest.raises(ConfigError, match=r"adabn: .* has no BatchNorm, .* Take coral or prototypes"):
        Adabn().refuse_unfit(bare, splits(tmp_path))
