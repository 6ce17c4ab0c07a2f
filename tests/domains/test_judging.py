"""What validators see, and that no method ends worse than it began where the guard speaks."""

import copy
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from headstart.alignments.alignment import Pair
from headstart.data.dataset import Dataset
from headstart.domains import guarding, judging, shares
from headstart.domains.feature_space import Domains
from headstart.domains.guarding import judged, keep_better
from headstart.domains.judging import MOST, answered, carried, evenly, evidence_of, verdicts
from headstart.domains.shares import ground, mix_moved, other_shares, ways_back
from headstart.domains.sight import sight
from headstart.errors import ConfigError, DataError
from headstart.events import Judged
from headstart.label_shift import OTHER
from headstart.methods import transfer as transferring
from headstart.methods.coral import Coral
from headstart.methods.label_shift import LabelShift
from headstart.methods.propagation import Propagation
from headstart.methods.prototypes import Prototypes
from headstart.methods.subspace import Subspace
from headstart.methods.t3a import T3a
from headstart.methods.tca import Tca
from headstart.methods.transfer import Transfer
from headstart.methods.transport import Transport
from headstart.types import Sample
from headstart.validators.entropy import Entropy
from headstart.validators.neighbour_agreement import NeighbourAgreement
from headstart.validators.validator import USUAL, VALIDATORS, Evidence
from tests.domains.worlds import blobs, model_of, part, world
from tests.training.small import Events

ALONG = np.array([[2.0, 0, 0], [-2.0, 0, 0]])
"""Rows of the head that tells the two groups apart."""
ACROSS = np.array([[0, 2.0, 0], [0, -2.0, 0]])
"""Rows of a head that cuts through both."""


def two_groups(folder, events, *, target=None):
    rng = np.random.default_rng(0)
    labels = [np.arange(count) % 2 for count in (60, 40, 50)]
    train, val, own = (blobs(2 * ALONG, part, rng) for part in labels)
    return world(folder, (train, labels[0]), (val, labels[1]), own if target is None else target, classes=2,
                 events=events)


def kept(folder, start, adapted, *, guard="neighbour_agreement"):
    events = Events()
    parts, known = two_groups(folder, events)
    models = {"good": model_of(ALONG, np.zeros(2)), "bad": model_of(ACROSS, np.zeros(2))}
    found = keep_better("coral", models[start], models[adapted], sight(models[start], parts, known), known, guard=guard)
    return next(name for name, one in models.items() if one is found), events


# Other shares of the classes

def seen_by(told, shares, *, spread=0.0):
    """Evidence of three groups, a class each: the target's stand in `shares`; `spread` of its answers are by chance."""
    rng = np.random.default_rng(0)
    labels = [np.arange(300) % 3, np.arange(300) % 3, np.repeat(np.arange(3), shares)]
    train, val, target = (8 * np.eye(3, 6)[part] + rng.normal(size=(len(part), 6)) for part in labels)
    said = np.where(rng.random(len(target)) < spread, rng.integers(0, 3, len(target)), labels[2])
    return Evidence(target, 9.0 * np.eye(3)[said], val, 9.0 * np.eye(3)[labels[1]], labels[1], train, labels[0], told)


SKEWED = (80, 40, 0)


def seems_apart(share, monkeypatch):
    """Let so many images seem to have to change class for the target's shares."""
    for module in (guarding, shares):
        monkeypatch.setattr(module, "mix_moved", lambda first: share)


def test_where_the_shares_are_others_what_presupposes_like_ones_is_not_believed():
    start, better = seen_by(0, SKEWED, spread=0.05), seen_by(1, SKEWED)
    assert mix_moved(start) > OTHER
    found = judged(start, better, USUAL, like_shares=True)
    assert not found.taken
    assert re.fullmatch(r"the target's classes seem to stand in other shares than the source's, for which \d\d% of the "
                        "images would have to change class, and it presupposes like ones", found.told)


def test_where_the_shares_are_others_what_does_not_is_believed_unless_classes_get_lost():
    start = seen_by(0, SKEWED, spread=0.05)
    assert judged(start, seen_by(1, SKEWED), USUAL, like_shares=False).told.startswith("batch_nuclear_norm ")
    lost = dataclasses.replace(start, target_logits=9.0 * np.eye(3)[np.zeros(120, int)])
    assert not judged(start, lost, USUAL, like_shares=False).taken


