"""Candidates: the pretrained models that a ranking tries, each at an input size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from headstart.backbones import resolve
from headstart.backbones.backbone import Backbone, BackboneSpec
from headstart.errors import ConfigError, HeadstartError
from headstart.events import Listen, Note, silent

Build = Callable[[], tuple[Backbone, str]]


@dataclass(frozen=True)
class Candidate:
    """A pretrained model at one input size."""

    name: str
    """As it is shown: the architecture, and the size where it is not the model's own."""
    spec: BackboneSpec
    size: int | None
    """Pixels a side; None is the size that the model was trained with."""
    build: Build
    """Loads the backbone, and says what the user should know of it."""


@dataclass(frozen=True)
class Wanted:
    """Which models to try."""

    backbones: tuple[str, ...] = ()
    """Names; empty: all that fit what follows."""
    family: str | None = None
    """Word that the family or the name holds, such as `resnet`."""
    max_params: float | None = None
    source: str | None = None
    licenses: tuple[str, ...] | None = None
    """Only these, as SPDX identifiers."""
    available: bool = False
    """Only those whose weights are here; without any other wish, too."""
    sizes: tuple[int, ...] = ()
    """Input sizes to try each model at; empty: its own."""


def find_candidates(wanted: Wanted, *, channels: int = 3, fit: str | None = None,
                    allow_licenses: Sequence[str] = resolve.PERMISSIVE, listen: Listen = silent) -> list[Candidate]:
    """Return the candidates, those with the higher published accuracy first.

    A model that is named and left out by another wish is told of.
    Raises ConfigError for an unknown name or source, or where nothing fits; HeadstartError where models are named and
    the weights of none of them can be had.
    """
    free = wanted == Wanted(sizes=wanted.sizes)
    if wanted.backbones:
        named = {spec.architecture: spec for spec in map(resolve.find, wanted.backbones)}.values()
        specs = [spec for spec in named if resolve.fits(
            spec, wanted.family or "", source=wanted.source, max_params=wanted.max_params, licenses=wanted.licenses,
            available=wanted.available)]
        if specs and (left := [spec.architecture for spec in named if spec not in specs]):
            listen(Note(f"{', '.join(left)}: named, and left out by --family, --max-params, --license, --source or "
                        "--available", "warning"))
    else:
        specs = resolve.search(wanted.family or "", source=wanted.source, max_params=wanted.max_params,
                               licenses=wanted.licenses or tuple(allow_licenses), available=wanted.available or free)
    if not specs:
        raise ConfigError("no pretrained model fits. `headstart models` lists them; loosen --family, --max-params, "
                          "--license, --source or --available" +
                          (", which hold for those named with --backbones, too." if wanted.backbones else
                           ", or name some with --backbones."))
    if wanted.backbones:
        _require_one(specs)
    once = {spec.architecture: spec for spec in specs}.values()
    specs = sorted(once, key=lambda spec: (-(spec.top1 or 0.0), spec.architecture))
    return [_candidate(spec, size, channels, fit, tuple(allow_licenses))
            for spec in specs for size in wanted.sizes or (None,)]


def _require_one(specs: Sequence[BackboneSpec]) -> None:
    """Raise what stands in the way of the first where the weights of none can be had, before any image is read."""
    failures = []
    for spec in specs:
        try:
            resolve.require(spec.architecture)
            return
        except HeadstartError as error:
            failures.append(error)
    raise failures[0]


def _candidate(spec: BackboneSpec, size: int | None, channels: int, fit: str | None,
               allow_licenses: tuple[str, ...]) -> Candidate:
    own = size is None or size == spec.preprocessing.size
    name = spec.architecture if own else f"{spec.architecture} at {size} px"
    return Candidate(name, spec, None if own else size, partial(
        load, spec.architecture, None if own else size, channels, fit, allow_licenses))


def load(name: str, size: int | None, channels: int, fit: str | None,
         allow_licenses: Sequence[str]) -> tuple[Backbone, str]:
    """Return the backbone as a run with these settings would start from it. Raises as `resolve.load`."""
    backbone, note = resolve.load(name, channels=channels, size=size, allow_licenses=allow_licenses)
    if fit:
        preprocessing = backbone.spec.preprocessing.model_copy(update={"fit": fit})
        backbone.spec = backbone.spec.model_copy(update={"preprocessing": preprocessing})
    return backbone, note
