"""What every method promises, over all that are in the catalogue: it leaves its input alone, reads no test image, does
the tasks that it names, takes its settings from anywhere, and repeats itself to the bit, after a kill as well."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import headstart as hs
from headstart.alignments.alignment import ALIGNMENTS
from headstart.averages.average import AVERAGES
from headstart.cli import application
from headstart.data.dataset import Splits
from headstart.errors import ConfigError, ResourceError
from headstart.job import METHODS, Job
from headstart.losses.loss import LOSSES
from headstart.mask_losses.mask_loss import MASK_LOSSES
from headstart.methods.method import Method
from headstart.mixes.mix import MIXES
from headstart.model import Model
from headstart.regularisers.regulariser import REGULARISERS
from headstart.run import run
from headstart.training.plan import Plan
from headstart.types import Sample
from tests.methods.past import finished, moved, splits
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, model, pictures

NAMES = METHODS.names()
# Detectors and segmenters are trained in tests/training and tests/e2e: they need marks, and give no logits of an image.
PAIRS = [(name, task) for name, part in METHODS.all().items() for task in part.tasks
         if task not in ("detection", "semantic")]
TRAINED = [(name, task) for name, part in METHODS.all().items() for task in part.tasks[:1]
           if issubclass(part, Plan) and (name, task) in PAIRS]
QUICK = {"epochs": 2, "batch_size": 5, "lr_head": 1e-2, "checkpoint_seconds": 0.001, "guard": "none", "neighbours": 3,
         "spread": 0.5}
"""A training as short as may be, for those that have such settings; what it made is kept."""
RUNS = {"runs", "teacher"}
"""Settings that name past runs."""
every_method = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """A forked child can't use several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Sealed:
    """The source of a test image: no picture can be made of it, and it is remembered that it was read."""

    number: int
    reads: list[int] = field(compare=False)

    def __call__(self) -> bytes:
        self.reads.append(self.number)
        return b"no picture %d" % self.number


@dataclass(frozen=True)
class Fitted:
    """What a method was given, and what it made."""

    method: Method
    start: Model
    before: dict[str, Any]
    made: Model
    parts: Splits
    reads: list[int]
    """Test images read while it was fitted."""

    def again(self, folder: Path, listen: Callable[..., None]) -> Model:
        return self.method.fit(self.start, self.parts, context(folder, listen))


def state(of: Model) -> dict[str, Any]:
    """Everything that a method could leave behind in a model: weights, buffers, modes, gradients, plain attributes."""
    kept = {"weights": digest(of), "classes": of.classes, "temperature": of.temperature}
    for part, module in (("backbone", of.backbone), ("head", of.head)):
        kept |= {f"{part}.{name}": (p.requires_grad, p.grad is None) for name, p in module.named_parameters()}
        kept |= {f"{part}.{name}:{key}": value for name, child in module.named_modules()
                 for key, value in vars(child).items() if isinstance(value, bool | int | float | str)}
    return kept


def with_sealed_test(parts: Splits, reads: list[int]) -> Splits:
    sealed = tuple(replace(sample, source=Sealed(number, reads), label=None)
                   for number, sample in enumerate(parts.test.samples))
    return replace(parts, test=replace(parts.test, samples=sealed))


def with_target(parts: Splits, folder: Path) -> Splits:
    """The splits with a target without labels, as many other pictures, darker, and with some of it that has labels."""
    images = []
    for number, path in enumerate(pictures(folder, len(parts.train))):
        Image.fromarray((np.asarray(Image.open(path)) * 0.9).astype(np.uint8)).save(path)
        images.append(Sample(f"target {number}", path, None))
    return replace(parts, target=replace(parts.train, samples=tuple(images)), labelled=parts.val)


