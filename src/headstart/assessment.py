"""Assessment: a finished run on other labelled data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headstart.data.boxes import mended
from headstart.data.check import check, drop_bad, enforce
from headstart.data.dataset import Dataset
from headstart.data.findings import OVERRULABLE
from headstart.data.fingerprint import content_hashes
from headstart.data.load import format_of, load_data
from headstart.data.pixel_classes import relabelled
from headstart.detecting import detect
from headstart.errors import ConfigError, DataError
from headstart.evaluation.boxes import DetectionEvaluation, evaluate_detections, pixels_of
from headstart.evaluation.evaluate import Evaluation, evaluate
from headstart.evaluation.intervals import Interval
from headstart.evaluation.masks import MaskEvaluation, evaluate_masks
from headstart.events import Listen, Note
from headstart.metrics.boxes import truths_of
from headstart.runs import Metrics, Run
from headstart.segmenting import judge
from headstart.tasks.detection import Detection


def assess(run: Run, path: str, *, format: str | None, split: str | None, skip_bad: bool,
           listen: Listen) -> tuple[dict[str, dict[str, Interval]], Metrics]:
    """Return metrics as intervals and as plain values, for each split that the data come with, or for `all`.

    Classes are matched by name. Raises DataError for a class that the run does not know.
    """
    task = run.data["task"]
    # What the numbers of masks mean is seldom written beside new ones.
    masks = task == "semantic" or run.data["format"] == "masks"
    alike = masks and (format or format_of(path, task)) == run.data["format"]
    found = load_data(path, format=format, settings=run.job.reader if alike else None, task=task, skip_bad=skip_bad)
    dataset = by_class_name(found, tuple(run.data["classes"]))
    report = check(dataset, listen=listen, quick=True)
    # Nothing is learnt here, so that leaks between the splits of these data do no harm.
    enforce(report, allow=[*OVERRULABLE, *(["corrupt"] if skip_bad else [])])
    if skip_bad:
        dataset = drop_bad(dataset, report)
    _say_overlap(run, dataset, listen)
    if dataset.task == "detection":
        return _boxes(run, _parts(mended(dataset, report.sizes), split), listen)
    if dataset.task == "semantic":
        return _masks(run, _parts(dataset, split), listen)
    evaluations = {}
    for name, part in _parts(dataset, split).items():
        logits = run.model.logits([sample.source for sample in part.samples], listen=listen, step=f"evaluate {name}")
        evaluations[name] = evaluate(logits, part.labels(), part.classes, run.model.answers,
                                     temperature=run.model.temperature,
                                     groups=part.groups(), weights=part.weights(), seed=run.job.seed)
    return _both(evaluations)


def _both(found: Mapping[str, Evaluation | DetectionEvaluation | MaskEvaluation]
          ) -> tuple[dict[str, dict[str, Interval]], Metrics]:
    """Return the metrics of each split as intervals and as plain values."""
    return {name: one.metrics for name, one in found.items()}, {name: one.to_json() for name, one in found.items()}


def _boxes(run: Run, parts: dict[str, Dataset], listen: Listen) -> tuple[dict[str, dict[str, Interval]], Metrics]:
    """Return what `assess` does, for a detector with the thresholds that it was saved with."""
    task = run.model.task
    assert isinstance(task, Detection), task
    evaluations = {}
    for name, part in parts.items():
        found, sizes = detect(run.model, [sample.source for sample in part.samples], listen=listen,
                              step=f"evaluate {name}")
        pixels = pixels_of(found, part.samples, sizes, task.thresholds)
        if pixels is None and getattr(run.model.head, "tells_masks", False):
            listen(Note(f"{name}: some objects have a box and neither outline nor mask, so that boxes alone are judged",
                        "warning"))
        evaluations[name] = evaluate_detections(found, truths_of(part.samples), part.classes, pixels=pixels,
                                                groups=part.groups(), thresholds=task.thresholds, seed=run.job.seed)
    return _both(evaluations)


def _masks(run: Run, parts: dict[str, Dataset], listen: Listen) -> tuple[dict[str, dict[str, Interval]], Metrics]:
    """Return what `assess` does, for a segmenter."""
    found = {}
    for name, part in parts.items():
        said = judge(run.model, part, listen=listen, step=f"evaluate {name}")
        found[name] = evaluate_masks(said.confusions, said.boundaries, part.classes, groups=part.groups(),
                                     seed=run.job.seed)
    return _both(found)


def by_class_name(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """Return the data with labels as positions in `classes`."""
    unknown = [name for name in dataset.classes if name not in classes]
    if unknown:
        raise DataError(f"{dataset.root}: the run does not know the classes {', '.join(unknown)}; it knows "
                        f"{', '.join(classes)}. Rename the classes, or leave these images out.")
    place = [classes.index(name) for name in dataset.classes]
    masks = iter(relabelled([sample.mask for sample in dataset.samples if sample.mask is not None],
                            dict(enumerate(place))))
    return replace(dataset, classes=classes, samples=tuple(
        replace(sample, label=tuple(sorted(place[i] for i in sample.label)) if isinstance(sample.label, tuple)
                else place[int(sample.label)],  # type: ignore[arg-type]
                mask=None if sample.mask is None else next(masks),
                objects=None if sample.objects is None else tuple(
                    replace(one, label=place[one.label]) for one in sample.objects))
        for sample in dataset.samples))


def _parts(dataset: Dataset, split: str | None) -> dict[str, Dataset]:
    names = sorted({sample.split for sample in dataset.samples if sample.split})
    if split and split not in names:
        raise ConfigError(f"--split {split}: the data have {', '.join(names) or 'no splits'}.")
    wanted = [split] if split else names
    return {name: dataset.subset([i for i, sample in enumerate(dataset.samples) if sample.split == name])
            for name in wanted} or {"all": dataset}


def _say_overlap(run: Run, dataset: Dataset, listen: Listen) -> None:
    """Warn where images of the data were trained on: the metrics would flatter."""
    samples = run.samples
    trained = set(samples.loc[samples["split"] == "train", "sha256"])
    seen = sum(digest in trained for digest in content_hashes(dataset))
    if seen:
        listen(Note(f"{seen} of {len(dataset)} images are among those that the run was trained on: the metrics of "
                    "the split that holds them flatter.", "warning"))
