"""What a fold tells, what several folds say together, and how they divide the time."""

from pathlib import Path

import pytest

from headstart import crossvalidation
from headstart.crossvalidation import heard_in, merge, share_of
from headstart.events import EpochEnded, Event, Finished, Note, Progress, RatesTried, RunFinished, Started, Trained
from headstart.job import Job
from headstart.record import Record
from headstart.training.watch import Watch
from tests.training.small import model, splits


def test_every_event_says_of_which_fold_it_is() -> None:
    heard: list[Event] = []
    tell = heard_in(2, heard.append)
    other = RunFinished(None, "finished")  # type: ignore[arg-type]
    for event in (EpochEnded("finetune", 1, 5, {}), Note("look", "warning"), Started("probe", 3), Progress("probe", 1),
                  Finished("probe", 0.1), Trained("finetune", 3, 9), RatesTried("finetune", [1.0], [0.5], 1.0), other):
        tell(event)
    assert heard == [EpochEnded("finetune fold 2", 1, 5, {}), Note("fold 2: look", "warning"),
                     Started("fold 2: probe", 3), Progress("fold 2: probe", 1), Finished("fold 2: probe", 0.1),
                     Trained("finetune fold 2", 3, 9), RatesTried("finetune fold 2", [1.0], [0.5], 1.0), other]


def test_the_verdict_of_most_folds_leads_and_all_are_named() -> None:
    found = merge([Watch("healthy", "All well."), Watch("overfitting", "Loss rose.", advice=("Stop earlier.",)), None,
                   Watch("overfitting", "It rose here, too.")])
    assert found is not None
    assert found.verdict == "overfitting"
    assert found.text == "Healthy in fold 1; overfitting in folds 2, 4. Fold 2: Loss rose."
    assert found.numbers == {"healthy": 1, "overfitting": 2}
    assert found.advice == ("Stop earlier.",)


def test_folds_without_a_verdict_have_none_together() -> None:
    assert merge([None, None]) is None


def test_a_fold_gets_its_share_of_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(crossvalidation.time, "monotonic", lambda: now[0])
    left = share_of(lambda: 90.0, 1 / 3)
    now[0] += 20
    assert left() == pytest.approx(10.0)
    assert share_of(lambda: float("inf"), 1 / 3)() == float("inf")


def test_the_best_epoch_of_a_baseline_counts_from_its_own_start(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    # At these rates no epoch is as good as the probe, which is what is kept: epoch 0, and not the first of the history.
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    tuned = {"method": "finetune", "epochs": 1, "batch_size": 4, "lr_head": 3.0, "lr_backbone": 3.0}
    job = Job.parse({"data": "x", "device": "cpu", "baselines": [tuned], "method": "probe"})
    record = Record(tmp_path, lambda event: None)
    record.begin(job, resumed=False)
    fold = crossvalidation._fit(job, model(), 1, splits(tmp_path / "data"), directory=tmp_path, listen=record.listen,
                                remaining=lambda: float("inf"))
    assert [member.proven.adapted.name for member in fold.members] == ["majority", "finetune", "probe"]
    assert [member.best_epoch for member in fold.members] == [None, 0, None]
