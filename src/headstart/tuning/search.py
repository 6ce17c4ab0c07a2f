"""Search: fit one trial after the other on train, and judge each on validation. Test is not even there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from headstart.adaptation import WORK, Adapted, adapt_all
from headstart.data.dataset import Splits
from headstart.errors import ConfigError, DivergedError, ResourceError
from headstart.events import EpochEnded, Event, Listen, Note, Progress
from headstart.job import Job
from headstart.metrics.registry import METRICS
from headstart.model import Model
from headstart.proof import measure
from headstart.training.memory_faults import is_out_of_memory
from headstart.tuning.candidates import job_with, longest
from headstart.tuning.outcome import Outcome, said
from headstart.tuning.result import STUDY
from headstart.tuning.space import METHOD, Space
from headstart.tuning.study import Study, Trial

STEP = "tune"
"""Name of the search in the events."""


class Pruned(Exception):
    """Ends a trial that others have left behind."""


class TimeUp(Exception):
    """Ends a trial because the search has no time left."""


@dataclass(frozen=True)
class Search:
    """All that decides the trials of a search."""

    directory: Path
    base: Job
    """Where trials start from: `job_with` makes their jobs."""
    space: Space
    splits: Splits
    """The test part is empty, so that no trial can look at it."""
    metric: str
    """What trials are judged by, on validation."""
    limit: int
    """Number of trials."""

    def __post_init__(self) -> None:
        assert not len(self.splits.test), "a search never sees test"

    @property
    def maximise(self) -> bool:
        """Whether more of the metric is better."""
        return METRICS[self.metric].higher_is_better

    def study(self) -> Study:
        """Return the trials so far."""
        return Study(self.directory / STUDY, seed=self.base.seed, maximise=self.maximise, epochs=longest(self.space))


@dataclass(frozen=True)
class Ear:
    """Listens to a training: reports its epochs, and ends it when it is left behind or time is up."""

    trial: Trial
    metric: str
    """Name of the monitored metric in the events."""
    up: Callable[[], bool]
    listen: Listen

    def __call__(self, event: Event) -> None:
        """Take the event. Raises Pruned or TimeUp, which end the training."""
        if isinstance(event, EpochEnded):
            value = event.values.get(self.metric)
            if value is not None and self.trial.report(f"{event.method} {event.epoch}", value):
                raise Pruned
        elif isinstance(event, Progress):
            if self.up():
                raise TimeUp
            detail = f"{event.step.removesuffix(': training')} {event.detail}".strip()
            self.listen(Progress(STEP, self.trial.number, f"trial {self.trial.number}: {detail}"))


def search(plan: Search, study: Study, start: Model, *, listen: Listen, remaining: Callable[[], float]) -> None:
    """Carry out trials until there are enough, or time is up; but go on until one has finished.

    Raises ConfigError, DataError, IntegrityError or Interrupted; a trial that diverges, runs out of memory, or whose
    drawn settings don't go together, has failed, and the search goes on.
    """
    starts = Starts(plan, start)
    while remaining() > 0 or study.best() is None:
        trial = study.ask(plan.limit)
        if trial is None:
            return
        _carry_out(plan, study, trial, starts, listen=listen, remaining=remaining)
        best, ended = study.best(), study.outcomes()[trial.number]
        listen(Note(said(ended, plan.metric, best)))


def _carry_out(plan: Search, study: Study, trial: Trial, starts: Starts, *, listen: Listen,
               remaining: Callable[[], float]) -> None:
    settings = trial.draw(plan.space)
    twin = next((o for o in study.outcomes() if o.state == "finished" and o.settings == settings), None)
    if twin is not None and twin.value is not None and twin.loss is not None:
        trial.finish(twin.value, twin.loss, seconds=0.0, reason=f"same settings as trial {twin.number}")
        return
    sure, default = study.best() is not None, trial.number < len(plan.space.searched)
    job = job_with(plan.base, settings)
    trial.spared, trial.last = default, _epochs(job)
    ear = Ear(trial, _watched(plan.metric), up=lambda: sure and remaining() <= 0, listen=listen)
    folder = plan.directory / WORK / f"trial-{trial.number:04d}"
    began = time.perf_counter()

    def seconds() -> float:
        return time.perf_counter() - began

    try:
        value, loss = fit(plan, job, starts, folder, ear)
        if value is None:
            trial.fail(f"{plan.metric} is undefined on these validation images", seconds=seconds())
        else:
            trial.finish(value, loss, seconds=seconds())
    except Pruned:
        trial.prune(seconds=seconds())
    except TimeUp:
        trial.prune(seconds=seconds(), stopped="the time was up")
    except (DivergedError, ResourceError, ConfigError) as error:
        if default and isinstance(error, ConfigError):
            raise  # it is not the draw that is wrong
        trial.fail(f"{type(error).__name__}: {error}", seconds=seconds())
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        trial.fail(f"ResourceError: memory ran out ({str(error).splitlines()[0] if str(error) else 'no details'})",
                   seconds=seconds())
    shutil.rmtree(folder, ignore_errors=True)


def fit(plan: Search, job: Job, starts: Starts, folder: Path, listen: Listen) -> tuple[float | None, float]:
    """Return (metric, log loss) on validation of what the job makes, measured as a run measures it; None if undefined.

    folder: where a trial that was killed left its checkpoints, with which it goes on.
    """
    start, rest = starts.model(job, folder, listen)
    adapted = _adapt(plan, rest, start, folder, listen)
    found = measure(rest, adapted[-1], plan.splits, listen).metrics["val"]
    value, loss = found[plan.metric]["value"], found["log_loss"]["value"]
    assert loss is not None, "the log loss of one image is defined"
    return value, loss


class Starts:
    """The models that trials start from: what methods on frozen features (the probe) make is made once."""

    def __init__(self, plan: Search, fresh: Model) -> None:
        self.plan, self.fresh = plan, fresh
        self._made: dict[str, Model] = {}

    def model(self, job: Job, folder: Path, listen: Listen) -> tuple[Model, Job]:
        """Return the model after the first methods of the job, and the job with the methods that are left."""
        first = list(takewhile(lambda method: not method.trains_backbone, job.method[:-1]))
        if not first:
            return self.fresh, job
        before = job.model_copy(update={"method": tuple(first)})
        key = before.to_yaml()
        if key not in self._made:
            self._made[key] = _adapt(self.plan, before, self.fresh, folder, listen)[-1].model
        return self._made[key], job.model_copy(update={"method": job.method[len(first):]})


def _adapt(plan: Search, job: Job, start: Model, folder: Path, listen: Listen) -> list[Adapted]:
    # The baselines have their turn in the final run; a limit of time would make a result that can't be repeated.
    bare = job.model_copy(update={"baselines": ()})
    return adapt_all(bare, start, plan.splits, work=folder / WORK, listen=listen, remaining=lambda: float("inf"))


def failure(outcomes: list[Outcome]) -> DivergedError | ResourceError:
    """Return the error of a search of which no trial finished."""
    failed = [o for o in outcomes if o.state == "failed"]
    kind = ResourceError if all(o.reason.startswith("ResourceError") for o in failed) else DivergedError
    reasons = "\n".join(f"  trial {o.number} ({o.settings.get(METHOD, '')}): {o.reason}" for o in failed[:3])
    return kind(f"none of {len(outcomes)} trials finished, so that there is no best one. The first reasons:\n"
                f"{reasons}\nMend the cause, then start a new search with another --out.")


def _watched(metric: str) -> str:
    return "val_loss" if metric == "log_loss" else f"val_{metric}"


def _epochs(job: Job) -> int:
    return sum(int(getattr(method, "epochs", 0)) for method in job.method)
