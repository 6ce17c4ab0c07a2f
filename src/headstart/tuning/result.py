"""Result: a search on disk, and the tables and the page that are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.configuration import read_yaml
from headstart.files import write_json
from headstart.job import Job
from headstart.runs import Run, load_run, read_json
from headstart.tuning.outcome import Outcome, best_of, write_trials
from headstart.tuning.page import Findings, write_page
from headstart.tuning.study import ENOUGH, Study

if TYPE_CHECKING:
    import pandas as pd

RECORD, STUDY, BEST, RUN = "tune.json", "study.db", "best.yaml", "run"
TRIALS, IMPORTANCE, PAGE = "trials.csv", "importance.json", "tune.html"


@dataclass(frozen=True)
class Tuned:
    """One search on disk, with the run that its winner made."""

    directory: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """Return tune.json: what was asked for, the space, the metric."""
        return read_json(self.directory / RECORD)

    @property
    def best(self) -> Job:
        """Return the job of the winner, every setting written out; `headstart adapt --config` takes its file."""
        path = self.directory / BEST
        return Job.parse(read_yaml(path), where=str(path))

    @property
    def outcomes(self) -> list[Outcome]:
        """Return what became of each trial."""
        return self._read[0]

    @property
    def importance(self) -> dict[str, float] | None:
        """Return what share each setting had in which trials are the best; None where too few finished."""
        return self._read[1]

    @property
    def winner(self) -> Outcome | None:
        """Return the best finished trial."""
        return best_of(self.outcomes, maximise=self.record["higher_is_better"])

    @property
    def trials(self) -> pd.DataFrame:
        """Return trials.csv, a row per trial."""
        import pandas as pd

        return pd.read_csv(self.directory / TRIALS)

    @property
    def run(self) -> Run:
        """Return the run of the winner, with its metrics on test."""
        return load_run(self.directory / RUN)

    @cached_property
    def _read(self) -> tuple[list[Outcome], dict[str, float] | None]:
        study = Study(self.directory / STUDY, seed=0, maximise=self.record["higher_is_better"], epochs=1)
        try:
            return study.outcomes(), study.importances()
        finally:
            study.close()


def write_tables(tuned: Tuned) -> None:
    """Write trials.csv, importance.json and tune.html from what is known of the trials and of the final run."""
    directory, outcomes, winner, shares = tuned.directory, tuned.outcomes, tuned.winner, tuned.importance
    write_trials(directory / TRIALS, outcomes)
    finished = sum(outcome.state == "finished" for outcome in outcomes)
    few = f"{finished} trials finished, and {ENOUGH} with settings to weigh are needed"
    why = None if shares else few if finished < ENOUGH else "no setting made a difference"
    write_json(directory / IMPORTANCE, {"metric": tuned.record["metric"], "importance": shares, "why_not": why})
    if winner is None:
        return
    proven = (directory / RUN / "metrics.json").exists() and tuned.run.status == "finished"
    write_page(directory / PAGE, Findings(
        name=directory.name, data=tuned.record["job"]["data"], metric=tuned.record["metric"],
        maximise=tuned.record["higher_is_better"], outcomes=outcomes, winner=winner,
        methods=list(tuned.record["space"]), importance=shares, why_not=why,
        metrics=tuned.run.splits if proven else {},
        job=(directory / BEST).read_text() if (directory / BEST).exists() else None))