def build(name: str, start: Model, parts: Splits, folder: Path) -> Method:
    """The method with the least that it asks for: past runs, where it builds on some; a few steps, where it trains."""
    part, least = METHODS.get(name), QUICK if METHODS.get(name).needs_target else {**QUICK, "monitor": "loss"}
    if RUNS & set(part.model_fields):
        runs = [str(finished(folder / f"run {seed}", moved(start, seed=seed), parts, start=start)) for seed in (1, 2)]
        least = {**least, "runs": runs, "teacher": runs[0]}
    return part(**{key: value for key, value in least.items() if key in part.model_fields})


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def fitted(request, tmp_path_factory) -> Fitted:
    name, task = request.param
    folder, reads = tmp_path_factory.mktemp(name), []
    parts = with_target(with_sealed_test(splits(folder / "data", task=task), reads), folder / "target")
    start = model(task=task)
    for need in METHODS.get(name).needs:
        start = METHODS.get(need)().fit(start, parts, context(folder / need, Events()))
    if not METHODS.get(name).needs_target:  # which builds on what the start says of the target
        with torch.no_grad():
            # A start that validation does not like, so that what was learned is kept.
            start.head.linear.weight.mul_(0.01)
            start.head.linear.bias[:1] += 4
    method = build(name, start, parts, folder)
    reads.clear()
    before = state(start)
    try:
        method.refuse_unfit(start, parts)
    except ResourceError as error:
        pytest.skip(str(error))
    made = method.fit(start, parts, context(folder / "fit", Events()))
    return Fitted(method, start, before, made, parts, list(reads))


def test_the_given_model_is_left_as_it_was(fitted):
    assert state(fitted.start) == fitted.before
    # Else there would be nothing to leave alone; `transfer` may find nothing better than the start.
    assert digest(fitted.made) != fitted.before["weights"] or fitted.method.part_name == "transfer"


def test_no_test_image_is_read(fitted):
    # Who builds on past runs hashes them, to refuse runs that know them; there is no picture and no label to be found.
    assert fitted.reads == [] or RUNS & set(type(fitted.method).model_fields)


def test_the_result_is_a_model_like_any_other(fitted, tmp_path):
    made, start = fitted.made, fitted.start
    assert (made.classes, made.preprocessing, made.task) == (start.classes, start.preprocessing, start.task)
    assert made.backbone.spec == start.backbone.spec
    assert list(made.backbone.state_dict()) == list(start.backbone.state_dict())
    assert not any(module.training for part in (made.backbone, made.head) for module in part.modules())
    assert np.isfinite(made.logits([sample.source for sample in fitted.parts.val.samples])).all()
    made.save(tmp_path / "model.safetensors")
    assert digest(Model.load(tmp_path / "model.safetensors")) == digest(made)


def test_a_method_that_leaves_the_backbone_alone_says_so_and_does_so(fitted):
    moved_backbone = fitted.made.backbone.weights_hash() != fitted.start.backbone.weights_hash()
    assert fitted.method.trains_backbone or not moved_backbone


def test_the_same_seed_gives_the_same_bits(fitted, tmp_path):
    torch.manual_seed(99)
    assert digest(fitted.again(tmp_path, Events())) == digest(fitted.made)


@pytest.mark.parametrize("fitted", TRAINED, ids=lambda pair: f"{pair[0]}-{pair[1]}", indirect=True)
def test_a_killed_training_resumes_to_the_same_bits(fitted, tmp_path):
    assert in_child(lambda: fitted.again(tmp_path, kill_at_step(6))) == -signal.SIGKILL
    events = Events()
    assert digest(fitted.again(tmp_path, events)) == digest(fitted.made)
    assert "resumed at step 5 of 8" in events.notes()


def test_a_method_names_tasks_that_there_are_and_needs_that_there_are():
    assert {task for part in METHODS.all().values() for task in part.tasks} == {"classification", "multilabel",
                                                                                "detection", "semantic"}
    assert set(NAMES) - {name for name, _ in PAIRS} == {"fda", "mean_teacher"}  # see tests/e2e/test_mask_domains.py
    assert {need for part in METHODS.all().values() for need in part.needs} <= set(NAMES)