def test_where_it_is_not_sure_that_they_are_nothing_is_believed(monkeypatch):
    start = seen_by(0, SKEWED, spread=0.05)
    seems_apart(0.25, monkeypatch)
    monkeypatch.setattr(shares, "_of_neighbours", lambda first: 2.0)
    found = judged(start, seen_by(1, SKEWED), USUAL, like_shares=False)
    assert not found.taken
    assert found.told.endswith("25% of the images would have to change class, and that is too unsure to judge it by")


@pytest.mark.parametrize("like_shares", [True, False])
def test_where_the_shares_are_alike_the_usual_validator_judges(like_shares):
    start = seen_by(0, (60, 60, 60), spread=0.1)
    assert mix_moved(start) < 0.1
    assert not other_shares(start)
    found = judged(start, seen_by(1, (60, 60, 60)), USUAL, like_shares=like_shares)
    assert found.taken
    assert re.fullmatch(r"consistency \d\.\d{4} before, 1\.0000 after", found.told)
    assert not judged(start, seen_by(1, (60, 60, 60), spread=0.5), USUAL, like_shares=like_shares).taken


def test_another_guard_judges_alone_whatever_the_shares():
    start, better = seen_by(0, SKEWED, spread=0.1), seen_by(1, SKEWED)
    assert judged(start, better, "neighbour_agreement", like_shares=True).taken


def shares_of(told, wanted, monkeypatch, *, apart):
    """Whether shares count as others where so many images would have to change class; `wanted`: what neighbours say."""
    seems_apart(apart, monkeypatch)
    monkeypatch.setattr(shares, "_of_neighbours", lambda first: wanted)
    return other_shares(told)


def test_where_shares_may_be_others_the_neighbours_decide(monkeypatch):
    start = seen_by(0, (60, 60, 60), spread=0.1)
    said = start.verdict("weighted_reverse_validation")
    for apart, wanted, others in ((0.21, said + 0.1, False), (0.25, said - 0.1, False), (0.25, said + 0.1, True),
                                  (0.35, said - 0.1, True)):
        assert shares_of(dataclasses.replace(start), wanted, monkeypatch, apart=apart) == others, (apart, wanted)


def test_of_few_images_what_chance_brings_is_no_other_share(monkeypatch):
    seems_apart(0.25, monkeypatch)
    monkeypatch.setattr(shares, "_of_neighbours", lambda first: 2.0)
    assert other_shares(seen_by(0, (60, 60, 60), spread=0.1))
    few = seen_by(0, (5, 5, 5), spread=0.1)
    drawn = np.random.default_rng(0).multinomial(15, [1 / 3] * 3, size=20_000) / 15
    assert shares.by_chance(few) == pytest.approx(np.abs(drawn - 1 / 3).sum(axis=1).mean() / 2, rel=0.05)
    assert not other_shares(few)


def test_where_they_may_be_and_are_not_neighbours_must_agree_more_too(monkeypatch):
    seems_apart(0.25, monkeypatch)
    monkeypatch.setattr(shares, "_of_neighbours", lambda first: -1.0)
    start = seen_by(0, (60, 60, 60), spread=0.1)
    found = judged(start, seen_by(1, (60, 60, 60)), USUAL, like_shares=True)
    assert found.taken
    assert "after and neighbour_agreement 0." in found.told


def test_what_neighbours_hand_on_comes_closer_to_the_shares_that_are_there():
    few, alike = seen_by(0, (90, 30, 0), spread=0.3), seen_by(0, (60, 60, 60), spread=0.3)
    assert shares._of_neighbours(few) > few.verdict("weighted_reverse_validation")
    assert shares._of_neighbours(alike) > 0.9  # these groups lie so far apart that nothing gets lost


