"""Soups: the mean against NumPy, the greedy recipe's promise, and every run that may not go in."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from headstart.data.dataset import Splits
from headstart.errors import ConfigError, DataError
from headstart.methods.soup import Soup
from headstart.training.validation import Judged, Validation
from headstart.training.weights import ordered, weights_of
from tests.methods.past import finished, moved, splits
from tests.training.small import Events, context, digest, model


@pytest.fixture
def kitchen(tmp_path):
    """A start, its splits, and three models and runs that came of it."""
    start, parts = model(), splits(tmp_path / "data")
    made = [moved(start, seed=seed) for seed in range(3)]
    runs = [finished(tmp_path / "runs" / name, each, parts, start=start)
            for name, each in zip("abc", made, strict=True)]
    return start, parts, made, runs


def worth(monkeypatch, *judged):
    """Let validation answer so, in the order in which it is asked."""
    answers = iter(judged)
    monkeypatch.setattr(Validation, "judge", lambda self, asked: Judged(*next(answers)))


def mean_of(*models):
    each = [weights_of(made) for made in models]
    return {name: np.mean([one[name].numpy().astype(float) for one in each], axis=0).astype(np.float32)
            for name, tensor in each[0].items() if tensor.is_floating_point()}


def assert_weights(found, expected):
    for name, array in expected.items():
        np.testing.assert_allclose(weights_of(found)[name].numpy(), array, rtol=2e-7, atol=1e-9, err_msg=name)


def test_uniform_is_the_plain_mean_of_every_weight(kitchen, tmp_path):
    start, parts, made, runs = kitchen
    before = digest(start)
    soup = Soup(runs=runs, kind="uniform").fit(start, parts, context(tmp_path, Events()))
    assert_weights(soup, mean_of(*made))
    assert soup.temperature == 1.0
    assert not soup.backbone.training
    assert digest(start) == before


def test_greedy_begins_with_the_best_and_keeps_what_does_not_harm(kitchen, tmp_path, monkeypatch):
    start, parts, made, runs = kitchen
    # a, b, c alone; then b+c (worse), b+a (equal, at a higher loss).
    worth(monkeypatch, (0.7, 0.1), (0.9, 0.3), (0.8, 0.2), (0.8, 0.1), (0.9, 0.6))
    events = Events()
    soup = Soup(runs=runs).fit(start, parts, context(tmp_path, events))
    assert_weights(soup, mean_of(made[1], made[0]))
    a, b, c = runs
    assert f"soup: begins with {b}, the best on validation: accuracy 0.900, loss 0.300" in events.notes()
    assert f"{c} is left out: alone accuracy 0.800, loss 0.200, with it accuracy 0.800, loss 0.100" in events.notes()
    assert f"{a} is added: alone accuracy 0.700, loss 0.100, with it accuracy 0.900, loss 0.600" in events.notes()


def test_three_runs_have_equal_shares(kitchen, tmp_path, monkeypatch):
    start, parts, made, runs = kitchen
    worth(monkeypatch, *[(0.9, 0.3)] * 5)
    assert_weights(Soup(runs=runs).fit(start, parts, context(tmp_path, Events())), mean_of(*made))


def test_one_run_left_alone_is_kept_bit_for_bit(kitchen, tmp_path, monkeypatch):
    start, parts, made, runs = kitchen
    worth(monkeypatch, (0.7, 0.1), (0.9, 0.3), (0.8, 0.2), (0.1, 0.1), (0.1, 0.6))
    assert digest(Soup(runs=runs).fit(start, parts, context(tmp_path, Events()))) == digest(made[1])


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_greedy_is_never_worse_on_validation_than_its_best_run(task, tmp_path):
    start, parts = model(task=task), splits(tmp_path / "data", task=task)
    made = [moved(start, seed=seed, scale=0.2) for seed in range(4)]
    runs = [finished(tmp_path / "runs" / str(i), each, parts, start=start) for i, each in enumerate(made)]
    soup = Soup(runs=runs).fit(start, parts, context(tmp_path, Events()))
    validation = Validation(start, parts.val, context(tmp_path, Events()))
    assert validation.judge(soup).metric >= max(validation.judge(each).metric for each in made)


def test_classes_in_another_order_are_matched_by_name(kitchen, tmp_path):
    start, parts, made, runs = kitchen
    turned = finished(tmp_path / "runs" / "turned", ordered(made[1], ("left", "right")), parts, start=start)
    soup = Soup(runs=(runs[0], turned), kind="uniform").fit(start, parts, context(tmp_path, Events()))
    assert_weights(soup, mean_of(made[0], made[1]))
    assert soup.classes == start.classes


def test_a_uniform_soup_that_is_worse_than_a_run_says_so(kitchen, tmp_path, monkeypatch):
    start, parts, _, runs = kitchen
    worth(monkeypatch, (0.7, 0.1), (0.9, 0.3), (0.5, 0.2))
    events = Events()
    Soup(runs=runs[:2], kind="uniform").fit(start, parts, context(tmp_path, events))
    assert (f"the mean of all 2 runs has accuracy 0.500, loss 0.200 on validation, worse than {runs[1]} alone: "
            "accuracy 0.900, loss 0.300. Use kind greedy, or that run.") in events.notes()


def refused(runs, start, parts, *, error=ConfigError):
    with pytest.raises(error) as found:
        Soup(runs=runs).refuse_unfit(start, parts)
    return str(found.value)


def test_runs_that_are_not_there_are_named_with_the_nearest_one(kitchen, tmp_path):
    start, parts, _, (a, b, _) = kitchen
    assert "name two finished runs or more, each once" in refused((), start, parts)
    assert "name two finished runs or more, each once" in refused((a, a, b), start, parts)
    said = refused((a, tmp_path / "runs" / "bb"), start, parts)
    assert "bb: there is no run here (no run.json)" in said
    assert f'Did you mean "{b}"?' in said
    assert "there is no run here (no run.json). `headstart runs` lists them." in refused((a, "none/b"), start, parts)
    broken = finished(tmp_path / "runs" / "broken", start, parts, start=start, status="interrupted")
    assert f"{broken}: this run is interrupted. Go on with `headstart resume {broken}` first." in refused(
        (a, broken), start, parts)


def test_models_of_another_kind_are_refused(kitchen, tmp_path):
    start, parts, made, (a, *_) = kitchen
    several = finished(tmp_path / "several", model(task="multilabel"), parts, start=start)
    assert f"{several} does multilabel, this job classification" in refused((a, several), start, parts)
    named = finished(tmp_path / "named", replace(made[0], classes=("right", "up")), parts, start=start)
    assert "has other classes than this job's data; only one of them has left, up." in refused((a, named), start, parts)
    spec = start.backbone.spec
    start.backbone.spec = spec.model_copy(update={"architecture": "resnet18"})
    assert f"{a} is a timm/test_resnet, this job starts from resnet18" in refused((a, a.parent / "b"), start, parts)
    assert "--backbone timm/test_resnet." in refused((a, a.parent / "b"), start, parts)
    start.backbone.spec = spec
    larger = replace(start, preprocessing=start.preprocessing.model_copy(update={"size": 64}))
    assert "prepares pictures in another way than this job: size 32 and 64." in refused((a, a.parent / "b"), larger,
                                                                                        parts)


def test_models_without_a_common_start_are_refused(kitchen, tmp_path):
    start, parts, made, (a, *_) = kitchen
    other = finished(tmp_path / "other", made[0], parts, start=moved(start, seed=9))
    assert f"{other} started from other weights than {a}" in refused((a, other), start, parts)
    scratch = finished(tmp_path / "scratch", made[0], parts, start=start, methods=("scratch", "finetune"))
    assert f"{scratch} was trained from random weights" in refused((a, scratch), start, parts)


def test_a_run_that_has_seen_the_test_or_validation_images_is_refused(kitchen, tmp_path):
    start, parts, made, (a, *_) = kitchen
    for name, swapped in {"test in train": Splits(parts.test, parts.val, parts.train),
                          "val in train": Splits(parts.val, parts.train, parts.test),
                          "test in val": Splits(parts.train, parts.test, parts.val)}.items():
        run = finished(tmp_path / name, made[0], swapped, start=start)
        said = refused((a, run), start, parts, error=DataError)
        mine, its = name.split(" in ")
        assert f"{run} has learned from, or was chosen on, " in said
        assert f": in {mine} here, in {its} there" in said
        assert "Use the same data and the same seed for all runs" in said


def test_a_copy_that_this_job_has_on_both_sides_is_the_data_checks_affair(kitchen, tmp_path):
    start, parts, _, (a, b, _) = kitchen
    source = parts.train.samples[0].source
    test = replace(parts.test, samples=(replace(parts.test.samples[0], source=source), *parts.test.samples[1:]))
    Soup(runs=(a, b)).refuse_unfit(start, Splits(parts.train, parts.val, test))


def test_runs_are_stored_as_absolute_paths_where_they_exist(kitchen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Soup(runs=["runs/a", "runs/none"])
    assert found.runs == (str((tmp_path / "runs" / "a").resolve()), "runs/none")
    with pytest.raises(ConfigError, match=r"soup: runs\.0: Input should be a valid string"):
        Soup.parse({"runs": [3]}, where="soup")


@pytest.mark.parametrize("policy", ["train", "adapt"])
def test_a_run_whose_statistics_moved_is_refused(kitchen, tmp_path, policy):
    start, parts, _, runs = kitchen
    path = runs[1] / "job.yaml"
    path.write_text(path.read_text() + f"  batch_norm: {policy}\n")
    with pytest.raises(ConfigError, match="not trained with batch_norm=frozen"):
        Soup(runs=runs).refuse_unfit(start, parts)


@pytest.mark.parametrize("words", [
    "init_from: {}\nmethod:\n- method: finetune\n", "method:\n- method: distill\n  teacher: {}\n",
    "method:\n- method: soup\n  runs: [{}]\n"])
def test_what_a_run_was_built_on_has_taught_it_too(kitchen, tmp_path, words):
    """The images of the grandparent are those of this job's test split; the parent itself has seen others."""
    start, parts, made, _ = kitchen
    seen = Splits(parts.test, parts.val, parts.train)
    grandparent = finished(tmp_path / "runs" / "grandparent", made[0], seen, start=start)
    parent = finished(tmp_path / "runs" / "parent", made[1], parts, start=start)
    (parent / "job.yaml").write_text(words.format(grandparent))
    other = finished(tmp_path / "runs" / "other", made[2], parts, start=start)
    with pytest.raises(DataError, match="in test here, in train there"):
        Soup(runs=(parent, other)).refuse_unfit(start, parts)
    shutil.rmtree(grandparent)
    Soup(runs=(parent, other)).refuse_unfit(start, parts)
