"""Job: the complete description of one run, the same from Python, YAML and the command line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_serializer, field_validator, model_validator

from headstart.alignments.alignment import ALIGNMENTS
from headstart.backbones.resolve import PERMISSIVE
from headstart.catalog import Catalog
from headstart.configuration import override, read_yaml, to_yaml
from headstart.data.slices import ChosenSlices, Slices
from headstart.detectors.detector import DETECTORS, ChosenDetector
from headstart.errors import ConfigError, nearest
from headstart.methods.method import Method
from headstart.part import NamedError, Part, Words, words
from headstart.past_runs import RunPath
from headstart.segmenters.segmenter import ChosenSegmenter

METHODS: Catalog[Method] = Catalog("methods", Method)  # type: ignore[type-abstract]


def _answering(chain: tuple[Method, ...], on_overfit: str | None) -> tuple[Method, ...]:
    """Return the methods with `on_overfit` set where they train by epochs. Raises ValueError where none does."""
    if on_overfit is None:
        return chain
    able = ["on_overfit" in type(method).model_fields for method in chain]
    if not any(able):
        raise ValueError(f"on_overfit={on_overfit} has no effect: {', '.join(m.part_name for m in chain)} does not "
                         "train by epochs. Use finetune, or leave it out.")
    return tuple(method.model_copy(update={"on_overfit": on_overfit}) if can else method
                 for method, can in zip(chain, able, strict=True))


def _as_methods(values: Sequence[Any]) -> list[Any]:
    """Take the name of an alignment as that of the method which trains with it: `dann` as align with dann.

    Several after each other are one training with their sum, as `cdan,mcc`. Raises NamedError for a name of neither.
    """
    found: list[Any] = []
    methods = METHODS.names()
    choices = {*methods, *ALIGNMENTS.names()}
    for value in values:
        if isinstance(value, str) and value not in choices:
            raise NamedError(f'unknown method "{value}".' + nearest(value, choices, shown=len(choices)))
        if not isinstance(value, str) or value in methods:
            found.append(value)
        elif found and isinstance(found[-1], dict) and found[-1].get("method") == "align" and "by_name" in found[-1]:
            found[-1]["by_name"].append(value)
        else:
            found.append({"method": "align", "by_name": [value]})
    return [{"method": "align", "alignments": value["by_name"]} if isinstance(value, dict) and "by_name" in value
            else value for value in found]


def with_needs(method: Method, known: Mapping[str, Method]) -> list[Method]:
    """Return the method with what it needs in front, each once: as it is `known`, by name, else by default."""
    chain: list[Method] = []
    for need in method.needs:
        chain += [m for m in with_needs(known.get(need) or METHODS.get(need)(), known) if m not in chain]
    return [*chain, method]


class Job(Part):
    """Everything that decides what a run does. Where it is written (`--out`) is not part of it."""

    data: str
    """Path of the data: a folder, a table, or a saved dataset."""
    format: str | None = None
    """Name of the reader; None finds it out."""
    target: RunPath | None = None
    """Path of images of another domain to adapt to; labels that they have prove the result, and do nothing else."""
    target_format: str | None = None
    """Name of the reader of the target, or `images` for images without labels in any folders; None finds it out."""
    target_reader: dict[str, Any] = Field(default_factory=dict)
    """Settings of the reader of the target."""
    target_train: RunPath | None = None
    """Path of more images of the target's domain, with labels that are learned from besides those of the data."""
    target_share: float = Field(0.5, gt=0, lt=1)
    """Share of `target_train` in what is learned from, by weight; none of its images counts more than tenfold."""
    reader: dict[str, Any] = Field(default_factory=dict)
    """Settings of the reader, such as the columns of a table."""
    task: str | None = None
    """`classification`, `multilabel`, `detection` or `semantic`; None finds it out."""
    detector: ChosenDetector | None = None
    """For detection: what finds boxes on the backbone's maps, such as {detector: yolox, width: 0.5}; None: yolox."""
    slices: ChosenSlices | None = None
    """For boxes and masks: cuts large pictures into overlapping parts, such as {size: 640, overlap: 0.2}; None: the
    whole."""
    segmenter: ChosenSegmenter | None = None
    """For semantic segmentation: what tells classes on the backbone's maps, such as {segmenter: fpn, width: 64}; None:
    fpn."""
    backbone: str = "auto"
    """Name of a pretrained model; `headstart models` lists them; `auto` takes the best that is here."""
    image_size: int | None = Field(None, ge=8, le=4096)
    """Height and width of the input in pixels; None is the size that the backbone was trained with."""
    fit: Literal["crop", "squash", "pad"] | None = None
    """How a picture is brought to the square; None is the backbone's own way."""
    channels: int = Field(3, ge=1, le=64)
    """Channels of the input: 1 grey, 3 RGB, 4 RGB and alpha."""
    init_from: RunPath | None = None
    """A finished run to start from; its head is mapped by class name."""
    advise: bool = False
    """Take backbone and method as `headstart advise` finds them for these data; `method: auto` says the same."""
    on_overfit: Literal["report", "stop", "regularise"] | None = None
    """What each method of the chain that trains by epochs does when the watch sees overfitting; None: as it is set."""
    method: tuple[Method, ...] = Field((), validate_default=True)
    """What to do, in order; a method that needs another gets it put in front."""
    baselines: tuple[Method, ...] = Field((), validate_default=True)
    """What to compare with, each with what it needs in front; `majority` is always among them."""
    val: float = Field(0.2, gt=0, lt=1)
    """Share of the images for validation, where the data come without."""
    test: float = Field(0.2, gt=0, lt=1)
    """Share of the images that proves the result, where the data come without."""
    folds: int | None = Field(None, ge=2, le=50)
    """Folds of a cross-validation, whose models become one ensemble; None fits one model."""
    group_by: str | None = None
    """A column, a regular expression with one group, or `duplicates`: images of one group share a split."""
    skip_bad: bool = False
    """Leave unreadable images out instead of refusing."""
    allow: Words = ()
    """Findings of the check, by name, in spite of which to go on."""
    allow_licenses: Words = PERMISSIVE
    """Licences of weights that may be used, as SPDX identifiers; `any` allows all."""
    thresholds: Literal["half", "f1"] = "half"
    """From which probability on a label is given: `half` is 0.5, `f1` chooses one for each class on validation, for
    the best F1; multi-label only."""
    seed: int = Field(0, ge=0, lt=2**63)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers: int = Field(0, ge=0, le=256)
    """Processes that load training images; 0 loads in the main process. The result does not depend on it."""
    limit_time: float | None = Field(None, gt=0)
    """Seconds after which training stops with the best weights so far."""
    tracking: str = "sqlite"
    """`sqlite` beside the runs, `off`, or the address of an MLflow server."""

    @classmethod
    def elsewhere(cls, name: str) -> str:
        """Name the methods, or the detectors, that have the setting; or what cuts pictures into slices."""
        said = ""
        for catalog, usual in ((METHODS, "finetune"), (DETECTORS, "yolox")):
            owners = [owner for owner, part in catalog.all().items() if name in part.model_fields]
            if owners:
                path = f"method.{usual if usual in owners else owners[0]}" if catalog is METHODS else "detector"
                said += (f" It is a setting of a {catalog.singular}: {path}.{name} ({', '.join(owners)} "
                         f"{'has' if len(owners) == 1 else 'have'} it).")
        return said + (f" It is a setting of slices: slices.{name}." if name in Slices.model_fields else "")

    @model_validator(mode="before")
    @classmethod
    def _auto(cls, values: Any) -> Any:
        """Take `method: auto` as what it stands for; where a target is named, it is what is meant unless one is."""
        if not isinstance(values, dict):
            return values
        if values.get("target") and not values.get("method"):
            return values | {"method": "transfer"}
        if not values.get("method"):
            return values
        if words(values["method"]) in (["auto"], ("auto",)) and values.get("target"):
            return values | {"method": "transfer", "advise": False}
        if words(values["method"]) in (["auto"], ("auto",)):
            return {key: value for key, value in values.items() if key != "method"} | {"advise": True}
        return values | {"advise": False}  # a method that is named is the one to take

    @field_validator("method", "baselines", mode="before")
    @classmethod
    def _methods(cls, value: Any) -> tuple[Method, ...]:
        if isinstance(value, str):
            value = words(value)
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(METHODS.validated(item) for item in _as_methods(items))

    @field_validator("method")
    @classmethod
    def _completed(cls, value: tuple[Method, ...], info: ValidationInfo) -> tuple[Method, ...]:
        """Put in front what each method needs; the run that `init_from` names has it already.

        Where an advice is to choose, there is none yet.
        """
        if info.data.get("advise"):
            return ()
        chain: list[Method] = []
        for method in value or (METHODS.get("probe")(),):
            needed = () if info.data.get("init_from") else method.needs
            chain += [METHODS.get(need)() for need in needed if need not in {m.part_name for m in chain}]
            chain.append(method)
        return _answering(tuple(chain), info.data.get("on_overfit"))

    @field_validator("baselines")
    @classmethod
    def _with_majority(cls, value: tuple[Method, ...]) -> tuple[Method, ...]:
        if any(method.part_name == "majority" for method in value):
            return value
        return (METHODS.get("majority")(), *value)

    @field_validator("baselines")
    @classmethod
    def _apart(cls, value: tuple[Method, ...], info: ValidationInfo) -> tuple[Method, ...]:
        """Refuse a baseline that is called like a method of the chain, or twice: their records would be mixed."""
        names = [method.part_name for method in value if method.part_name != "majority"]
        taken = [name for name in names if names.count(name) > 1
                 or name in {method.part_name for method in info.data.get("method", ())}]
        if taken:
            raise ValueError(f"{taken[0]} stands among the baselines and in the chain, or twice. Every method of the "
                             "chain is compared with the result anyway; to compare two settings of one method, make "
                             "two runs and give them to `headstart compare`.")
        return value

    @field_serializer("method", "baselines")
    def _plain(self, value: tuple[Method, ...]) -> list[dict[str, Any]]:
        return [METHODS.plain(method) for method in value]

    @property
    def title(self) -> str:
        """Return what a run of the job is called where no folder is named: `flowers-finetune`."""
        return f"{Path(self.data).name or 'data'}-{'auto' if self.advise else self.method[-1].part_name}"

    def baseline_chains(self) -> list[tuple[Method, ...]]:
        """Return each baseline, last in its chain, with what it needs in front: as `method` has it, else by default."""
        if self.init_from:
            return [(method,) for method in self.baselines]  # the run that it names has it already
        known = {method.part_name: method for method in self.method}
        return [tuple(with_needs(method, known)) for method in self.baselines]

    def to_yaml(self) -> str:
        """Return the job with every setting written out."""
        return to_yaml(self.model_dump(mode="json"))


