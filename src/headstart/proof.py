"""Proof: every model of a run on validation and test, with intervals, against the baselines, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.adaptation import Adapted, choose_device, feature_store
from headstart.box_proof import ProvenBoxes, prove_boxes
from headstart.conclusion import judging_part, parts_of, write_conclusion
from headstart.data.dataset import Dataset, Splits
from headstart.evaluation.calibration import COLDEST, fit_temperature
from headstart.evaluation.comparison import Difference, compare
from headstart.evaluation.evaluate import Evaluation, evaluate
from headstart.evaluation.gap import watch_gap
from headstart.evaluation.thresholds import choose_thresholds
from headstart.events import Listen, Note
from headstart.job import Job
from headstart.mask_proof import ProvenMasks, prove_masks
from headstart.report import words
from headstart.runs import Metrics, read_history
from headstart.seeds import derive
from headstart.tasks.multilabel import Multilabel
from headstart.tasks.task import ImageTask
from headstart.training.watch import Watch, watch


@dataclass(frozen=True)
class Proven:
    """A calibrated model with what it says of validation and test."""

    adapted: Adapted
    logits: dict[str, np.ndarray]
    """Split -> float32 [N, C]."""
    evaluations: dict[str, Evaluation]

    @property
    def metrics(self) -> Metrics:
        """Return {split: {metric: {"value", "low", "high"}}}."""
        return {split: evaluation.to_json() for split, evaluation in self.evaluations.items()}


def prove(job: Job, adapted: Sequence[Adapted], splits: Splits, *, directory: Path, listen: Listen,
          target: Dataset | None = None) -> Sequence[Proven | ProvenBoxes | ProvenMasks]:
    """Return all models with their proof, the last being the result; what was found is written into `directory`.

    target: labelled images of the domain that was adapted to, on which the result is then held against the others.
    """
    if splits.test.task == "detection":
        return prove_boxes(job, adapted, splits, directory=directory, listen=listen, target=target)
    if splits.test.task == "semantic":
        return prove_masks(job, adapted, splits, directory=directory, listen=listen, target=target)
    parts = parts_of(splits, target)
    proven = [measure(job, item, splits, listen, target=target) for item in adapted]
    history = read_history(directory)
    verdicts: dict[str, Any] = {}
    for item in proven:
        rows = [row for row in history if row["method"] == item.adapted.name]
        found = judge(job, item, splits, rows, listen)
        verdicts |= {item.adapted.name: found.to_json()} if found else {}
    conclude(job, proven, parts, verdicts, judging=judging_part(splits, target), directory=directory, listen=listen)
    return proven


def conclude(job: Job, proven: Sequence[Proven], parts: Mapping[str, Dataset], verdicts: dict[str, Any], *,
             judging: str | None = "test", directory: Path, listen: Listen) -> None:
    """Write what was found of all models, the last one against the others, into `directory`.

    parts: of the data, by name. verdicts: what the watch says of each method's fit. judging: the part on which the
    last one is held against the others; None for none.
    """
    final, others = proven[-1], proven[:-1]
    differences = [_difference(job, final, other, parts, judging) for other in others] if judging else []
    write_conclusion(final, others, details=_details(final), differences=differences, verdicts=verdicts,
                     predictions=prediction_rows(final, parts), directory=directory, listen=listen)


def measure(job: Job, item: Adapted, splits: Splits, listen: Listen, *, target: Dataset | None = None) -> Proven:
    """Return the model, calibrated on validation, with what it says of all parts but train."""
    parts = parts_of(splits, target)
    logits = {name: logits_on(job, item, part, splits, listen, step=f"{item.name} on {name}")
              for name, part in parts.items() if name != "train" and len(part)}
    # How surely a model for another domain is right at home does not make it surer there.
    temperature = fit_temperature(logits["val"], splits.val.labels(), item.model.answers,
                                  coldest=1.0 if item.method.needs_target else COLDEST)
    probabilities = item.model.answers.probabilities(logits["val"], temperature)
    task = decisive(job, item, splits.val, probabilities, listen)
    return evaluated(job, replace(item, model=replace(item.model, temperature=temperature, task=task)), logits, parts)


def decisive(job: Job, item: Adapted, val: Dataset, probabilities: np.ndarray, listen: Listen) -> ImageTask:
    """Return the task with the thresholds that the job asks for, chosen on calibrated probabilities [N, C] of `val`."""
    if job.thresholds == "half" or not len(val):
        return item.model.answers
    found = choose_thresholds(val.labels(), probabilities, weights=val.weights())
    told = words.named([f"{name} {value:.3f}" for name, value in zip(val.classes, found, strict=True)], shown=10)
    listen(Note(f"{item.name}: labels are given from these probabilities on, chosen for F1 on {len(val)} validation "
                f"images: {told}"))
    return Multilabel(threshold=found)


def evaluated(job: Job, item: Adapted, logits: dict[str, np.ndarray], parts: Mapping[str, Dataset]) -> Proven:
    """Return the model with the metrics of its logits on the parts that they are of."""
    return Proven(item, logits, {
        name: evaluate(logits[name], part.labels(), part.classes, item.model.answers,
                       temperature=item.model.temperature, groups=part.groups(), weights=part.weights(),
                       seed=derive(job.seed, "bootstrap"))
        for name, part in parts.items() if name in logits})


def logits_on(job: Job, item: Adapted, part: Dataset, splits: Splits, listen: Listen, *, step: str) -> np.ndarray:
    """Return the model's logits on a part of the splits, float32 [N, C]; frozen features come from the store."""
    model, device = item.model, choose_device(job.device)
    if item.new_backbone:
        return model.logits([sample.source for sample in part.samples], listen=listen, step=step,
                            device=device, workers=job.workers)
    return model.logits_of(feature_store(splits).features(model.backbone, model.preprocessing, part, listen=listen,
                                                          device=device, workers=job.workers))


