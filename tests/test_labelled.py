"""Labelled images of a target: what is learned from, what it counts, what leaves the target, what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.data.load import load_data
from headstart.data.splits import split
from headstart.errors import ConfigError, DataError
from headstart.job import Job
from headstart.labelled import HEAVIEST, Labelled, open_labelled
from headstart.target import open_target
from tests.test_target import CLASSES, folders
from tests.training.small import Events


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return folders(tmp_path / "source", CLASSES, each=10, start=0)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return folders(tmp_path / "target", CLASSES, each=6)


def opened(source: Path, target: Path | None, few: Path | None, **settings: object) -> tuple[Labelled | None, Events]:
    events = Events()
    data = load_data(str(source))
    named = {"target": str(target) if target else None, "target_train": str(few) if few else None}
    job = Job.parse({"data": str(source), "method": "probe", **named, **settings})
    splits = split(data, seed=0)
    return open_labelled(job, data, splits, open_target(job, data, splits, events), events), events


def test_none_named_is_none(source, target):
    assert opened(source, target, None)[0] is None


def test_they_join_train_at_its_end_with_labels_by_name_and_names_of_their_own(source, target, tmp_path):
    few = folders(tmp_path / "few", ("Owl", "cat"), each=2, start=5000)
    found, events = opened(source, target, few)
    splits = split(load_data(str(source)), seed=0)
    joint = replace(splits, labelled=found.images).joint()
    assert joint.train.samples == splits.train.samples + found.images.samples
    assert {(sample.id, CLASSES[sample.label]) for sample in found.images.samples} == {
        (f"target_train/{folder}/{number}.png", folder.lower()) for folder in ("Owl", "cat") for number in range(2)}
    assert "target_train: a partial set of classes: it does not have dog" in events.notes()


def test_images_of_one_class_alone_will_do(source, target, tmp_path):
    found, events = opened(source, target, folders(tmp_path / "few", ("owl",), each=1, start=5000))
    assert [CLASSES[sample.label] for sample in found.images.samples] == ["owl"]
    assert "target_train: a partial set of classes: it does not have cat, dog" in events.notes()


@pytest.mark.parametrize(("share", "expected"), [(0.2, 0.2), (0.5, 0.5)])
def test_they_have_their_share_of_the_weight(share, expected, source, target, tmp_path):
    found, _ = opened(source, target, folders(tmp_path / "few", CLASSES, each=2, start=5000), target_share=share)
    taught = split(load_data(str(source)), seed=0).train.weights().sum()
    own = found.images.weights().sum()
    assert own / (own + taught) == pytest.approx(expected)


def test_a_handful_does_not_drown_the_source(source, target, tmp_path):
    found, _ = opened(source, target, folders(tmp_path / "few", ("cat", "dog"), each=1, start=5000),
                      target_share=0.9)
    assert found.images.weights().tolist() == [HEAVIEST, HEAVIEST]


def test_images_that_are_learned_from_leave_the_target_and_its_proof(source, target, tmp_path):
    few = folders(tmp_path / "few", ("cat", "dog"), each=2)  # the first of the target
    found, events = opened(source, target, few)
    names = {sample.id for sample in found.target.images.samples}
    assert len(names) == 14
    assert not names & {"cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"}
    assert {sample.id for sample in found.target.proof.samples} == names
    assert "4 images of the target are among them" in events.notes()


def test_images_that_judge_the_source_are_refused(source, target):
    with pytest.raises(DataError, match="images are in the source's val part too"):
        opened(source, target, source)


def test_what_has_no_label_no_shared_class_or_no_target_is_refused(source, target, tmp_path):
    with pytest.raises(DataError, match="flat"):
        opened(source, target, folders(tmp_path / "flat", ("",), start=7000))
    with pytest.raises(ConfigError, match="none of its classes"):
        opened(source, target, folders(tmp_path / "other", ("elk", "yak"), start=7000))
    with pytest.raises(ConfigError, match="belongs to a target, and none is named"):
        opened(source, None, folders(tmp_path / "few", CLASSES, start=7000))
    with pytest.raises(ConfigError, match="target_share: has no effect without target_train"):
        opened(source, target, None, target_share=0.3)


def test_a_target_that_is_learned_from_whole_is_refused(source, target):
    with pytest.raises(DataError, match="all but 0 images of the target"):
        opened(source, target, target)


def test_a_proof_that_is_learned_from_whole_is_told_of(source, tmp_path):
    target = tmp_path / "target"
    for name in ("train", "test"):
        folders(target / name, CLASSES, each=4, start=3000 if name == "train" else 4000)
    found, events = opened(source, target, target / "test")
    assert found.target.proof is None
    assert len(found.target.images) == 12
    assert "nothing is proven on the target" in events.notes()
    assert "12 images of the target are among them" in events.notes()


def test_images_that_the_source_teaches_already_are_told_of(source, target, tmp_path):
    train = split(load_data(str(source)), seed=0).train
    for sample in train.samples[:4]:
        place = tmp_path / "few" / sample.id
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(sample.source.read_bytes())
    folders(tmp_path / "few", CLASSES, each=1, start=5000)
    _, events = opened(source, target, tmp_path / "few")
    assert "images are in the source's train part too, byte for byte, and count twice" in events.notes()


def test_what_is_said_names_the_setting(source, target, tmp_path):
    with pytest.raises(ConfigError, match=r"target_train .*nowhere: no such file or folder"):
        opened(source, target, tmp_path / "nowhere")
    _, events = opened(source, target, folders(tmp_path / "few", ("cat", "yak"), each=2, start=5000))
    assert "target_train: an open set of classes: yak is not known to the source. Their 2 images are left out" in \
        events.notes()