def test_answers_that_are_nearly_all_one_class_tell_nothing_of_shares():
    lost = seen_by(0, (60, 60, 60))
    lost = dataclasses.replace(lost, target_logits=9.0 * np.eye(3)[np.zeros(180, int)])
    assert mix_moved(lost) > OTHER
    assert not other_shares(lost)
    assert judged(lost, seen_by(1, (60, 60, 60)), USUAL, like_shares=True).taken  # a shift of the whole is mended


def test_where_the_shares_are_others_the_answers_are_asked_what_they_teach_of_the_classes_that_are_there():
    few, alike = seen_by(0, SKEWED, spread=0.05), seen_by(0, (60, 60, 60), spread=0.05)
    plain, weighted = ways_back(few, *few.source())
    assert plain < 0.8
    assert weighted > 0.95
    plain, weighted = ways_back(alike, *alike.source())
    assert plain > 0.98
    assert weighted is None


def test_a_model_that_is_right_about_the_few_classes_that_are_there_has_ground():
    start = seen_by(0, SKEWED, spread=0.05)
    assert carried(start) < carried(start, weighted=True)
    share, enough = ground(start, USUAL)
    assert enough
    assert share == carried(start, weighted=True) > 0.8
    assert ground(start, "neighbour_agreement") == (carried(start), carried(start) >= 0.25)
    alike = seen_by(0, (60, 60, 60), spread=0.05)
    assert ground(alike, USUAL) == (carried(alike), True)


def test_transfer_tries_what_other_shares_allow_and_corrects_for_them_if_nothing_helps(monkeypatch, tmp_path):
    rng = np.random.default_rng(1)
    target = blobs(0.4 * ALONG, np.repeat([0, 1], (95, 5)), rng)
    events = Events()
    parts, known = two_groups(tmp_path, events, target=target)
    monkeypatch.setattr(transferring, "other_shares", lambda first: True)
    monkeypatch.setattr(guarding, "other_shares", lambda first: True)
    monkeypatch.setattr(transferring, "ground", lambda first, guard: (1.0, True))
    start = model_of(ALONG, np.zeros(2))
    found = Transfer().fit(start, parts, known)
    assert "What nothing can judge there is not tried" in events.notes()
    assert "transfer: half of label_shift is taken. batch_nuclear_norm: " in events.notes()
    assert "coral" not in events.notes()
    full = LabelShift().adapted(start, parts, known)
    bias, whole = (one.head.linear.bias - start.head.linear.bias for one in (found, full))
    np.testing.assert_allclose(bias.detach(), whole.detach() / 2, rtol=1e-5)
    assert abs(float(whole[0])) > 0.1


# No label of the target

@pytest.mark.parametrize(("record", "places"), [
    (Evidence, {"target_features", "target_logits", "source_features", "source_logits", "source_labels",
                "train_features", "train_labels", "epoch"}),
    (Domains, {"source", "labels", "weights", "target", "probabilities"}),
    (Pair, {"source", "labels", "target", "head", "progress", "strong", "reference", "pseudo"})])
def test_there_is_no_place_for_a_label_of_the_target(record, places):
    """`labels` are the source's, `pseudo` what the network says itself."""
    assert {field.name for field in dataclasses.fields(record) if field.init} == places


def test_validators_see_the_answers_and_features_of_the_target_and_the_labels_of_validation(tmp_path):
    events = Events()
    parts, known = two_groups(tmp_path, events)
    start = model_of(ALONG, np.zeros(2))
    found = evidence_of(start, parts, known)
    np.testing.assert_array_equal(found.target_features, known.features_of["target"].astype(np.float32))
    np.testing.assert_array_equal(found.source_features, known.features_of["val"].astype(np.float32))
    np.testing.assert_array_equal(found.train_features, known.features_of["train"].astype(np.float32))
    np.testing.assert_array_equal(found.source_labels, np.arange(40) % 2)
    np.testing.assert_allclose(found.target_logits, found.target_features @ ALONG.T, rtol=1e-5)
    np.testing.assert_allclose(found.source_logits, found.source_features @ ALONG.T, rtol=1e-5)
    assert found.epoch == 0


