"""A training on two domains: what is drawn with what, what moves and what stays, and what chooses the epoch."""

import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.events import Judged, Kept, Listen, silent
from headstart.job import Job
from headstart.methods.adabn import Adabn
from headstart.methods.align import Align
from headstart.methods.eata import Eata
from headstart.methods.method import Method
from headstart.methods.probe import Probe
from headstart.methods.shot import Shot
from headstart.methods.tent import Tent
from headstart.mixes.mixup import Mixup
from headstart.model import Model
from headstart.regularisers.l2_sp import L2SP
from headstart.training.batch_norm import restated
from headstart.training.checkpoints import Checkpoints
from headstart.training.domain_lesson import DomainLesson, own_labels
from headstart.training.domain_pictures import PairedImages
from headstart.training.order import Order
from headstart.training.partners import Partners
from headstart.training.pictures import Pictures
from headstart.training.train import train
from headstart.types import Sample
from headstart.validators.entropy import Entropy
from tests.training.killing import in_child, kill_at_step
from tests.training.small import SETTINGS, Events, context, digest, model, pictures, rows, splits

QUICK = {"epochs": 2, "batch_size": 5, "lr_head": 1e-2, "lr_backbone": 1e-3, "guard": "none"}
NORMS = (torch.nn.BatchNorm2d,)