def _difference(job: Job, final: Proven, other: Proven, parts: Mapping[str, Dataset], name: str) -> dict[str, Any]:
    """Return the paired difference of the monitored metric on a part of the data, final minus other."""
    test = parts[name]
    task, its = final.adapted.model.answers, other.adapted.model.answers
    mine, theirs = (item.adapted.model.probabilities(item.logits[name]) for item in (final, other))
    found: Difference = compare(
        test.labels(), mine, theirs, task=task, metric=task.monitor,
        decisions=(task.decide(mine), its.decide(theirs)), groups=test.groups(), weights=test.weights(),
        seed=derive(job.seed, "bootstrap"))
    return {"a": final.adapted.name, "b": other.adapted.name, **found.to_json()}


def _details(final: Proven) -> dict[str, Any]:
    temperature = final.adapted.model.temperature
    return {split: {**evaluation.details, "temperature": temperature}
            for split, evaluation in final.evaluations.items()}


def judge(job: Job, item: Proven, splits: Splits, rows: list[dict[str, Any]], listen: Listen) -> Watch | None:
    """Return the verdict on a method's fit: from its epochs where it has some, else from train against val.

    rows: those of the history that are of the method. None for majority, which fits nothing.
    """
    name, task = item.adapted.name, item.adapted.model.answers
    if rows:
        return watch(rows, monitor=task.monitor)
    if name == "majority":
        return None
    logits = logits_on(job, item.adapted, splits.train, splits, listen, step=f"{name} on train")
    train = evaluate(logits, splits.train.labels(), splits.train.classes, task, weights=splits.train.weights(),
                     resamples=0)
    return watch_gap(train.metrics[task.monitor], item.evaluations["val"].metrics[task.monitor], monitor=task.monitor)


def prediction_rows(final: Proven, parts: Mapping[str, Dataset]) -> list[dict[str, Any]]:
    """Return a row per image that was answered: truth, prediction, calibrated probabilities, logits."""
    rows = []
    model = final.adapted.model
    for name, part in parts.items():
        if name not in final.logits:
            continue
        logits = final.logits[name]
        probabilities = model.probabilities(logits)
        decisions = model.answers.decide(probabilities)
        for sample, z, p, decision in zip(part.samples, logits, probabilities, decisions, strict=True):
            several = np.ndim(decision) > 0
            rows.append({
                "id": sample.id, "path": str(sample.source) if isinstance(sample.source, Path) else None,
                "split": name, "label": list(sample.label) if isinstance(sample.label, tuple) else sample.label,
                "predicted": np.flatnonzero(decision).tolist() if several else int(decision),
                "confidence": float(p.max()), "probabilities": p.tolist(), "logits": z.astype(float).tolist(),
            })
    return rows
