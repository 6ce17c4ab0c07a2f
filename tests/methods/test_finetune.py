import dataclasses

import pytest
import torch

from headstart.errors import ConfigError
from headstart.events import EpochEnded
from headstart.methods.finetune import Finetune
from tests.training.small import Events, context, digest, model, splits


def test_finetune_improves_on_its_start_and_leaves_the_given_model_alone(tmp_path):
    torch.set_num_threads(1)
    start, events = model(), Events()
    before = digest(start)
    method = Finetune(epochs=4, batch_size=4, lr_head=1e-2, lr_backbone=1e-3)
    trained = method.fit(start, splits(tmp_path / "data"), context(tmp_path, events))
    assert digest(start) == before
    last = events.of(EpochEnded)[-1].values
    assert last["val_loss"] < 0.693  # log 2, the loss of a head of zeros
    assert set(last) == {"train_loss", "val_loss", "train_accuracy", "val_accuracy", "lr_head", "lr_backbone",
                         "seconds"}
    assert not trained.backbone.training
    assert trained.classes == start.classes


def test_finetune_learns_multilabel(tmp_path):
    torch.set_num_threads(1)
    events = Events()
    Finetune(epochs=1, batch_size=4).fit(model(task="multilabel"), splits(tmp_path / "data", task="multilabel"),
                                         context(tmp_path, events))
    assert 0 <= events.of(EpochEnded)[0].values["val_average_precision"] <= 1


def test_start_is_kept_where_training_only_harms(tmp_path):
    torch.set_num_threads(1)
    events = Events()
    base = model()
    good = Finetune(epochs=4, batch_size=4, lr_head=1e-2, lr_backbone=1e-3).fit(
        base, splits(tmp_path / "data"), context(tmp_path / "good", Events()))
    kept = Finetune(epochs=1, batch_size=4, lr_head=5.0, lr_backbone=1e-4).fit(
        good, splits(tmp_path / "data"), context(tmp_path / "bad", events))
    assert digest(kept) == digest(dataclasses.replace(good))
    assert "no epoch was better on validation than the start" in events.notes()


def test_on_overfit_of_the_job_reaches_the_methods_that_train_by_epochs():
    from headstart.job import build_job

    job = build_job({"data": "x", "method": "finetune", "on_overfit": "stop"}, assignments=["method.finetune.epochs=3"])
    assert [getattr(method, "on_overfit", None) for method in job.method] == [None, "stop"]
    assert job.method[-1].epochs == 3


def test_on_overfit_without_a_method_that_trains_by_epochs_is_refused():
    from headstart.job import build_job

    with pytest.raises(ConfigError, match=r"on_overfit=stop has no effect: probe does not train by epochs"):
        build_job({"data": "x", "method": "probe", "on_overfit": "stop"})