def test_a_trained_backbone_is_judged_by_its_answers_among_the_features_of_the_start(monkeypatch, tmp_path):
    parts, known = two_groups(tmp_path, Events())
    start = model_of(ALONG, np.zeros(2))
    adapted = dataclasses.replace(model_of(ALONG, np.zeros(2)), backbone=copy.deepcopy(start.backbone))
    first = evidence_of(start, parts, known)
    own = {"val": -first.source_features, "target": first.target_features[::-1]}
    monkeypatch.setattr(judging, "_vectors", lambda model, part, _: own[part.samples[0].id.partition(" ")[0]])
    found = answered(first, start, adapted, parts, known)
    assert found.target_features is first.target_features
    np.testing.assert_allclose(found.target_logits, first.target_logits[::-1], rtol=1e-5)
    np.testing.assert_allclose(found.source_logits, -first.source_logits, rtol=1e-5)


# The guard

def test_a_model_that_is_better_is_kept_and_the_note_says_by_what(tmp_path):
    found, events = kept(tmp_path, "bad", "good")
    before, after = (event.scores["neighbour_agreement"] for event in events.of(Judged))
    assert found == "good"
    assert before < 0.6
    assert after == 1
    assert f"coral: kept, neighbour_agreement {before:.4f} before, 1.0000 after; " in events.notes()
    assert "% of the target's answers changed" in events.notes()


def test_a_model_that_is_worse_gives_way_to_the_start_and_the_note_says_how_to_have_it(tmp_path):
    found, events = kept(tmp_path, "good", "bad")
    assert found == "good"
    assert "coral: the target's images speak against it (neighbour_agreement 1.0000 before, " in events.notes()
    assert "--set method.coral.guard=none takes it all the same." in events.notes()


def test_no_guard_takes_what_comes(tmp_path):
    found, events = kept(tmp_path, "good", "bad", guard="none")
    assert found == "bad"
    assert events.notes() == ""
    assert [(event.method, event.epoch) for event in events.of(Judged)] == [("coral", 0), ("coral", None)]


def test_what_changes_no_answer_leaves_the_start(tmp_path):
    events = Events()
    parts, known = two_groups(tmp_path, events)
    start, adapted = model_of(ALONG, np.zeros(2)), model_of(3 * ALONG, np.zeros(2))
    assert keep_better("coral", start, adapted, sight(start, parts, known), known, guard="neighbour_agreement") is start
    assert "changes no answer on the target" in events.notes()


def test_what_no_validator_tells_apart_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(NeighbourAgreement, "__call__", lambda self, evidence: 0.0)
    assert kept(tmp_path, "bad", "good")[0] == "bad"


def test_every_validator_is_a_guard(tmp_path):
    able = [name for name in VALIDATORS.names() if name != "last_epoch"]
    found = {name: kept(tmp_path / name, "good", "bad", guard=name)[0] for name in able}
    # Those that look at the source, at groups of alike images; the others ask how sure the model is, and it is.
    assert {found["neighbour_agreement"], found["source_risk"], found["deep_embedded_validation"]} == {"good"}
    with pytest.raises(ConfigError, match="last_epoch tells no model from another"):
        Coral.parse({"guard": "last_epoch"})


def test_a_validator_that_these_images_do_not_allow_says_nothing_and_does_not_stop_the_others(monkeypatch, tmp_path):
    def refuse(self, evidence):
        raise DataError("too few")

    parts, known = two_groups(tmp_path, Events())
    evidence = evidence_of(model_of(ALONG, np.zeros(2)), parts, known)
    monkeypatch.setattr(Entropy, "__call__", refuse)
    found = verdicts(evidence)
    assert np.isnan(found.pop("entropy"))
    assert set(found) == set(VALIDATORS.names()) - {"entropy"}
    assert np.isfinite(list(found.values())).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("method", [Coral(), Subspace(), Tca(), Transport(), Propagation(), Prototypes(), T3a()],
                         ids=lambda method: method.part_name)
def test_on_a_target_that_has_nothing_to_do_with_the_source_no_method_ends_worse_than_it_began(method, seed, tmp_path):
    events = Events()
    noise = np.random.default_rng(seed).normal(size=(50, 3))
    parts, known = two_groups(tmp_path, events, target=noise)
    start = model_of(ALONG, np.zeros(2))
    made = method.fit(start, parts, known)
    assert evidence_of(made, parts, known).verdict(USUAL) >= evidence_of(start, parts, known).verdict(USUAL)
    assert (made is start) == ("as it was before" in events.notes())


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("method", [Transport(), Propagation(), Prototypes(), T3a(), Transfer()],
                         ids=lambda method: method.part_name)