def two_domains(folder: Path, *, target: int = 12, train: int = 20) -> Splits:
    """The splits with a target: other pictures, darker, without labels."""
    parts, images = splits(folder / "source", train=train), []
    for number, path in enumerate(pictures(folder / "target", target)):
        Image.fromarray(255 - np.asarray(Image.open(path)) // 2).save(path)
        images.append(Sample(f"target {number}", path, None))
    return replace(parts, target=replace(parts.train, samples=tuple(images)))


@dataclass(frozen=True)
class World:
    """Two domains, and a model that was probed on the source."""

    parts: Splits
    start: Model

    def fit(self, method: Method, folder: Path) -> tuple[Model, Events]:
        """What the method makes of the start, and what it tells."""
        events = Events()
        return method.fit(self.start, self.parts, context(folder, events)), events


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    parts = two_domains(folder)
    return World(parts, Probe().fit(model(), parts, context(folder / "probe", Events())))


def head_bits(of: Model) -> bytes:
    return b"".join(value.numpy().tobytes() for value in of.head.state_dict().values())


# Pairs

def paired(folder: Path, *, source: int = 20, target: int = 12, strong: bool = False, preset: str = "none",
           seed: int = 7) -> PairedImages:
    parts = two_domains(folder, target=target, train=source)
    unlabelled = replace(parts.target, samples=tuple(replace(sample, label=0) for sample in parts.target.samples))
    mine, its = (Pictures(part, SETTINGS, budget=1e9) for part in (parts.train, unlabelled))
    return PairedImages(mine, np.ones(source, np.float32), Partners(its, images=source, seed=seed), strong=strong,
                        preset=preset, seed=seed)


@pytest.mark.parametrize(("source", "target"), [(20, 12), (12, 20), (8, 8), (3, 11)])
def test_each_pass_over_the_target_takes_each_of_its_images_once_whatever_the_sizes(source, target, tmp_path):
    images, counts = paired(tmp_path, source=source, target=target), np.zeros(target, int)
    for epoch in range(6):
        for index in range(source):
            counts[int(images[epoch, index][4])] += 1
        assert counts.max() - counts.min() <= 1
    assert counts.sum() == 6 * source


def test_the_partner_of_an_image_is_another_one_in_another_epoch_and_with_another_seed(tmp_path):
    images, other = paired(tmp_path), paired(tmp_path, seed=8)
    of = [[int(part[epoch, index][4]) for index in range(20)] for part, epoch in ((images, 0), (images, 1), (other, 0))]
    assert of[0] != of[1]
    assert of[0] != of[2]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pair_depends_on_its_key_alone_whatever_the_workers(workers, tmp_path):
    images = paired(tmp_path, strong=True, preset="default")
    order = list(Order(20, 5, 2, seed=7))
    batches = list(DataLoader(images, batch_sampler=order, num_workers=workers))
    for keys, batch in zip(reversed(order), reversed(batches), strict=True):
        for row, key in enumerate(keys):
            for mine, its in zip(images[key], batch, strict=True):
                torch.testing.assert_close(mine, its[row], rtol=0, atol=0)


def test_a_pair_has_the_sources_item_the_targets_image_its_place_and_the_strong_view(tmp_path):
    plain, strong = paired(tmp_path), paired(tmp_path, strong=True)
    image, label, weight, index, partner, view = plain[3, 4]
    assert (int(label), float(weight), int(index)) == (0, 1.0, 4)
    settings = plain.pictures.preprocessing
    for found, place, part in ((image, 4, plain.pictures), (view, int(partner), plain.partners.target)):
        np.testing.assert_array_equal(found, settings.arrange(part[place]).transpose(2, 0, 1))
    assert len(strong[3, 4]) == 7
    assert not torch.equal(strong[3, 4][6], strong[3, 4][5])


def test_without_a_source_each_image_is_its_own_partner(tmp_path):
    pictures = paired(tmp_path).partners.target
    alone = PairedImages(pictures, np.ones(12, np.float32), None, strong=False, preset="default", seed=7)
    found = alone[0, 5]
    assert (int(found[3]), int(found[4])) == (5, 5)
    assert torch.equal(found[0], found[5])


# What is read

@dataclass(frozen=True)
class Seen:
    """The source of an image that counts how often it is read."""

    path: Path
    reads: list[Path] = field(compare=False)

    def __call__(self) -> bytes:
        self.reads.append(self.path)
        return self.path.read_bytes()


def counted(parts: Splits, reads: list[Path]) -> Splits:
    return replace(parts, train=replace(parts.train, samples=tuple(
        replace(sample, source=Seen(sample.source, reads)) for sample in parts.train.samples)))


@pytest.mark.parametrize("plan", [Shot(**QUICK), Tent(**QUICK), Eata(**QUICK)], ids=lambda plan: plan.part_name)
def test_a_source_free_training_learns_from_no_image_of_the_sources_train_part(plan, monkeypatch, world, tmp_path):
    """Their hash and their features are taken once, for the validators; no step of training sees one."""
    parts, reads, stepped = world.parts, [], []
    before = DomainLesson.backward

    def backward(self: DomainLesson, network: Any, prepared: Any, batch: Any, rows: torch.Tensor) -> Any:
        stepped.append(batch.images)
        assert self.partners is None
        assert [sample.source for sample in self.pictures.dataset.samples] == [
            sample.source for sample in parts.target.samples]
        return before(self, network, prepared, batch, rows)

    monkeypatch.setattr(DomainLesson, "backward", backward)
    train(world.start, counted(parts, reads), plan, context(tmp_path, Events()))
    assert len(torch.cat(stepped)) == 2 * 12
    assert {reads.count(sample.source) for sample in parts.train.samples} == {2}


@pytest.mark.parametrize("plan", [Shot(**QUICK)], ids=lambda plan: plan.part_name)
def test_what_a_source_free_training_makes_does_not_depend_on_the_sources_train_part(plan, world, tmp_path):
    other = replace(world.parts, train=world.parts.train.subset([3, 1, 2]))
    made = [digest(train(world.start, part, plan, context(tmp_path / str(number), Events())))
            for number, part in enumerate((world.parts, other))]
    assert made[0] == made[1]


def test_validation_sees_both_domains_and_judges_answers_by_the_features_of_the_start(world, tmp_path):
    lesson = DomainLesson(model(), world.parts, Align(**QUICK), context(tmp_path, Events()))
    assert [len(part.pictures.dataset) for part in lesson.val().dataset.datasets] == [8, 12]
    told = [torch.randn(20, width, generator=torch.Generator().manual_seed(width)) for width in (32, 3)]
    given = [(features, told[1], torch.arange(20) % 3, torch.ones(20)) for features in (told[0], -9 * told[0])]
    assert lesson.judged([given[0]]) == lesson.judged([given[1]])


# What moves and what stays

@pytest.mark.parametrize("plan", [Shot(**QUICK), Tent(**QUICK), Eata(**{**QUICK, "alignments": "entropy"})],
                         ids=lambda plan: plan.part_name)
def test_a_source_free_training_leaves_the_head_alone_and_moves_the_backbone(plan, world, tmp_path):
    made, _ = world.fit(plan, tmp_path)
    assert head_bits(made) == head_bits(world.start)
    assert made.backbone.weights_hash() != world.start.backbone.weights_hash()


def test_tent_changes_normalisation_alone(world, tmp_path):
    start = world.start
    made, _ = world.fit(Tent(**{**QUICK, "lr_backbone": 1e-2}), tmp_path)
    of_norms = {f"{name}.{key}" for name, module in start.backbone.named_modules() if isinstance(module, NORMS)
                for key in module.state_dict()}
    before, after = start.backbone.state_dict(), made.backbone.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == of_norms


@pytest.mark.parametrize("plan", [Tent(**QUICK), Eata(**{**QUICK, "alignments": "entropy"})],
                         ids=lambda plan: plan.part_name)
def test_tent_and_eata_end_with_the_targets_statistics_under_their_last_scales(plan, world, tmp_path):
    known = context(tmp_path, Events())
    made = plan.adapted(world.start, world.parts, known)
    again = restated(made, world.parts.target, known)
    assert made.backbone.weights_hash() == again.backbone.weights_hash()
    assert made.backbone.weights_hash() != restated(world.start, world.parts.target, known).backbone.weights_hash()


def test_align_trains_head_and_backbone(world, tmp_path):
    made, _ = world.fit(Align(**QUICK), tmp_path)
    assert head_bits(made) != head_bits(world.start)
    assert made.backbone.weights_hash() != world.start.backbone.weights_hash()


@pytest.mark.parametrize("alignments", ["dann", "cdan,mcc", "mdd"])
def test_what_an_alignment_learns_itself_is_moved_and_is_no_part_of_the_model(alignments, world, tmp_path):
    method = Align(**{**QUICK, "alignments": alignments})
    made = train(world.start, world.parts, method, context(tmp_path, Events()))
    last = Checkpoints(tmp_path / "checkpoints", silent).newest().weights
    lesson = DomainLesson(world.start, world.parts, method, context(tmp_path, Events()))
    fresh = {f"companion.{name}": value for name, value in lesson.companion().state_dict().items()}
    assert {name for name in last if name.startswith("companion.")} == set(fresh)
    assert [name for name, value in fresh.items() if name.endswith("weight") and torch.equal(last[name], value)] == []
    assert made.backbone.state_dict().keys() == world.start.backbone.state_dict().keys()
    assert made.head.state_dict().keys() == world.start.head.state_dict().keys()


def test_the_reference_of_adda_is_the_network_as_it_began_and_stays_so(monkeypatch, world, tmp_path):
    kept, before = [], DomainLesson.begin

    def begin(self: DomainLesson, *given: Any) -> Any:
        found = before(self, *given)
        kept.append((self._reference, {name: value.clone() for name, value in self._reference.state_dict().items()}))
        return found

    monkeypatch.setattr(DomainLesson, "begin", begin)
    start = world.start
    made, _ = world.fit(Align(**{**QUICK, "alignments": "adda"}), tmp_path)
    ((reference, as_it_was),) = kept
    assert [name for name, value in reference.state_dict().items() if not torch.equal(value, as_it_was[name])] == []
    assert made.backbone.weights_hash() != start.backbone.weights_hash()
    assert not any(module.training for module in reference.modules())
    for name, value in start.backbone.state_dict().items():
        torch.testing.assert_close(as_it_was[f"backbone.{name}"], value, rtol=0, atol=0)


def test_adda_leaves_the_head_alone_for_nothing_teaches_it(world, tmp_path):
    made, _ = world.fit(Align(**{**QUICK, "alignments": "adda", "weight_decay": 0.0}), tmp_path)
    assert head_bits(made) == head_bits(world.start)


# What chooses the epoch

@pytest.mark.parametrize(("scores", "epoch"), [([-3, -2, -1, -2.5], 2), ([-3, -2, -2.5, -1.5], 3),
                                               ([-1, -2, -3, -4], 0), ([float("nan"), -4, -3, -5], 2)])
def test_the_epoch_of_the_best_value_is_kept_the_start_among_them(scores, epoch, monkeypatch, world, tmp_path):
    course, events = iter(scores), Events()
    monkeypatch.setattr(Entropy, "__call__", lambda self, evidence: next(course))
    train(world.start, world.parts, Align(**{**QUICK, "epochs": 3, "select": "entropy"}), context(tmp_path, events))
    assert events.of(Kept)[0].epoch == epoch
    assert [row["val_entropy"] for row in rows(events)] == scores[1:]


def test_the_history_has_the_accuracy_on_the_sources_validation_images_and_the_last_epoch_is_kept(world, tmp_path):
    made, events = world.fit(Align(**QUICK), tmp_path)
    said = made.logits([sample.source for sample in world.parts.val.samples]).argmax(axis=1)
    assert events.of(Kept)[0].epoch == 2
    assert rows(events)[-1]["val_accuracy"] == (said == world.parts.val.labels()).mean()
    assert set(rows(events)[-1]) == {"epoch", "step", "train_loss", "val_loss", "val_consistency", "val_accuracy",
                                     "lr_head", "lr_backbone"}
    # Each epoch, and then the method's start and its result.
    assert [event.epoch for event in events.of(Judged)] == [0, 1, 2, 0, None]
    assert events.of(Judged)[2].scores["last_epoch"] == 2


# Labels of its own

def slow_labels(features: np.ndarray, logits: np.ndarray) -> list[int]:
    """SHOT's equations 4 and 5, image by image."""
    images = [np.append(row, 1.0) / np.linalg.norm(np.append(row, 1.0)) for row in features]
    shares = [np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in logits]
    for _ in range(2):
        centres = [sum(share[label] * image for share, image in zip(shares, images, strict=True))
                   for label in range(logits.shape[1])]
        labels = [max(range(len(centres)), key=lambda label: image @ centres[label] / max(
            np.linalg.norm(centres[label]), 1e-12)) for image in images]
        shares = [np.eye(logits.shape[1])[label] for label in labels]
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_its_own_labels_are_those_of_the_nearest_centre(seed):
    rng = np.random.default_rng(seed)
    features, logits = rng.normal(size=(40, 5)), rng.normal(0, 3, (40, 4))
    found = own_labels(torch.from_numpy(features).float(), torch.from_numpy(logits).float())
    assert found.tolist() == slow_labels(features, logits)
    assert found.dtype == torch.int64


def test_its_own_labels_put_a_wrong_answer_right_where_the_images_lie_apart():
    truth = np.arange(20) % 2
    features = np.where(truth[:, None] == 0, 5.0, -5.0) + np.random.default_rng(0).normal(0, 0.1, (20, 3))
    said = 2 * np.eye(2)[np.where(np.arange(20) < 4, 1 - truth, truth)]
    assert own_labels(torch.from_numpy(features).float(), torch.from_numpy(said).float()).tolist() == truth.tolist()


def test_each_epoch_learns_the_labels_of_the_validation_before_it(monkeypatch, world, tmp_path):
    seen, before = [], DomainLesson._aligned

    def aligned(self: DomainLesson, network: Any, source: Any, views: Any, prepared: Any, batch: Any,
                rows: torch.Tensor) -> torch.Tensor:
        seen.append((self.epoch, self.monitor.pseudo.clone()))
        return before(self, network, source, views, prepared, batch, rows)

    monkeypatch.setattr(DomainLesson, "_aligned", aligned)
    parts, start = world.parts, world.start
    train(start, parts, Shot(**QUICK), context(tmp_path, Events()))
    images = [sample.source for sample in parts.target.samples]
    features = np.stack([start.preprocessing.pixels(path) for path in images])
    with torch.no_grad():
        vectors = start.backbone.pooled(start.preprocessing.normalise(torch.from_numpy(features).permute(0, 3, 1, 2)))
        expected = slow_labels(vectors.numpy(), start.head(vectors).numpy())
    assert [pseudo.tolist() for epoch, pseudo in seen if epoch == 0] == [expected] * 3
    assert {epoch for epoch, _ in seen} == {0, 1}


@pytest.mark.parametrize("alignments", ["information_maximisation,self_labels", "adda,reliable_entropy"])
def test_a_killed_training_resumes_to_the_same_bits_its_own_labels_included(alignments, world, tmp_path):
    method = Align(**{**QUICK, "alignments": alignments, "checkpoint_seconds": 0.001})

    def fit(name: str, listen: Listen) -> str:
        return digest(train(world.start, world.parts, method, context(tmp_path / name, listen)))

    expected, events = fit("whole", silent), Events()
    assert in_child(lambda: fit("killed", kill_at_step(6))) == -signal.SIGKILL
    assert fit("killed", events) == expected
    assert "align: resumed at step 5 of 8" in events.notes()


# Settings

def test_find_lr_is_refused(world, tmp_path):
    with pytest.raises(ConfigError, match="align: find_lr looks for the rate at which the source's loss falls"):
        world.fit(Align(**QUICK, find_lr=True), tmp_path)


@pytest.mark.parametrize(("name", "value"), [("monitor", "accuracy"), ("mix", Mixup())])
def test_a_setting_that_would_have_no_effect_is_refused(name, value, world, tmp_path):
    with pytest.raises(ConfigError, match=rf"align: {name} would have no effect"):
        world.fit(Align(**QUICK, **{name: value}), tmp_path)


@pytest.mark.parametrize("name", ["label_smoothing", "class_weights"])
def test_what_needs_labels_is_refused_where_the_loss_on_them_is_left_out(name, world, tmp_path):
    value = {"label_smoothing": 0.1, "class_weights": "balanced"}[name]
    with pytest.raises(ConfigError, match=rf"align with adda: {name} would have no effect: it learns from no label"):
        world.fit(Align(**{**QUICK, "alignments": "mcc,adda", name: value}), tmp_path)


@pytest.mark.parametrize("settings", [
    {"average": "ema", "micro_batch": 2, "class_weights": "balanced", "on_overfit": "stop", "batch_norm": "adapt"},
    {"sampling": "balanced", "on_overfit": "regularise", "batch_norm": "train", "regularisers": [L2SP()],
     "select": "deep_embedded_validation"},
    {"unfreeze": "fixed", "scope": "last-1", "select": "entropy", "alignments": "fixmatch,adda,self_labels"}],
    ids=["averaged", "regularised", "thawed"])
def test_it_trains_with_the_settings_of_every_training(settings, world, tmp_path):
    made, events = world.fit(Align(**{**QUICK, **settings}), tmp_path)
    assert np.isfinite(made.logits([sample.source for sample in world.parts.target.samples])).all()
    assert len(rows(events)) == 2


@pytest.mark.parametrize("plan", [Shot, Tent, Eata])
def test_a_training_without_the_source_refuses_what_reads_the_source_and_names_what_does_not(plan, world, tmp_path):
    with pytest.raises(ConfigError, match=rf"{plan.part_name}: learns without the source, which dann reads\. Take "
                                          r"--method dann, or one of entropy, fixmatch, "):
        world.fit(plan(**{**QUICK, "alignments": "mcc,dann"}), tmp_path)


def test_an_epoch_is_chosen_by_some_validator():
    with pytest.raises(ConfigError, match="select: needs a validator; last_epoch takes the last one"):
        Align.parse({"select": "none"})


def test_the_name_of_an_alignment_is_a_methods_too():
    job = Job.parse({"data": "flowers", "target": "drawings", "method": "dann"})
    assert [method.part_name for method in job.method] == ["probe", "align"]
    assert job.method[-1] == Align(alignments="dann")
    both = Job.parse({"data": "flowers", "method": [{"method": "align", "alignments": "cdan,mcc"}]})
    assert [part.part_name for part in both.method[-1].alignments] == ["cdan", "mcc"]
    assert Job.parse({"data": "flowers", "method": both.model_dump(mode="json")["method"]}).method == both.method


def test_a_job_with_two_alignments_of_which_one_is_none_is_refused():
    with pytest.raises(ConfigError, match=r'unknown alignment "dan_n"'):
        Job.parse({"data": "flowers", "method": [{"method": "align", "alignments": "cdan,dan_n"}]})


@pytest.mark.parametrize(("pull", "much"), [("ewc", 1e8), ("l2_sp", 1e4)])
def test_eata_is_held_near_its_start(pull, much, world, tmp_path):
    start, _ = world.fit(Adabn(guard="none"), tmp_path / "adabn")

    def way(strength: float) -> float:
        plan = Eata(epochs=3, batch_size=4, lr_backbone=1e-2, guard="none", alignments="entropy",
                    regularisers=({"regulariser": pull, "strength": strength},))
        made = plan.fit(start, world.parts, context(tmp_path / str(strength), Events()))
        return sum(float((mine - its).detach().square().sum()) for mine, its in zip(
            made.backbone.parameters(), start.backbone.parameters(), strict=True))

    assert way(much) < way(1e-4) / 2
