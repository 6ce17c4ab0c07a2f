"""Similar: which images of a run's data, or of any data, are nearest to given ones by their features."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.adaptation import choose_device
from headstart.backbones.backbone import Backbone
from headstart.backbones.resolve import AUTO
from headstart.data.balance import labels_of
from headstart.data.dataset import Dataset
from headstart.data.fingerprint import content_hashes
from headstart.data.load import load_data
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, DataError, HeadstartError, listed
from headstart.events import Listen, Note
from headstart.features.store import FeatureStore
from headstart.files import cache_folder
from headstart.images import ImageError, scan
from headstart.job import build_job
from headstart.neighbours import QUERIES, centre, nearest
from headstart.predictions import expand
from headstart.runs import Run
from headstart.selection.candidates import load as load_backbone
from headstart.selection.compared_sets import read_first, without_bad
from headstart.types import Sample

# n queries, k neighbours

ALL = "all"
SPLITS = ("train", "val", "test", ALL)


@dataclass(frozen=True)
class Neighbour:
    """One of the images that are nearest to a query."""

    id: str
    path: str | None
    """None for an image inside a table or an archive."""
    labels: tuple[str, ...]
    """Names of its classes."""
    split: str | None
    """Of the run, or as the data came with it."""
    cosine: float
    """Of the features, centred by the mean of the images that were searched; in -1..1."""
    same: bool
    """Whether its file is the query's, byte for byte."""


@dataclass(frozen=True)
class Similar:
    """What a search for similar images found."""

    origin: str
    """The run or the data."""
    backbone: str
    searched: Dataset
    """The images that were looked at."""
    images: tuple[Path, ...]
    """The queries."""
    neighbours: list[list[Neighbour]]
    """Of each query, the nearest first."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"origin": self.origin, "backbone": self.backbone, "searched": len(self.searched), "images": [
            {"image": str(image), "in_data": any(item.same for item in found),
             "neighbours": [{"rank": rank, **vars(item), "labels": list(item.labels)}
                            for rank, item in enumerate(found, start=1)]}
            for image, found in zip(self.images, self.neighbours, strict=True)]}


@dataclass(frozen=True)
class _Ground:
    """What is searched, and by what."""

    dataset: Dataset
    backbone: Backbone
    preprocessing: Preprocessing
    images: int
    """Of all splits: it decides how features are computed, so that those of other verbs are found."""


def find_similar(origin: Run | Dataset | str, images: Sequence[str | Path], *, count: int = 5,
                 split: str | None = None, assignments: Sequence[str] = (), listen: Listen,
                 **settings: Any) -> Similar:
    """Return the `count` nearest images of a run's data (its train split, its own backbone), or of data (all).

    Data may be a folder of images without labels.

    images: files, or folders of them. split: train, val, test or all. settings, assignments: fields of `Job`, for data
    only, that say how they are read and seen, such as `backbone` (None takes `auto`), `image_size`, `format`,
    `skip_bad`. The search is exact, in blocks of bounded memory. The features are kept, and found again by other verbs.
    Raises DataError naming every image that can't be read, or where the run's data are not what they were;
    ConfigError for a wrong setting, or a run that is not finished.
    """
    if count < 1:
        raise ConfigError(f"count: needs at least one neighbour, got {count}.")
    if split is not None and split not in SPLITS:
        raise ConfigError(f'unknown split "{split}". Choices: {", ".join(SPLITS)}.')
    queries = readable(images)
    ground = (_of_run(origin, settings, assignments, split) if isinstance(origin, Run)
              else _of_data(origin, settings, assignments, split, listen))
    store = FeatureStore(cache_folder() / "features", images=ground.images)
    asked = replace(ground.dataset, samples=tuple(Sample(str(path), path, None) for path in queries))
    name = str(origin.root or origin.format) if isinstance(origin, Dataset) else str(origin)
    try:
        features, wanted = (store.features(ground.backbone, ground.preprocessing, part, listen=listen,
                                           device=choose_device(AUTO)) for part in (ground.dataset, asked))
    except ImageError as error:
        left_out = "" if isinstance(origin, Run) else ", or leave out all such with --skip-bad"
        raise DataError(f"{error}\n  It is one of the images of {name}. Mend or replace it{left_out}; `headstart "
                        "check` lists all that can't be read.") from None
    found = _search(ground.dataset, features, asked, wanted, min(count, len(features)))
    return Similar(name, ground.backbone.spec.architecture, ground.dataset, tuple(queries), found)


def readable(images: Sequence[str | Path]) -> list[Path]:
    """Return the files, folders replaced by the images in them. Raises DataError naming each that can't be read."""
    paths = expand([Path(image) for image in images])
    if not paths:
        raise ConfigError("no image to look for: name at least one file, or a folder of images.")
    errors = [str(error) for error in scan(paths) if isinstance(error, ImageError)]
    if errors:
        raise DataError(f"{len(errors)} of {len(paths)} images to look for can't be read:\n{listed(errors)}\n"
                        "  Correct the paths, or leave these images out.")
    return paths


