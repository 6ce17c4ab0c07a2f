"""Proof of segmenters: every model of a run on validation and test, with intervals, against the baselines, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.adaptation import Adapted, choose_device
from headstart.conclusion import fit_verdicts, judging_part, parts_of, write_conclusion
from headstart.data.dataset import Dataset, Splits
from headstart.evaluation.masks import MaskEvaluation, compare_masks, evaluate_masks
from headstart.events import Listen
from headstart.job import Job
from headstart.runs import Metrics
from headstart.seeds import derive
from headstart.segmenting import Answers, judge
from headstart.tasks.semantic import Semantic


@dataclass(frozen=True)
class ProvenMasks:
    """A segmenter, and what it says of validation and test."""

    adapted: Adapted
    found: dict[str, Answers]
    """By split."""
    evaluations: dict[str, MaskEvaluation]

    @property
    def metrics(self) -> Metrics:
        """Return {split: {metric: {"value", "low", "high"}}}."""
        return {split: evaluation.to_json() for split, evaluation in self.evaluations.items()}


def prove_masks(job: Job, adapted: Sequence[Adapted], splits: Splits, *, directory: Path, listen: Listen,
                target: Dataset | None = None) -> list[ProvenMasks]:
    """Return all models with their proof, the last being the result; what was found is written into `directory`.

    target: images of the domain that was adapted to, with masks, on which the result is held against the others.
    """
    parts = parts_of(splits, target)
    proven = [measure(job, item, parts, listen, shown=item is adapted[-1]) for item in adapted]
    final, others = proven[-1], proven[:-1]
    verdicts = fit_verdicts(proven, directory, monitor=Semantic.monitor)
    judging = judging_part(splits, target)
    differences = [_difference(job, final, other, parts, judging) for other in others] if judging else []
    rows = [row for name, part in parts.items() if name in final.found
            for row in _rows(name, part, final.found[name], final.evaluations[name])]
    write_conclusion(final, others, details={name: found.details for name, found in final.evaluations.items()},
                     differences=differences, verdicts=verdicts, predictions=rows, directory=directory, listen=listen)
    return proven


def measure(job: Job, item: Adapted, parts: Mapping[str, Dataset], listen: Listen, *, shown: bool) -> ProvenMasks:
    """Return the model with what it says of all parts but train. shown: whether the report shows its answers."""
    judged = {name: part for name, part in parts.items() if name != "train" and len(part)}
    found = {name: judge(item.model, part, listen=listen, step=f"{item.name} on {name}",
                         device=choose_device(job.device), shown=shown) for name, part in judged.items()}
    return ProvenMasks(item, found, {
        name: evaluate_masks(found[name].confusions, found[name].boundaries, part.classes, groups=part.groups(),
                             seed=derive(job.seed, "bootstrap")) for name, part in judged.items()})


def _rows(split: str, part: Dataset, found: Answers, evaluation: MaskEvaluation) -> list[dict[str, Any]]:
    """Return a row per image: its own metrics, what was counted of each class, and its answer."""
    return [{"id": sample.id, "path": str(sample.source) if isinstance(sample.source, Path) else None, "split": split,
             **measured, "truth": truth, "answer": answer}
            for sample, measured, (truth, answer) in zip(part.samples, evaluation.measures.rows(), found.shown,
                                                         strict=True)]


def _difference(job: Job, final: ProvenMasks, other: ProvenMasks, parts: Mapping[str, Dataset],
                name: str) -> dict[str, Any]:
    """Return the paired difference of the monitored metric on a part of the data, final minus other."""
    mine, theirs = (proven.evaluations[name].measures for proven in (final, other))
    found = compare_masks(mine, theirs, metric=Semantic.monitor, groups=parts[name].groups(),
                          seed=derive(job.seed, "bootstrap"))
    return {"a": final.adapted.name, "b": other.adapted.name, **found.to_json()}
