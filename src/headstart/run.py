"""run(job): from data to a proven model, on one screen; and resume, which does the same with what is there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from headstart.adaptation import WORK, adapt_all, save_model
from headstart.box_proof import ProvenBoxes
from headstart.crossvalidation import cross_validate
from headstart.data.dataset import Dataset
from headstart.data.fingerprint import fingerprint
from headstart.errors import ConfigError, DataError, HeadstartError, Interrupted
from headstart.events import Listen, Note, RunFinished, RunStarted, silent
from headstart.files import exclusive, refuse_foreign, write_json
from headstart.job import Job, countdown
from headstart.mask_proof import ProvenMasks
from headstart.opening import Opened, open_job
from headstart.proof import Proven, prove
from headstart.receipts import TARGET, environment, sample_table, seal, target_table
from headstart.record import Record, backbone_record, data_record, write_table
from headstart.report.page import write_report
from headstart.runs import Run, load_run
from headstart.selection.forecasted import forecast_of_run
from headstart.selection.mismatch_words import sentences
from headstart.selection.mismatched import of_domains
from headstart.selection.pool import pool_of


def run(job: Job, directory: Path, *, dataset: Dataset | None = None, expected: str | None = None,
        listen: Listen = silent) -> Run:
    """Do the job and write everything into `directory`, which must not hold a run yet.

    dataset: the data already read, where the caller has them; else `job.data` is read.
    expected: the fingerprint of the data for which the job was made; others are refused before anything is written.
    Raises HeadstartError; what was done until then stays, and `resume` goes on with it.
    """
    if (directory / "run.json").exists():
        raise ConfigError(f"{directory}: there is a run here already. Go on with `headstart resume {directory}`, "
                          "or choose another --out.")
    refuse_foreign(directory, ours=())
    return _carry_out(job, directory, dataset, listen, resumed=False, expected=expected)


def resume(directory: Path, *, dataset: Dataset | None = None, expected: str | None = None,
           listen: Listen = silent) -> Run:
    """Go on with an unfinished run, to the result it would have had. A finished one is returned as it is.

    dataset, expected: as in `run`.
    """
    found = load_run(directory)
    if found.status == "finished":
        listen(Note(f"{directory} is finished; there is nothing to resume."))
        return found
    return _carry_out(found.job, directory, dataset, listen, resumed=True, expected=expected)


def repeat(before: Run, directory: Path, *, listen: Listen = silent) -> Run:
    """Do the job of a finished run again, into `directory`."""
    if before.status != "finished":
        raise ConfigError(f"{before}: this run is {before.status}; only a finished run can be reproduced. "
                          f"Go on with `headstart resume {before}` first.")
    return run(before.job, directory, listen=listen)


def _carry_out(job: Job, directory: Path, dataset: Dataset | None, listen: Listen, *, resumed: bool,
               expected: str | None) -> Run:
    remaining = countdown(job.limit_time)
    with exclusive(directory):
        torch.manual_seed(job.seed)
        record = Record(directory, listen)
        # Nothing is written before all inputs are known to be sound: a mistake leaves no run behind.
        opened = open_job(job, dataset, record.listen)
        found = fingerprint(opened.dataset)
        if expected is not None and found != expected:
            raise DataError(f"{job.data}: the data have changed since the settings of this run were chosen, so that "
                            "images that chose them may now be in its test split. Restore the data, or start anew "
                            "with another --out.")
        job, model, splits = opened.job, opened.model, opened.splits
        with _recorded(record, job, resumed=resumed):
            _write_inputs(directory, opened, found, resumed=resumed)
            proven: Sequence[Proven | ProvenBoxes | ProvenMasks]
            if opened.parts:
                proven = cross_validate(job, model, splits, opened.parts, directory=directory, listen=record.listen,
                                        remaining=remaining)
            else:
                adapted = adapt_all(job, model, splits, work=directory / WORK, listen=record.listen,
                                    remaining=remaining)
                proven = prove(job, adapted, splits, target=opened.proof, directory=directory, listen=record.listen)
            final = proven[-1]
            save_model(final.adapted.model, directory)
            record.finish([item.adapted for item in proven], final.metrics)
            _foretell(opened, directory, record.listen)
            _compare_domains(opened, directory, record.listen)
            write_report(directory)
            shutil.rmtree(directory / WORK, ignore_errors=True)
            seal(directory)
    return Run(directory)


def _foretell(opened: Opened, directory: Path, listen: Listen) -> None:
    """Write forecast.json where a probe has read the features that it needs, and the images are enough."""
    if opened.dataset.whole or opened.job.init_from:
        return
    if not any(method.part_name == "probe" for method in opened.job.method):
        return
    try:
        pool = pool_of(opened.job, opened.dataset, opened.findings, opened.splits)
        found = forecast_of_run(pool, opened.model.backbone, listen)
    except HeadstartError as error:  # an extra must not cost a finished training
        listen(Note(f"no forecast in the report: {error}", "warning"))
        return
    if found is not None:
        write_json(directory / "forecast.json", found.model_dump(mode="json"))


def _compare_domains(opened: Opened, directory: Path, listen: Listen) -> None:
    """Write mismatch.json where the run adapts to a target."""
    if opened.splits.target is None:
        return
    try:
        found = of_domains(opened.job, opened.model.backbone, opened.splits, listen)
    except HeadstartError as error:  # an extra must not cost a finished training
        listen(Note(f"no mismatch in the report: {error}", "warning"))
        return
    write_json(directory / "mismatch.json", {**found.to_json(), "sentences": sentences(found)})


def _write_inputs(directory: Path, opened: Opened, found: str, *, resumed: bool) -> None:
    """Write what the run starts from; a resumed run must start from the same. found: the data's fingerprint."""
    data = data_record(opened.dataset, opened.splits, found, opened.findings, proof=opened.proof)
    data |= {name: part.record() for name, part in (("target", opened.target), ("target_train", opened.labelled))
             if part is not None}
    if resumed and (directory / "data.json").exists():
        before = load_run(directory).data
        places = {"fingerprint": opened.job.data, "target": opened.job.target, "target_train": opened.job.target_train}
        changed = [str(path) for name, path in places.items() if before.get(name) != data.get(name)]
        if changed:
            raise DataError(f"{', '.join(changed)}: the data have changed since {directory} began, so that the run "
                            "can't go on to the same result. Restore them, or start anew with `headstart adapt`.")
        return
    write_table(directory / "samples.parquet", sample_table(opened.splits))
    if opened.target is not None:
        write_table(directory / TARGET, target_table(opened.target.images, opened.target.proof, opened.splits.labelled))
    write_json(directory / "backbone.json", backbone_record(opened.model))
    write_json(directory / "environment.json", environment())
    if opened.choice is not None:
        write_json(directory / "choice.json", asdict(opened.choice))
    write_json(directory / "data.json", data)


@contextmanager
def _recorded(record: Record, job: Job, *, resumed: bool) -> Iterator[None]:
    """Keep run.json and history.csv true whatever happens."""
    record.begin(job, resumed=resumed)
    record.listen(RunStarted(record.directory, job.model_dump(mode="json"), resumed))
    try:
        yield
    except Interrupted as error:
        record.end("interrupted")
        # What stops below does not know the folder.
        text = str(error).replace("`headstart resume`", f"`headstart resume {record.directory}`")
        raise Interrupted(text, signal_number=error.exit_code - 128) from None
    except KeyboardInterrupt:
        record.end("interrupted")
        raise
    except BaseException:
        record.end("failed")
        raise
    record.end("finished")
    record.listen(RunFinished(record.directory, "finished", record.metrics))
