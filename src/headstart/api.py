"""The verbs in Python: the same jobs and records as on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from headstart import receipts
from headstart.assessment import assess
from headstart.backbones.resolve import PERMISSIVE
from headstart.box_predictions import BoxPrediction, predict_boxes
from headstart.confrontation import confront
from headstart.conversion import Converted, Images, write_dataset
from headstart.data.box_findings import INPUT_SIZE
from headstart.data.check import CheckReport
from headstart.data.check import check as check_data
from headstart.data.dataset import Dataset
from headstart.data.load import format_of, load_data
from headstart.errors import ConfigError
from headstart.evaluation.intervals import Interval
from headstart.events import Listen, Note, silent
from headstart.job import Job, build_job
from headstart.mask_predictions import MaskPrediction, predict_masks
from headstart.part import words
from headstart.run import repeat, run
from headstart.run import resume as resume_run
from headstart.runs import Run, free_directory, load_model, load_run
from headstart.selection.advice import Advice
from headstart.selection.advised import make_advice
from headstart.selection.apart import MOST as MOST_COMPARED
from headstart.selection.candidates import Wanted
from headstart.selection.evidence import DEFAULT
from headstart.selection.forecasted import Forecasted, make_forecast
from headstart.selection.label_errors import LabelErrors
from headstart.selection.labels import make_label_errors
from headstart.selection.lookalikes import finder
from headstart.selection.mismatch import Mismatch
from headstart.selection.mismatched import make_mismatch
from headstart.selection.rank import MOST
from headstart.selection.ranked import make_ranking
from headstart.selection.ranking import Ranking
from headstart.selection.similar import Neighbour, Similar, find_similar
from headstart.tracking import tracked
from headstart.tuning.candidates import build_search
from headstart.tuning.result import Tuned
from headstart.tuning.tune import tune as search
from headstart.types import Prediction
from headstart.writers.writer import WRITERS


def adapt(data: str | Path | Dataset, *, out: str | Path | None = None, config: str | Path | None = None,
          listen: Listen = silent, **settings: Any) -> Run:
    """Return the finished run that adapts a pretrained model to `data`.

    settings: fields of `Job`, such as backbone="efficientnet_lite0", method="finetune", seed=0.
    out: a new folder; None takes the next free one in `runs/`. listen: gets the events; see `headstart.events`.
    Raises ConfigError naming each wrong setting; DataError where the data can't carry the job.
    """
    dataset, job = _job(data, config, settings)
    directory = Path(out) if out else free_directory(Path("runs"), job.title)
    return run(job, directory, dataset=dataset, listen=tracked(listen, job.tracking))


def resume(directory: str | Path, *, dataset: Dataset | None = None, listen: Listen = silent) -> Run:
    """Return the run, finished: it goes on to the result that it would have had without the interruption."""
    job = load_run(directory).job
    return resume_run(Path(directory), dataset=dataset, listen=tracked(listen, job.tracking))


def tune(data: str | Path | Dataset, *, out: str | Path | None = None, trials: int = 30, workers: int = 1,
         space: str | Path | None = None, config: str | Path | None = None, listen: Listen = silent,
         **settings: Any) -> Tuned:
    """Return the search for the best settings on `data`, with the proven run of the winner in `.run`.

    settings: fields of `Job`; limit_time is that of the search. out: a folder; one that holds an unfinished search of
    the same settings goes on; None takes the next free one in `tunes/`. workers: trials at the same time.
    space: a YAML file with what to search. Raises ConfigError naming each wrong setting.
    """
    dataset = data if isinstance(data, Dataset) else None
    if dataset is not None:
        settings = {"format": dataset.format, "task": dataset.task, **settings}
    source = str(dataset.root) if dataset is not None else str(data)
    base, found = build_search({"data": source, **settings}, config=Path(config) if config else None,
                               space=Path(space) if space else None)
    directory = Path(out) if out else free_directory(Path("tunes"), Path(base.data).name or "data")
    return search(base, found, directory, trials=trials, workers=workers, dataset=dataset,
                  listen=tracked(listen, base.tracking))


def rank(data: str | Path | Dataset | None = None, *, backbones: str | Sequence[str] = (), family: str | None = None,
         max_params: float | None = None, licenses: str | Sequence[str] | None = None, source: str | None = None,
         available: bool = False, image_sizes: str | Sequence[int] = (), score: str = DEFAULT,
         scores: str | Sequence[str] = (), images: int = MOST, out: str | Path | None = None,
         config: str | Path | None = None, assignments: Sequence[str] = (), listen: Listen = silent,
         **settings: Any) -> Ranking:
    """Return pretrained models in the order in which they suit `data`, judged by their features, without training.

    backbones: names; by default the models whose weights are here, or all that fit family, max_params (a number),
    licenses, source, available. image_sizes: input sizes in pixels to try each at; by default its own.
    score: what decides; scores: more to tell beside it, or `all`. images: to read at most. out: a new folder; None
    takes the next free one in `ranks/`, where `adapt` finds it. settings: fields of `Job`, such as seed=0.
    Raises ConfigError for a setting that is wrong, or where no model could be judged.
    """
    dataset, job = _job(data, config, settings, assignments)
    wanted = Wanted(tuple(words(backbones)), family, max_params, source, tuple(words(licenses)) if licenses else None,
                    available, tuple(_pixels(size) for size in words(image_sizes)))
    return make_ranking(job, wanted, dataset=dataset, score=score, others=words(scores), most=images,
                        directory=Path(out) if out else None, listen=listen)


def advise(data: str | Path | Dataset | None = None, *, out: str | Path | None = None,
           config: str | Path | None = None, assignments: Sequence[str] = (), listen: Listen = silent,
           **settings: Any) -> Advice:
    """Return which backbone and method suit `data`, why, and what to expect of each way that is open.

    out: a new folder; None takes the next free one in `advice/`, where `adapt(..., method="auto")` finds it.
    settings: fields of `Job`; a backbone, an image size or a limit_time that they name is kept to.
    Raises ConfigError for a wrong setting, or where no backbone could be judged.
    """
    dataset, job = _job(data, config, settings, assignments)
    return make_advice(job, dataset=dataset, directory=Path(out) if out else None, listen=listen)


def forecast(data: str | Path | Dataset | None = None, *, targets: Sequence[float] = (), method: str = "probe",
             out: str | Path | None = None, config: str | Path | None = None, assignments: Sequence[str] = (),
             listen: Listen = silent, **settings: Any) -> Forecasted:
    """Return the learning curve on `data`, and the accuracy to expect with 2, 4 and 10 times the labels.

    targets: accuracies in 0..1 to find the number of labels for. method: `probe`, or `finetune`, which trains for each
    point. out: a new folder; None takes the next free one in `forecasts/`. settings: fields of `Job`.
    Raises ConfigError for a wrong setting; DataError where the images are too few for a curve.
    """
    dataset, job = _job(data, config, settings, assignments)
    return make_forecast(job, dataset=dataset, method=method, targets=targets, directory=Path(out) if out else None,
                         listen=listen)


def find_label_errors(data: str | Path | Dataset | None = None, *, backbone: str | None = None,
                      out: str | Path | None = None, config: str | Path | None = None,
                      assignments: Sequence[str] = (), listen: Listen = silent, **settings: Any) -> LabelErrors:
    """Return the images of `data` whose label is likely wrong, the most suspicious first, test images included.

    A linear probe on the features of `backbone` (None: `auto`) answers for each image without having seen it, and
    confident learning says where it speaks against the label. out: a new folder for page, table and record; None takes
    the next free one in `labels/`. settings: fields of `Job`, such as image_size=128. The data are never changed.
    Raises ConfigError for a setting that is wrong, DataError for data that can't carry a run.
    """
    dataset, job = _job(data, config, {"backbone": backbone, **settings}, assignments)
    return make_label_errors(job, dataset=dataset, directory=Path(out) if out else None, listen=listen)


def check(data: str | Path | Dataset, *, strict: bool = False, features: bool | None = None,
          input_size: int = INPUT_SIZE, listen: Listen = silent) -> CheckReport:
    """Return what is wrong with the data, item by item.

    strict: any leak between given splits and any image with two labels is an error. features: look for near copies by
    the features of the default backbone, too; None does so where its weights are here and there are at most 5000
    images. input_size: for detection, pixels of the longer side of an image as the model will get it.
    """
    dataset = data if isinstance(data, Dataset) else load_data(str(data))
    return check_data(dataset, listen=listen, strict=strict, alike=finder(len(dataset), features, listen),
                      input_size=input_size)


def convert(data: str | Path | Dataset, *, to: str, out: str | Path, images: str = "copy", format: str | None = None,
            task: str | None = None, reader: Mapping[str, Any] | None = None,
            writer: Mapping[str, Any] | None = None, listen: Listen = silent) -> Converted:
    """Return the data with marked objects, or masks, as they were written in another format, and what that can't hold.

    to: `coco`, `voc`, `yolo`, `labelme` or `masks`. out: a new folder. images: `copy`, or `link` for hard links.
    format: of the data, found out where not given. task: as what they are read, `detection` or `semantic`; None: as
    what the new format holds, mask files as what their settings say. Of masks, each patch of a class becomes an object;
    objects are drawn as masks. reader, writer: settings of the two formats. What was inferred is told to `listen`.
    Raises ConfigError for a wrong setting or a folder that is not empty, DataError for data without objects and masks,
    or with images that can't be read. The data are never changed.
    """
    if images not in ("copy", "link"):
        raise ConfigError(f'images "{images}": copy or link.')
    part = WRITERS.get(to).parse(dict(writer or {}), where="writer")
    if isinstance(data, Dataset):
        dataset = data
    else:
        format = format or format_of(str(data), task or part.task)
        dataset = load_data(str(data), format=format, settings=reader,
                            task=task or (None if format == "masks" else part.task))
    for note in dataset.notes:
        listen(Note(note))
    return write_dataset(dataset, part, Path(out), images=cast(Images, images))


def evaluate(run: str | Path | Run, data: str | Path, *, split: str | None = None, skip_bad: bool = False,
             listen: Listen = silent) -> dict[str, dict[str, Interval]]:
    """Return {split: {metric: Interval}} of a run on other labelled data; classes are matched by name."""
    return assess(_run(run), str(data), format=None, split=split, skip_bad=skip_bad, listen=listen)[0]


def predict(run: str | Path | Run, images: Sequence[str | Path], *, slices: int | None = None,
            allow_licenses: Sequence[str] = PERMISSIVE,
            listen: Listen = silent) -> list[Prediction] | list[BoxPrediction] | list[MaskPrediction]:
    """Return one prediction per image, in order; `error` is set where an image can't be read.

    A detector's are all boxes that it tells, however unsure: `model.task.thresholds` says from which score on to
    show them.

    run: a finished run, or the path of an `adapter.safetensors`. slices: for boxes and masks, pixels of the
    overlapping parts that each picture is looked at in; None: as it was trained. allow_licenses: of the pretrained
    weights that an adapter is put on; `any` allows all.
    """
    model = run.model if isinstance(run, Run) else load_model(run, allow_licenses=allow_licenses)
    model = model if slices is None else model.in_slices(slices)
    if model.task.part_name == "detection":
        return predict_boxes(model, images, listen=listen)
    if model.task.part_name == "semantic":
        return predict_masks(model, images, listen=listen)
    return model.predict(images, listen=listen)


def similar(run_or_data: str | Path | Run | Dataset, images: str | Path | Sequence[str | Path], count: int = 5, *,
            split: str | None = None, listen: Listen = silent, **settings: Any) -> list[list[Neighbour]]:
    """Return for each image its nearest `count` images by features, the nearest first; one that is it is `same`.

    run_or_data: a finished run, whose own backbone then looks through its train split; or data, all of them, seen by
    the `settings` of `Job`, such as backbone="resnet18" or image_size=64. split: train, val, test or all.
    Raises DataError naming images that can't be read, or a run's data that are not what they were.
    """
    wanted = [images] if isinstance(images, str | Path) else images
    return find(run_or_data, wanted, count=count, split=split, listen=listen, **settings).neighbours


def find(run_or_data: str | Path | Run | Dataset, images: Sequence[str | Path], *, count: int, split: str | None,
         assignments: Sequence[str] = (), listen: Listen, **settings: Any) -> Similar:
    """Return what `similar` does, with what was searched and by what."""
    return find_similar(_origin(run_or_data), images, count=count, split=split, assignments=assignments, listen=listen,
                        **settings)


def mismatch(run_or_data: str | Path | Run | Dataset, other: str | Path | Dataset | None = None, *,
             backbone: str | None = None, images: int = MOST_COMPARED, out: str | Path | None = None,
             assignments: Sequence[str] = (), listen: Listen = silent, **settings: Any) -> Mismatch:
    """Return how two sets of images differ, and what to expect of a model of the first on the second.

    run_or_data: data, or a finished run: its training images, by its model. other: data, or images without labels;
    None compares the splits of data with each other, and all with the backbone's pretraining. images: of each set at
    most. out: a new folder; None takes the next free one in `mismatches/`. settings: fields of `Job`.
    Raises ConfigError for a wrong setting; DataError for too few images, or one that can't be read.
    """
    origin = _origin(run_or_data)
    data, run = (origin.job.data, origin) if isinstance(origin, Run) else (origin, None)
    dataset, job = _job(data, None, {"backbone": backbone, **settings}, assignments)
    return make_mismatch(job, run=run, dataset=dataset, other=other, most=images, listen=listen,
                         directory=Path(out) if out else None)


def compare(runs: Sequence[str | Path | Run], *, metric: str | None = None) -> list[dict[str, Any]]:
    """Return the paired difference, with its interval, of each later run from the first."""
    return confront([_run(item) for item in runs], metric=metric)


def verify(run: str | Path | Run) -> list[receipts.Receipt]:
    """Return whether data, weights and files are still what the receipts say."""
    return receipts.verify(_run(run))


def reproduce(run: str | Path | Run, *, out: str | Path | None = None, listen: Listen = silent) -> Run:
    """Return the repetition of a finished run from its record."""
    before = _run(run)
    directory = Path(out) if out else free_directory(before.directory.parent, f"{before.directory.name}-again")
    return repeat(before, directory, listen=tracked(listen, before.job.tracking))


def _job(data: str | Path | Dataset | None, config: str | Path | None, settings: dict[str, Any],
         assignments: Sequence[str] = ()) -> tuple[Dataset | None, Job]:
    """Return the data, where they are read already, and the job of the settings."""
    if isinstance(data, Dataset):
        settings = {"format": data.format, "task": data.task, **settings}
    source = str(data.root) if isinstance(data, Dataset) else None if data is None else str(data)
    job = build_job({"data": source, **settings}, config=Path(config) if config else None,
                    assignments=list(assignments))
    return data if isinstance(data, Dataset) else None, job


def _origin(run_or_data: str | Path | Run | Dataset) -> Run | Dataset | str:
    """Return a run where the place is one, else the data."""
    if isinstance(run_or_data, Run | Dataset):
        return run_or_data
    return load_run(run_or_data) if (Path(run_or_data) / "run.json").is_file() else str(run_or_data)


def _pixels(size: str | int) -> int:
    """Return a size in pixels. Raises ConfigError for what is none."""
    if str(size).isdecimal() and 8 <= int(size) <= 4096:
        return int(size)
    raise ConfigError(f"image sizes are whole numbers of pixels from 8 to 4096, such as 128,224; got {size!r}.")


def _run(run: str | Path | Run) -> Run:
    return run if isinstance(run, Run) else load_run(run)