def build_job(settings: dict[str, Any], *, config: Path | None = None, assignments: list[str] | None = None) -> Job:
    """Return the job from a YAML file, settings over it, and `key=value` assignments over both.

    settings: None values are left out. Raises ConfigError naming each wrong field by its path, or one that a setting
    and an assignment give differently.
    """
    values = read_yaml(config) if config else {}
    given = {key: value for key, value in settings.items() if value is not None}
    values |= given
    if not values.get("data"):
        raise ConfigError("data: name a folder or a table, such as `headstart adapt flowers/`, or set `data:` in the "
                          "YAML file.")
    # The run must find its data again from another working directory.
    if not isinstance(values.get("target") or "", str | os.PathLike):
        raise ConfigError(f"target: name a folder or a table by its path; got a {type(values['target']).__name__}.")
    values["data"] = str(Path(values["data"]).resolve()) if Path(str(values["data"])).exists() else values["data"]
    words = {key.strip(): value.strip() for key, _, value in (
        item.partition("=") for item in assignments or () if "=" in item)}
    for key in given.keys() & words:
        if str(given[key]) != words[key]:
            raise ConfigError(f"{key}: given twice, as {given[key]} and as `--set {key}={words[key]}`. Leave one out.")
    if not assignments:
        return Job.parse(values, where=str(config) if config else "")
    # `--set method.1.epochs=5` counts in the completed list, so that the list is completed first.
    methods = [name for name in ("method", "baselines") if any(a.startswith(f"{name}.") for a in assignments)]
    if methods:
        complete = Job.parse(values)
        values |= {name: [_as_set(method) for method in getattr(complete, name)] for name in methods}
    return Job.parse(override(values, assignments), where=str(config) if config else "")


def _as_set(method: Method) -> dict[str, Any]:
    """Return the method with what was set of it alone: the rest may have other defaults for the task."""
    return {"method": method.part_name, **method.model_dump(mode="json", exclude_unset=True)}


def countdown(limit: float | None) -> Callable[[], float]:
    """Return a function that says how many of `limit` seconds are left; None never ends."""
    deadline = time.monotonic() + limit if limit else float("inf")
    return lambda: deadline - time.monotonic()
