"""Candidates: the methods that a search tries, and the job that one draw of settings makes."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headstart.configuration import read_yaml
from headstart.errors import ConfigError
from headstart.job import METHODS, Job, build_job, with_needs
from headstart.methods.method import Method
from headstart.tasks.task import Task
from headstart.tuning.space import METHOD, Range, Space, default_space, methods_of, own_space


def default_methods() -> list[str]:
    """Return what is tried unless the user says otherwise; LoRA where its library is here."""
    lora = ["lora"] if "lora" in METHODS.names() and find_spec("peft") else []
    return ["probe", "finetune", *lora]


def build_search(settings: dict[str, Any], *, config: Path | None = None, assignments: list[str] | None = None,
                 space: Path | None = None) -> tuple[Job, Space]:
    """Return the job from which a search starts, and the space it searches.

    The job's methods are the candidates; what is set of them is kept. settings, config, assignments: as in `build_job`.
    Raises ConfigError naming each wrong setting.
    """
    own, where = (read_yaml(space), str(space)) if space else (None, "")
    wanted = methods_of(own, where=where)
    named = (settings.get(METHOD) is not None or (config is not None and METHOD in read_yaml(config))
             or any(assignment.startswith(f"{METHOD}=") for assignment in assignments or []))
    if not named:
        settings = {**settings, METHOD: wanted or default_methods()}
    base = build_job(settings, config=config, assignments=assignments)
    if base.advise:
        raise ConfigError("method auto: a search tries methods, and an advice chooses one. Name those to search, "
                          "such as --method probe,finetune, or use `headstart adapt --method auto`.")
    base = base.model_copy(update={"method": tuple(_once(base.method))})
    candidates = list(base.method)
    if wanted:
        candidates = [next((m for m in base.method if m.part_name == name), METHODS.get(name)()) for name in wanted]
    found = default_space(candidates) if own is None else own_space(candidates, own, where=where)
    return base, found


def _once(candidates: Sequence[Method]) -> list[Method]:
    """Return each method once; what the job put in front of another, by default, gives way to the user's own."""
    found: dict[str, Method] = {}
    for method in candidates:
        name = method.part_name
        default = METHODS.get(name)()
        before = found.get(name, default)
        if default not in (before, method) and before != method:
            raise ConfigError(f"method: {name} stands here with two sets of settings, and a search tries each method "
                              "once. Leave one of them out; the search varies the settings itself.")
        found[name] = method if before == default else before
    return list(found.values())


def job_with(base: Job, settings: dict[str, Any]) -> Job:
    """Return the job of one trial: `base` with one method, which has these settings, and with what that needs."""
    known = {method.part_name: method for method in base.method}
    name = settings[METHOD]
    start = known.get(name) or METHODS.get(name)()
    rest = {key: value for key, value in settings.items() if key != METHOD}
    chosen = type(start).parse({**start.model_dump(mode="json"), **rest}, where=f"method {name}")
    # The job itself puts in front what is needed, but with default settings; the user's come first.
    chain = [chosen] if base.init_from else with_needs(chosen, known)
    return Job.parse({**base.model_dump(mode="json"), METHOD: [METHODS.plain(method) for method in chain]})


def metric_of(base: Job, space: Space, task: Task) -> str:
    """Return the validation metric by which trials are told apart: what the methods choose their best epoch by."""
    watched = {name: space.base[name].get("monitor") or task.monitor for name in space.open or space.settled}
    if len(set(watched.values())) > 1:
        found = ", ".join(f"{name} by {metric}" for name, metric in watched.items())
        raise ConfigError(f"the methods are chosen by different metrics ({found}) and can't be compared. Set the same "
                          "`monitor` for all of them.")
    metric = next(iter(watched.values()))
    return "log_loss" if metric == "loss" else metric


def longest(space: Space) -> int:
    """Return the most epochs that a trial can have; 1 where no method has epochs."""
    found = [1]
    for method, searched in space.searched.items():
        dimension = searched.get("epochs")
        if dimension is None:
            found.append(int(space.base[method].get("epochs", 1)))
        else:
            found.append(int(dimension.high if isinstance(dimension, Range) else max(dimension.values)))
    return max(found)
