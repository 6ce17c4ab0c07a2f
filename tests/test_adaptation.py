"""The baselines and the chain: each baseline a whole one, also after an interruption."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from headstart.adaptation import Adapted, adapt_all
from headstart.events import Listen, Note
from headstart.job import Job
from headstart.methods.finetune import Finetune
from headstart.methods.probe import Probe
from tests.training.killing import in_child, kill_at_step
from tests.training.small import Events, context, digest, model, splits

TUNE = {"epochs": 2, "batch_size": 4}


def job(**changes: object) -> Job:
    return Job.parse({"data": "x", "device": "cpu", "seed": 7, "baselines": [{"method": "finetune", **TUNE}],
                      "method": "probe", **changes})


def carried_out(made: Job, folder: Path, listen: Listen) -> list[Adapted]:
    return adapt_all(made, model(), splits(folder / "data"), work=folder / "work", listen=listen,
                     remaining=lambda: float("inf"))


@pytest.fixture(scope="module", autouse=True)
def small_and_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread, because a forked child can't use more; a cache of our own."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> list[Adapted]:
    return carried_out(job(), tmp_path_factory.mktemp("unbroken"), Events())


def test_a_baseline_starts_from_what_it_needs(unbroken, tmp_path):
    parts, made = splits(tmp_path / "data"), context(tmp_path, Events())
    probed = Probe().fit(model(), parts, made)
    assert digest(unbroken[1].model) == digest(Finetune(**TUNE).fit(probed, parts, made))


def test_a_baseline_is_one_model_whatever_it_needs(unbroken):
    assert [item.name for item in unbroken] == ["majority", "finetune", "probe"]


def test_what_a_baseline_needs_is_as_the_chain_has_it():
    chains = job(method=[{"method": "probe", "l2": 0.5}, "lora"]).baseline_chains()
    assert [[m.part_name for m in chain] for chain in chains] == [["majority"], ["probe", "finetune"]]
    assert chains[1][0] == Probe(l2=0.5)
    assert job(method="scratch").baseline_chains()[1][0] == Probe()


def test_a_run_to_start_from_has_what_a_baseline_needs():
    assert [len(chain) for chain in job(init_from="runs/before").baseline_chains()] == [1, 1]


def test_a_baseline_that_was_interrupted_goes_on_to_the_same_model(unbroken, tmp_path):
    assert in_child(lambda: carried_out(job(), tmp_path, kill_at_step(7))) == -signal.SIGKILL
    again = carried_out(job(), tmp_path, Events())
    assert digest(again[1].model) == digest(unbroken[1].model)


def test_a_baseline_that_finished_is_taken_as_it_is(unbroken, tmp_path):
    first, events = carried_out(job(), tmp_path, Events()), Events()
    second = carried_out(job(), tmp_path, events)
    assert Note("finetune: finished before the interruption, taken as it is") in events
    assert digest(second[1].model) == digest(first[1].model)
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [
        "0-majority", "1-finetune", "1-probe", "2-probe"]
