"""Soup: one model whose weights are the mean of those of several finished runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from typing import ClassVar, Literal

from headstart.data.dataset import Splits
from headstart.errors import ConfigError
from headstart.events import Finished, Listen, Note, Progress, Started, Trained
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.past_runs import PastRun, RunPath, find_past_run, refuse_leaks
from headstart.training.validation import Judged, Validation
from headstart.training.weights import Weights, ordered, require_alike, weights_of, with_weights


class Soup(Method):
    """Averages the weights of models that were fine-tuned from the same pretrained ones; as fast as one of them.

    The heads are averaged as trained. A run's temperature is left out: it scales probabilities after training, and
    the mean is calibrated anew.
    Source: Wortsman et al., "Model soups", ICML 2022; `greedy` is its recipe 1.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    runs: tuple[RunPath, ...] = ()
    """Folders of two or more finished runs on the same data and seed."""
    kind: Literal["uniform", "greedy"] = "greedy"
    """`greedy` adds run after run, the best first, where validation does not get worse; `uniform` takes them all."""

    def refuse_unfit(self, model: Model, splits: Splits) -> None:
        """Raise ConfigError for runs that can't be averaged into this job, DataError for runs that know its test."""
        runs = self._runs()
        for run in runs:
            refuse_other_kind(run, model)
            refuse_other_start(run, runs[0])
        refuse_leaks(runs, splits, where="soup")

    def fit(self, model: Model, splits: Splits, context: Context) -> Model:
        """Return the mean of the runs' models. Raises as `refuse_unfit`, and IntegrityError for a damaged run."""
        self.refuse_unfit(model, splits)
        began, runs = time.monotonic(), self._runs()
        context.listen(Started("soup", len(runs), "models"))
        validation = Validation(model, splits.val, context)
        judged: dict[PastRun, Judged] = {}
        for run in runs:
            judged[run] = validation.judge(ingredient(run, model))
            context.listen(Progress("soup", len(judged), validation.shown(judged[run])))
        runs.sort(key=cmp_to_key(lambda a, b: validation.better(judged[b], judged[a])
                                 - validation.better(judged[a], judged[b])))
        recipe = uniform if self.kind == "uniform" else greedy
        soup, used = recipe(runs, judged, model, validation, context.listen)
        context.listen(Trained("soup", 0, sum(p.numel() for part in (soup.backbone, soup.head)
                                                 for p in part.parameters())))
        context.listen(Finished("soup", time.monotonic() - began, f"{used} of {len(runs)} models"))
        return soup

    def _runs(self) -> list[PastRun]:
        if len(set(self.runs)) < max(2, len(self.runs)):
            raise ConfigError("soup: name two finished runs or more, each once, such as "
                              "--set 'method.soup.runs=[runs/a,runs/b]'.")
        return [find_past_run(path, where="soup") for path in self.runs]


def greedy(runs: Sequence[PastRun], judged: Mapping[PastRun, Judged], model: Model, validation: Validation,
           listen: Listen) -> tuple[Model, int]:
    """Return the mean of the runs that did not make it worse, tried in the order given; and how many they are."""
    listen(Note(f"soup: begins with {runs[0]}, the best on validation: {validation.shown(judged[runs[0]])}"))
    best, mean, used = judged[runs[0]], weights_of(ingredient(runs[0], model)), 1
    for run in runs[1:]:
        mixed = added(mean, weights_of(ingredient(run, model)), used, what=f"soup: {runs[0]} and {run}")
        found = validation.judge(with_weights(model, mixed))
        change = f"alone {validation.shown(judged[run])}, with it {validation.shown(found)}"
        if validation.worse(found, best):
            listen(Note(f"soup: {run} is left out: {change}"))
            continue
        listen(Note(f"soup: {run} is added: {change}"))
        best, mean, used = found, mixed, used + 1
    return with_weights(model, mean), used


def uniform(runs: Sequence[PastRun], judged: Mapping[PastRun, Judged], model: Model, validation: Validation,
            listen: Listen) -> tuple[Model, int]:
    """Return the mean of all runs, and how many they are; say so where one of them is better on validation."""
    mean = weights_of(ingredient(runs[0], model))
    for used, run in enumerate(runs[1:], start=1):
        mean = added(mean, weights_of(ingredient(run, model)), used, what=f"soup: {runs[0]} and {run}")
    soup = with_weights(model, mean)
    found, best = validation.judge(soup), judged[runs[0]]
    said = f"soup: the mean of all {len(runs)} runs has {validation.shown(found)} on validation"
    if validation.worse(found, best):
        listen(Note(f"{said}, worse than {runs[0]} alone: {validation.shown(best)}. Use kind greedy, or that run.",
                    "warning"))
    else:
        listen(Note(said))
    return soup, len(runs)


def ingredient(run: PastRun, model: Model) -> Model:
    """Return the run's model with the classes in the order of `model`."""
    return ordered(run.model(), model.classes)


def added(mean: Weights, new: Weights, count: int, *, what: str) -> Weights:
    """Return the float64 mean of `new` and of the `count` sets whose mean is `mean`; integer buffers stay as they are.

    Raises ConfigError where names or shapes differ. what: of which two models they are.
    """
    require_alike(mean, new, what=what)
    return {name: (tensor.double() * count + new[name].double()) / (count + 1) if tensor.is_floating_point() else tensor
            for name, tensor in mean.items()}


def refuse_other_kind(run: PastRun, model: Model) -> None:
    """Raise ConfigError unless the run's model is of the same kind as `model`: task, classes, backbone, pictures."""
    if run.task != model.task.part_name:
        raise ConfigError(f"soup: {run} does {run.task}, this job {model.task.part_name}. Choose runs of one task.")
    if set(run.classes) != set(model.classes):
        names = sorted(set(run.classes) ^ set(model.classes))
        raise ConfigError(f"soup: {run} has other classes than this job's data; only one of them has "
                          f"{', '.join(names[:10])}. Choose runs on the same classes.")
    theirs, mine = run.backbone["architecture"], model.backbone.spec.architecture
    if theirs != mine:
        raise ConfigError(f"soup: {run} is a {theirs}, this job starts from {mine}; weights can be averaged within one "
                          f"architecture only. Choose runs of one, and give this job the same: --backbone {theirs}.")
    before, now = run.preprocessing.model_dump(), model.preprocessing.model_dump()
    if before != now:
        other = ", ".join(f"{key} {before[key]} and {now[key]}" for key in now if before[key] != now[key])
        raise ConfigError(f"soup: {run} prepares pictures in another way than this job: {other}. Give this job the "
                          f"same settings (such as --set image_size={before['size']}), or --init-from {run}.")


def refuse_other_start(run: PastRun, first: PastRun) -> None:
    """Raise ConfigError unless both runs fine-tuned the same weights: else there is a wall between their minima."""
    if "scratch" in run.methods:
        raise ConfigError(f"soup: {run} was trained from random weights. Only models with a common, pretrained start "
                          "can be averaged; leave it out.")
    if run.moved_statistics:
        raise ConfigError(f"soup: {run} was not trained with batch_norm=frozen. The mean of BatchNorm's statistics is "
                          "not that of the mean weights; choose runs that kept those they started with.")
    if run.backbone["weights_sha256"] != first.backbone["weights_sha256"]:
        raise ConfigError(f"soup: {run} started from other weights than {first}. Only models with a common start can "
                          "be averaged; choose runs that fine-tuned the same pretrained model.")
