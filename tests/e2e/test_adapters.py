"""A run whose method trains an adapter leaves it beside the model, and it alone makes the model again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import headstart as hs
from headstart.adaptation import adapt_all
from headstart.cli import application
from headstart.data.load import load_data
from headstart.data.splits import split
from headstart.events import Note
from headstart.model import Model
from headstart.starting import starting_model
from tests.e2e.conftest import SMALL
from tests.training.small import Events

LORA = {"method": "lora", "epochs": 1, "rank": 2, "alpha": 4}


@pytest.fixture(scope="module")
def adapted(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(digits, method=["probe", LORA], out=tmp_path_factory.mktemp("runs") / "lora", **SMALL)


def test_the_adapter_alone_gives_the_probabilities_of_the_run(adapted: hs.Run) -> None:
    file = adapted.directory / "adapter.safetensors"
    test = adapted.predictions.query("split == 'test'")
    again = Model.with_adapter(file).predict(list(test["path"]))
    np.testing.assert_allclose([list(p.probabilities.values()) for p in again],
                               np.stack(test["probabilities"].to_list()), atol=1e-5)
    assert file.stat().st_size < 0.05 * (adapted.directory / "model.safetensors").stat().st_size


def test_predict_takes_the_adapter_in_place_of_the_run(adapted: hs.Run, digits: Path) -> None:
    image = str(digits / "digit 1" / "004.png")

    def answer(source: Path) -> dict[str, float]:
        found = CliRunner().invoke(application(), ["predict", str(source), image, "--json"])
        assert found.exit_code == 0, found.stderr
        return json.loads(found.stdout)["predictions"][0]["probabilities"]

    file = adapted.directory / "adapter.safetensors"
    run = answer(adapted.directory)
    assert answer(file) == pytest.approx(run, abs=1e-5)
    assert hs.predict(file, [image])[0].probabilities == pytest.approx(run, abs=1e-5)


def test_the_record_counts_what_was_trained(adapted: hs.Run) -> None:
    adapter = Model.with_adapter(adapted.directory / "adapter.safetensors").adapter
    head = 3 * 1280 + 3
    trained = {method["name"]: method["parameters_trained"] for method in adapted.record["methods"]}
    assert trained["lora"] == sum(t.numel() for t in adapter.tensors.values()) + head
    assert any("beside the 3,371,008 of the backbone" in note["text"] for note in adapted.record["notes"])
    assert "adapter.safetensors" in json.loads((adapted.directory / "manifest.json").read_text())


def test_other_runs_have_no_adapter(probed: hs.Run, finetuned: hs.Run) -> None:
    assert not list(probed.directory.glob("adapter*"))
    assert not list(finetuned.directory.glob("adapter*"))


def test_an_adapter_that_was_finished_before_a_break_is_still_there_after_it(digits: Path, tmp_path: Path) -> None:
    job = hs.Job.parse({"data": str(digits), "method": [LORA], **SMALL})
    data, events = load_data(str(digits)), Events()
    parts = split(data, seed=0, val=0.2, test=0.2)
    model, job = starting_model(job, data, events)

    def last() -> Model:
        return adapt_all(job, model, parts, work=tmp_path / "work", listen=events,
                         remaining=lambda: float("inf"))[-1].model

    first, second = last(), last()
    assert Note("lora: finished before the interruption, taken as it is") in events
    assert second.has_adapter
    assert second.adapter.recipe == first.adapter.recipe
    assert set(second.adapter.tensors) == set(first.adapter.tensors)
    assert all(torch.equal(second.adapter.tensors[name], tensor) for name, tensor in first.adapter.tensors.items())