@every_method
@pytest.mark.parametrize("role", ["method", "baselines"])
def test_a_task_that_a_method_can_not_do_is_refused_with_those_that_can(name, role, tmp_path, monkeypatch):
    parts = splits(tmp_path / "data")
    monkeypatch.setattr(METHODS.get(name), "tasks", ("multilabel",))
    able = [other for other in NAMES if "classification" in METHODS.get(other).tasks]
    chain = "probe" if name == "majority" else "majority"  # a baseline may not be called like a method of the chain
    job = Job.parse({"data": "flowers", "method": chain, role: name, "backbone": "timm/test_resnet"})
    with pytest.raises(ConfigError) as refused:
        run(job, tmp_path / "run", dataset=parts.train)
    assert str(refused.value) == f"method {name} can't do classification. Methods that can: {', '.join(able)}."
    assert name not in able
    assert not (tmp_path / "run" / "run.json").exists()


PARTS = [catalog.plain(part()) for catalog in (LOSSES, MIXES, AVERAGES, REGULARISERS, MASK_LOSSES, ALIGNMENTS)
         for part in catalog.all().values()]
VALUES = (3, 0.25, True, "last-2", "entropy", "tca", "word", ["word"], *PARTS, *([part] for part in PARTS))
"""One of them is a value of any setting that has no list of words."""


def other_values(name: str) -> dict[str, Any]:
    """A value for each setting of the method that is not its default, as YAML would have it."""
    part, found = METHODS.get(name), {}
    for key, setting in part.model_fields.items():
        default = getattr(part(), key)
        for value in (*re.findall(r"'([\w-]+)'", str(setting.annotation)), *VALUES):
            try:
                if getattr(part.parse({key: value}), key) != default:
                    found[key] = value
                    break
            except ConfigError:
                continue
    return found


@every_method
def test_a_setting_is_the_same_from_the_command_line_from_yaml_and_from_python(name, tmp_path, monkeypatch):
    jobs, values = [], other_values(name)

    def remember(job: Job, *_: object, **__: object) -> None:
        jobs.append(job)
        raise ConfigError("that is all")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headstart.api.run", remember)  # first: it takes the other one in as it is imported
    monkeypatch.setattr("headstart.run.run", remember)
    written = {"data": "flowers", "tracking": "off", "method": [{"method": name, **values}]}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(written))
    (tmp_path / "words.yaml").write_text(f"data: flowers\nmethod: {name}\n")
    typed = [word for key, value in values.items() for word in ("--set", f"method.{name}.{key}={json.dumps(value)}")]
    for words in (["flowers", "--method", name, *typed], ["--config", "job.yaml"], ["--config", "words.yaml", *typed]):
        with pytest.raises(SystemExit):
            application()(["adapt", *words, "--set", "tracking=off"], prog_name="headstart")
    with pytest.raises(ConfigError, match="that is all"):
        hs.adapt("flowers", method={"method": name, **values}, tracking="off")
    assert len(jobs) == 4
    assert jobs == [jobs[0]] * 4
    assert Job.parse(yaml.safe_load(jobs[0].to_yaml())) == jobs[0]
    last, plain = jobs[0].method[-1], METHODS.get(name)()
    assert [key for key in values if getattr(last, key) == getattr(plain, key)] == []
    single = [key for key, setting in type(plain).model_fields.items()
              if re.fullmatch(r"typing\.Literal\['[\w-]+'\]", str(setting.annotation))]
    assert set(values) == set(type(plain).model_fields) - set(single)


@every_method
def test_every_setting_says_what_it_does(name):
    part = METHODS.get(name)
    assert "__doc__" in vars(part)
    assert [key for key, setting in part.model_fields.items() if not setting.description] == []


@every_method
def test_a_setting_that_there_is_not_is_refused_by_its_path(name):
    with pytest.raises(ConfigError, match=f'method {name}: no_such: unknown setting "no_such"'):
        METHODS.parse({"method": name, "no_such": 1})