def _of_run(run: Run, settings: dict[str, Any], assignments: Sequence[str], split: str | None) -> _Ground:
    """Return the data of a run as it had them, with its own model."""
    backbone = settings.get("backbone")
    if backbone is not None:
        raise ConfigError(f"--backbone {backbone}: {run} is a run, and is searched by its own backbone. Leave the "
                          f"option out, or name the data: headstart similar {run.job.data} IMAGE --backbone "
                          f"{backbone}")
    given = [*assignments, *(f"{key}={value}" for key, value in settings.items() if value not in (None, False))]
    if given:
        raise ConfigError(f"{', '.join(given)}: {run} is a run, and its images are read and seen as it did. Leave it "
                          f"out, or name the data: headstart similar {run.job.data} IMAGE")
    model = run.model
    dataset = run_data(run)
    kept = [row for row, sample in enumerate(dataset.samples) if split == ALL or sample.split == (split or "train")]
    return _Ground(dataset.subset(kept), model.backbone, model.preprocessing, len(dataset))


def run_data(run: Run) -> Dataset:
    """Return the images of a finished run, each with the split that it had there.

    Raises DataError where the data can't be read any more, or an image is gone or has changed.
    """
    again = f"`headstart verify {run}` lists what changed. Restore the data, or search them as they are: headstart " \
            "similar DATA IMAGE"
    try:
        dataset = load_data(run.job.data, format=run.data["format"], settings=run.job.reader, task=run.data["task"],
                            skip_bad=run.job.skip_bad)
    except HeadstartError as error:
        raise DataError(f"{run}: its data can't be read from {run.job.data} any more: {error}\n  {again}") from None
    by_id = {sample.id: sample for sample in dataset.samples}
    rows = run.samples.to_dict("records")
    gone = [f"{row['id']}: gone" for row in rows if row["id"] not in by_id]
    here = [row for row in rows if row["id"] in by_id]
    dataset = replace(dataset, samples=tuple(replace(by_id[row["id"]], split=row["split"]) for row in here))
    changed = [f"{row['id']}: has changed" for row, digest in zip(here, content_hashes(dataset), strict=True)
               if row["sha256"] != digest]
    if gone or changed:
        raise DataError(f"{run}: {len(gone) + len(changed)} of its {len(rows)} images are not what they were:\n"
                        f"{listed([*gone, *changed])}\n  {again}")
    return dataset


def _of_data(data: Dataset | str, settings: dict[str, Any], assignments: Sequence[str], split: str | None,
             listen: Listen) -> _Ground:
    """Return the data, or their split, with a pretrained model."""
    place = str(data.root or data.format) if isinstance(data, Dataset) else data
    job = build_job({"data": place, **settings}, assignments=list(assignments))
    dataset, _ = read_first(job, data if isinstance(data, Dataset) else None)
    for note in dataset.notes:
        listen(Note(note))
    if job.skip_bad:
        dataset = without_bad(dataset, place, listen)
    kept = [row for row, sample in enumerate(dataset.samples) if split in (None, ALL) or sample.split == split]
    if not kept:
        have = sorted({sample.split for sample in dataset.samples if sample.split})
        raise ConfigError(f"--split {split}: the data have {', '.join(have)}. Name one of these." if have else
                          f"--split {split}: the data have no splits of their own. Leave the option out, or give a "
                          "run, which knows how they were divided.")
    model, note = load_backbone(job.backbone, size=job.image_size, channels=job.channels, fit=job.fit,
                                allow_licenses=job.allow_licenses)
    if note:
        listen(Note(note))
    return _Ground(dataset.subset(kept), model, model.spec.preprocessing, len(dataset))


def _search(dataset: Dataset, features: np.ndarray, asked: Dataset, wanted: np.ndarray,
            count: int) -> list[list[Neighbour]]:
    """Return the neighbours of each query. features: float32 [N, D]. wanted: float32 [n, D]."""
    mean = centre(features)
    places_of = defaultdict(set)
    for place, content in enumerate(content_hashes(dataset)):
        places_of[content].add(place)
    same = [places_of.get(content, set()) for content in content_hashes(asked)]
    found = []
    for start in range(0, len(wanted), QUERIES):
        cosines, places = nearest(features, wanted[start:start + QUERIES], mean, count)
        found += [[_neighbour(dataset, int(place), float(cosine), same=int(place) in own)
                   for cosine, place in zip(*line, strict=True)]
                  for *line, own in zip(cosines, places, same[start:start + QUERIES], strict=True)]
    return found


def _neighbour(dataset: Dataset, place: int, cosine: float, *, same: bool) -> Neighbour:
    sample = dataset.samples[place]
    return Neighbour(sample.id, str(sample.source) if isinstance(sample.source, Path) else None,
                     tuple(dataset.classes[label] for label in labels_of(sample)), sample.split,
                     max(-1.0, min(1.0, cosine)), same)
