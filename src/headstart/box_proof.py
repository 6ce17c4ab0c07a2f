"""Proof of detectors: every model of a run on validation and test, with intervals, against the baselines, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.adaptation import Adapted, choose_device
from headstart.conclusion import fit_verdicts, judging_part, parts_of, write_conclusion
from headstart.data.dataset import Dataset, Splits
from headstart.detecting import detect
from headstart.evaluation.boxes import (
    DetectionEvaluation,
    Pixels,
    choose_detection_thresholds,
    compare_detections,
    detection_rows,
    evaluate_detections,
    pixels_of,
)
from headstart.events import Listen, Note
from headstart.job import Job
from headstart.metrics.boxes import MaskOverlaps, truths_of
from headstart.report import words
from headstart.runs import Metrics
from headstart.seeds import derive
from headstart.tasks.detection import Detection
from headstart.types import Detections

RESAMPLES = 500
"""Of the bootstrap: a match is made once, but average precision is summed up anew for each."""


@dataclass(frozen=True)
class ProvenBoxes:
    """A detector with its thresholds, and what it says of validation and test."""

    adapted: Adapted
    found: dict[str, list[Detections]]
    """Split -> detections of each image."""
    evaluations: dict[str, DetectionEvaluation]
    pixels: dict[str, Pixels | None]
    """How the masks lie on the objects, of a detector that tells masks."""

    def overlaps(self, split: str) -> Sequence[MaskOverlaps] | None:
        """Return how the masks of each image lie on the objects; None from a detector of boxes alone."""
        found = self.pixels[split]
        return found.overlaps if found else None

    @property
    def metrics(self) -> Metrics:
        """Return {split: {metric: {"value", "low", "high"}}}."""
        return {split: evaluation.to_json() for split, evaluation in self.evaluations.items()}


def prove_boxes(job: Job, adapted: Sequence[Adapted], splits: Splits, *, directory: Path, listen: Listen,
                target: Dataset | None = None) -> list[ProvenBoxes]:
    """Return all models with their proof, the last being the result; what was found is written into `directory`.

    target: images of the domain that was adapted to, with boxes, on which the result is held against the others.
    """
    parts = parts_of(splits, target)
    proven = [measure(job, item, parts, listen) for item in adapted]
    final, others = proven[-1], proven[:-1]
    verdicts = fit_verdicts(proven, directory, monitor=Detection.monitor)
    judging = judging_part(splits, target)
    differences = [_difference(job, final, other, parts, judging) for other in others] if judging else []
    rows = [row for name, part in parts.items() if name in final.found
            for row in detection_rows(part.samples, final.found[name], truths_of(part.samples),
                                      final.evaluations[name].errors, split=name, overlaps=final.overlaps(name))]
    write_conclusion(final, others, details={name: found.details for name, found in final.evaluations.items()},
                     differences=differences, verdicts=verdicts, predictions=rows, directory=directory, listen=listen)
    return proven


def measure(job: Job, item: Adapted, parts: Mapping[str, Dataset], listen: Listen) -> ProvenBoxes:
    """Return the model with thresholds chosen on validation, and what it says of all parts but train."""
    task = item.model.task
    assert isinstance(task, Detection), task
    val, judged = parts["val"], {name: part for name, part in parts.items() if name != "train" and len(part)}
    looked = {name: detect(item.model, [sample.source for sample in part.samples], listen=listen,
                           step=f"{item.name} on {name}", device=choose_device(job.device))
              for name, part in judged.items()}
    found = {name: detections for name, (detections, _) in looked.items()}
    thresholds = choose_detection_thresholds(found["val"], truths_of(val.samples), val.classes)
    told = words.named([f"{name} {value:.2f}" for name, value in zip(val.classes, thresholds, strict=True)],
                       shown=10)
    listen(Note(f"{item.name}: boxes are shown from these scores on, chosen for F1 on {len(val)} validation "
                f"images: {told}"))
    model = replace(item.model, task=task.model_copy(update={"thresholds": thresholds}))
    pixels = {name: pixels_of(found[name], part.samples, looked[name][1], thresholds) for name, part in judged.items()}
    return ProvenBoxes(replace(item, model=model), found, {
        name: evaluate_detections(found[name], truths_of(part.samples), part.classes, pixels=pixels[name],
                                  groups=part.groups(), thresholds=thresholds, seed=derive(job.seed, "bootstrap"),
                                  resamples=RESAMPLES)
        for name, part in judged.items()}, pixels)


def _difference(job: Job, final: ProvenBoxes, other: ProvenBoxes, parts: Mapping[str, Dataset],
                name: str) -> dict[str, Any]:
    """Return the paired difference of the monitored metric on a part of the data, final minus other."""
    part = parts[name]
    found = compare_detections(final.found[name], other.found[name], truths_of(part.samples), part.classes,
                               metric=Detection.monitor, groups=part.groups(), seed=derive(job.seed, "bootstrap"),
                               resamples=RESAMPLES)
    return {"a": final.adapted.name, "b": other.adapted.name, **found.to_json()}