def test_on_such_a_target_what_builds_on_the_models_answers_is_not_believed(method, seed, tmp_path):
    events = Events()
    noise = np.random.default_rng(seed).normal(size=(50, 3))
    parts, known = two_groups(tmp_path, events, target=noise)
    start = model_of(ALONG, np.zeros(2))
    assert method.fit(start, parts, known) is start
    assert "no ground to build on" in events.notes()


@pytest.mark.parametrize("method", [Coral(), Subspace(), Tca()], ids=lambda method: method.part_name)
def test_what_does_not_build_on_them_goes_on_and_says_that_they_are_worth_nothing(method, tmp_path):
    events = Events()
    parts, known = two_groups(tmp_path, events, target=np.random.default_rng(0).normal(size=(50, 3)))
    method.fit(model_of(ALONG, np.zeros(2)), parts, known)
    assert "no ground to build on. Do the images show these classes, and all of them? It does not build on them" in \
        events.notes()


def test_what_carries_over_is_the_share_of_the_knowledge_beyond_guessing():
    sure, unsure = np.array([[6.0, 0.0]]), np.array([[0.1, 0.0]])
    labels = np.array([0] * 10 + [1] * 10)
    right = np.concatenate([np.repeat(sure, 10, 0), np.repeat(sure[:, ::-1], 10, 0)])

    def share(target):
        return carried(Evidence(target, target, right, right, labels, right, labels, 0))

    # As many above the threshold as are surely right, and 1 less what the mean confidence falls; sigmoids of 6 and 0.1.
    # One answer for all teaches half of the source.
    lost = 1 / (1 + np.exp(-6)) - 1 / (1 + np.exp(-0.1))
    assert share(right) == pytest.approx(1)
    assert share(np.repeat(unsure, 20, 0)) == pytest.approx((0.5 * (0 + 1 - lost) / 2 - 0.5) / 0.5)
    assert share(np.concatenate([right[:15], np.repeat(unsure, 5, 0)])) == pytest.approx(
        ((0.75 + 1 - lost / 4) / 2 - 0.5) / 0.5)


@pytest.mark.parametrize("method", [Coral(), Subspace(), Tca(), Transport()], ids=lambda method: method.part_name)
def test_on_such_a_target_the_start_is_kept_where_adapting_cuts_through_what_is_alike(method, tmp_path):
    noise = np.random.default_rng(2).normal(size=(50, 3))
    parts, known = two_groups(tmp_path, Events(), target=noise)
    start = model_of(ALONG, np.zeros(2))
    assert method.fit(start, parts, known) is start


# Many images

def test_of_many_images_some_are_looked_at_evenly_spread():
    many = part("target", None, 3 * MOST + 1, 2)
    found = [int(sample.id.partition(" ")[2]) for sample in evenly(many).samples]
    assert len(found) == MOST
    assert found[0] == 0
    assert found[-1] == 3 * MOST
    assert set(np.diff(found)) == {3, 4}


def test_few_images_are_all_looked_at():
    few = Dataset((Sample("one", Path("one.png"), None),), ("a", "b"), "classification", "folder")
    assert evenly(few) is few


def test_where_answers_are_no_ground_transfer_tries_what_does_not_build_on_them(monkeypatch, tmp_path):
    events, tried = Events(), []
    noise = np.random.default_rng(0).normal(size=(50, 3))
    parts, known = two_groups(tmp_path, events, target=noise)
    start, better = model_of(ACROSS, np.zeros(2)), model_of(ALONG, np.zeros(2))
    monkeypatch.setattr(Transfer, "_tried", lambda self, name, *rest: tried.append(name) or better)
    assert Transfer().fit(start, parts, known) is better
    assert tried == ["adabn"]
    assert "no ground to build on" in events.notes()
    assert "transfer: adabn is taken" in events.notes()
