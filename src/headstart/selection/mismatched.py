"""Mismatched: the comparison of two data sets, of one with itself, or of new images with a run; and its folder.

# N and M images, D features
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.backbones.resolve import AUTO
from headstart.data.dataset import Dataset, Splits
from headstart.data.findings import counted
from headstart.data.fingerprint import overlap
from headstart.data.splits import split
from headstart.domains.shares import ways_back
from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Listen, Note, Started
from headstart.files import write_json
from headstart.gate import admit
from headstart.job import Job
from headstart.runs import Run
from headstart.selection.apart import FEWEST, apart
from headstart.selection.appearance import differences, measure
from headstart.selection.candidates import load
from headstart.selection.compared_sets import (
    ImageSet,
    Looking,
    labels_by_name,
    read_first,
    read_other,
    titles,
)
from headstart.selection.domain_map import domain_map
from headstart.selection.mismatch import FOLDER, RECORD, Comparison, Mismatch, Mode
from headstart.selection.mismatch_page import write_mismatch_page
from headstart.selection.prospects import Answers, Prospects, probe_answers, prospects
from headstart.selection.records import new_folder, refuse_place
from headstart.selection.similar import run_data
from headstart.selection.source_domain import SourceDomain, source_domain
from headstart.validators.validator import Evidence

Look = tuple[dict[str, np.ndarray], dict[str, float]]
"""What `measure` says of pictures."""
PICTURES = 300
"""Of each set whose appearance is measured."""
REPORTED = 500
"""Images of each set that the report of a run goes by."""
LAYERS = 128
"""Images that are looked at layer by layer."""
STEP = "comparing"


def make_mismatch(job: Job, *, run: Run | None, dataset: Dataset | None, other: Dataset | str | Path | None,
                  most: int, directory: Path | None, listen: Listen) -> Mismatch:
    """Return how other images differ from the job's data or, without them, its splits from each other and all from the
    pretraining; written into `directory` or the next free folder in `mismatches/`.

    run: one whose train images are compared with the others, by its own model, in place of the data.
    dataset: the data, where they are read already. other: data, or images in one folder; the job's target_format and
    target_reader say how they are read. most: images of each set that are looked at, by chance.
    Raises DataError where a set has too few images, or one that can't be read; ConfigError for what can't be.
    """
    refuse_place(directory, FOLDER)
    if most < 2 * FEWEST:
        raise ConfigError(f"--images {most}: too few to compare; write {2 * FEWEST} or more.")
    if run is not None:
        return _of_run(run, job, other, most, directory, listen)
    if other is not None:
        first, second = read_first(job, dataset), read_other(other, job)
        _tell(first[0], listen)
        _tell(second[0], listen)
    backbone, note = load(job.backbone, job.image_size, job.channels, job.fit, job.allow_licenses)
    if note:
        listen(Note(note))
    looking = Looking(backbone, backbone.spec.preprocessing, job, most, listen)
    if other is not None:
        return _of_two(looking, first, second, directory)
    return _of_one(looking, dataset, directory)


def _of_run(run: Run, job: Job, other: Dataset | str | Path | None, most: int, directory: Path | None,
            listen: Listen) -> Mismatch:
    """Return how other images differ from the images that a run was trained on, by the run's own model.

    Raises ConfigError for a run that is not finished.
    """
    if other is None:
        raise ConfigError(f"{run} is a run: name the images to compare its training images with: headstart mismatch "
                          f"{run} IMAGES")
    if job.backbone != AUTO:
        raise ConfigError(f"--backbone {job.backbone}: {run} is a run, and looks with its own backbone. Leave the "
                          "option out, or name data in place of the run.")
    model = run.model
    one_class = model.task.part_name == "classification"
    known = run_data(run)
    second, also = read_other(other, job)
    _tell(second, listen)
    parts = {name: [row for row, sample in enumerate(known.samples) if sample.split == name]
             for name in ("train", "val", "test")}
    looking = Looking(model.backbone, model.preprocessing, job.model_copy(
        update={"image_size": run.job.image_size}), most, listen)
    place = str(second.root or second.format)
    notes = _overlap_note(known, second, "the run's data", place)
    names = f"train images of {run.directory.name}", titles(str(run.directory), place)[1]
    classes = model.classes
    count = max(len(known), len(second))
    first = looking.at(names[0], chosen := looking.sampled(names[0], known.subset(parts["train"])),
                       chosen.labels() if one_class else None, count=count)
    there = looking.sampled(place, second)
    _require(there, place)
    labels, told = _labels(there, classes, also and one_class, place)
    target = looking.at(names[1], there, labels, count=count)
    ahead = None
    held = known.subset(parts["val"] + parts["test"])
    adapted = run.data.get("target")
    if adapted:
        told = [*told, f"no accuracy is expected: {run} was adapted to {adapted['root']}, and is sure there of what it "
                "taught itself. Label some images and run `headstart evaluate`"]
    if one_class and len(held) and not adapted:
        out = looking.at("held-out images", held, None, count=count)
        said, truth = model.logits_of(target.features), held.labels()
        known_answers = model.logits_of(out.features)
        seen = Evidence(target.features, said, out.features, known_answers, truth, out.features, truth, 0)
        plain, weighted = ways_back(seen, out.features, truth)
        answers = Answers(model.probabilities(known_answers), truth, model.probabilities(said), classes,
                          "the run's model", plain, weighted, (out.features, target.features))
        ahead = prospects(answers, labels, seed=job.seed)
    found = _compare((first, target), (_look(first, looking), _look(target, looking)), ahead, classes, looking)
    return _written(looking, "run", str(run), place, run.job.data, [found], [first, target], classes, [*notes, *told],
                    directory)


def of_domains(job: Job, backbone: Backbone, splits: Splits, listen: Listen) -> Mismatch:
    """Return how the target of a run that adapts differs from its train images, in the features that it began with.

    What to expect is said of a linear probe, which has not adapted, where an image has one class. Nothing is written.
    Raises DataError where a set has too few images.
    """
    assert splits.target is not None, "a run that adapts to a domain has one"
    looking = Looking(backbone, backbone.spec.preprocessing, job, REPORTED, listen)
    here, there = looking.sampled("data", splits.train), looking.sampled("target", splits.target)
    labels = None if here.several else here.labels()
    one = looking.at("the train images", here, labels, count=splits.images)
    two = looking.at("the target images", there, None, count=splits.images)
    ahead = None if labels is None else _ahead(one, two, here.classes, looking)
    found = _compare((one, two), (_look(one, looking), _look(two, looking)), ahead, here.classes, looking)
    return Mismatch("sets", job.data, job.target, job.data, looking.settings, (found,), None)


def _tell(dataset: Dataset, listen: Listen) -> None:
    for note in dataset.notes:
        listen(Note(note))


def _overlap_note(first: Dataset, second: Dataset, name: str, place: str) -> list[str]:
    """Return a warning where the second set shares images with the first."""
    same = overlap(first, second)
    return [f"{same} of the {len(second)} images of {place} are among those of {name}, byte for byte: the sets look "
            "more alike than they are, and the expected accuracy flatters"] if same else []


def _labels(dataset: Dataset, classes: tuple[str, ...], known: bool, name: str) -> tuple[np.ndarray | None, list[str]]:
    """Return int64 [M], positions in `classes`, or None where there are none or no class is shared; and what to say."""
    if not known:
        return None, []
    labels = labels_by_name(dataset, classes)
    shared = len(np.unique(labels[labels >= 0]))
    if not shared:
        return None, [f"{name}: none of its classes has the name of one of the first set: its labels are not looked at"]
    strange = int((labels < 0).sum())
    return labels, [f"{name}: {strange} of {len(labels)} images are of classes that the first set does not have: a "
                    "model of it is wrong on each of them, whatever it expects"] if strange else []


def _of_two(looking: Looking, first: tuple[Dataset, bool], second: tuple[Dataset, bool],
            directory: Path | None) -> Mismatch:
    """Return the mismatch of two data sets, each with whether it has one label an image."""
    (known, has_labels), (other, also) = first, second
    places = str(known.root or known.format), str(other.root or other.format)
    names = titles(*places)
    notes = _overlap_note(known, other, places[0], places[1])
    count = max(len(known), len(other))
    here, there = looking.sampled(places[0], known), looking.sampled(places[1], other)
    _require(here, places[0])
    _require(there, places[1])
    classes = known.classes if has_labels else ()
    one = looking.at(names[0], here, here.labels() if has_labels else None, count=count)
    labels, told = _labels(there, classes, also and has_labels, places[1])
    two = looking.at(names[1], there, labels, count=count)
    ahead: Prospects | None = None
    if has_labels and not (also and labels is None):
        try:
            ahead = _ahead(one, two, classes, looking)
        except DataError as error:
            told = [*told, f"no accuracy is expected: {error}"]
    found = _compare((one, two), (_look(one, looking), _look(two, looking)), ahead, classes, looking)
    return _written(looking, "sets", *places, places[0], [found], [one, two], classes, [*notes, *told], directory)


def _require(found: Dataset, place: str) -> None:
    """Raise DataError for too few images: before their features are computed."""
    if len(found) < FEWEST:
        raise _too_few(found, place)


def _too_few(found: Dataset, place: str) -> DataError:
    return DataError(f"{place}: {counted(len(found), 'image')}, too few to compare with anything; {FEWEST} are the "
                     "least.")


def _ahead(one: ImageSet, two: ImageSet, classes: tuple[str, ...], looking: Looking) -> Prospects:
    assert one.labels is not None, "what a probe learns from has labels"
    answers = probe_answers(one.features, one.labels, two.features, classes=classes, groups=one.images.groups(),
                            seed=looking.job.seed)
    return prospects(answers, two.labels, seed=looking.job.seed)


def _of_one(looking: Looking, dataset: Dataset | None, directory: Path | None) -> Mismatch:
    """Return the mismatch of train and each other split, and of all images and the pretraining."""
    job = looking.job
    found, known = read_first(job, dataset)
    if known:
        found, _ = admit(job, found, looking.listen)
        parts: Splits | None = split(found, seed=job.seed, val=job.val, test=job.test)
    else:
        _tell(found, looking.listen)
        parts = None
    place = str(found.root or found.format)
    sets = []
    for name, part in parts.items() if parts else [("all", found)]:
        images = looking.sampled(f"{place}, {name}" if parts else place, part)
        if len(images) >= FEWEST:
            sets.append(looking.at(name, images, images.labels() if known else None, count=len(found)))
        else:
            looking.listen(Note(f"{name}: {len(images)} images are too few to compare; it is left out"))
    for note in parts.notes if parts else ():
        looking.listen(Note(note))
    if not sets:
        raise _too_few(found, place)
    looks = [_look(one, looking) for one in sets] if len(sets) > 1 else []
    comparisons = [_compare((sets[0], one), (looks[0], look), None, found.classes if known else (), looking)
                   for one, look in zip(sets[1:], looks[1:], strict=True)]
    joined = np.concatenate([one.features for one in sets])
    some = [source for one in sets for source in one.sources]
    rows = np.unique(np.linspace(0, len(some) - 1, min(LAYERS, len(some))).astype(np.int64))
    source = source_domain(looking.backbone, looking.preprocessing, [some[row] for row in rows], joined,
                           listen=looking.listen)
    return _written(looking, "alone", place, None, place, comparisons, sets, found.classes, [], directory, source)


def _look(one: ImageSet, looking: Looking) -> Look:
    return measure(one.some(PICTURES, seed=looking.job.seed), listen=looking.listen)


def _compare(sets: tuple[ImageSet, ImageSet], looks: tuple[Look, Look], ahead: Prospects | None,
             classes: tuple[str, ...], looking: Looking) -> Comparison:
    """Return what differs between two sets, whose pictures look so. ahead: what to expect on the second."""
    (one, two), ((first, formats), (second, others)) = sets, looks
    began = time.monotonic()
    looking.listen(Started(STEP))
    labels = None if one.labels is None or two.labels is None else (one.labels, two.labels)
    distances = apart(one.features, two.features, seed=looking.job.seed, labels=labels, classes=classes)
    looking.listen(Finished(STEP, time.monotonic() - began, f"{one.name} and {two.name}"))
    return Comparison(one.name, two.name, distances, tuple(differences(first, second)), (formats, others), ahead)


def _written(looking: Looking, mode: Mode, first: str, second: str | None, data: str, comparisons: list[Comparison],
             sets: list[ImageSet], classes: tuple[str, ...], notes: list[str], directory: Path | None,
             source: SourceDomain | None = None) -> Mismatch:
    """Return the mismatch after writing its page and its record."""
    for note in notes:
        looking.listen(Note(note, "warning"))
    found = Mismatch(mode, first, second, data, looking.settings, tuple(comparisons), source, tuple(notes))
    target = new_folder(directory, FOLDER, looking.job)
    write_mismatch_page(found, domain_map(sets, classes, seed=looking.job.seed), target)
    found = replace(found, directory=target)
    write_json(target / RECORD, found.to_json())
    return found
