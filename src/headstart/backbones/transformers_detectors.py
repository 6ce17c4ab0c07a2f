"""transformers_detectors: detectors of Hugging Face's transformers, as `transformers/PekingU/rtdetr_r18vd`.

Any RT-DETR, RT-DETRv2, D-FINE or Mask2Former of the hub works as `transformers/OWNER/NAME`, and one of your own as
`transformers/rt_detr@FOLDER`, which `save_pretrained` wrote: its config.json says of which architecture and classes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.backbones import hub, records
from headstart.backbones.source import BackboneSpec, Source
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, IntegrityError, nearest

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone

PREFIX = "transformers/"
FAMILIES = {"rt_detr": "RT-DETR", "rt_detr_v2": "RT-DETRv2", "d_fine": "D-FINE", "mask2former": "Mask2Former"}
"""`model_type` of a config.json -> what people call it."""
CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
UNUSED = {"architectures", "dtype", "label2id", "torch_dtype", "transformers_version", "_name_or_path"}
"""Of a config.json: what says nothing of the architecture and its classes."""
PREPROCESSING = Preprocessing(size=640, fit="pad", interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1))
"""As the library's own for those of boxes, but for the aspect: it squashes pictures to a square, here they keep theirs.
"""
OF_MASKS = Preprocessing(size=1333, fit="pad", interpolation="bilinear")
"""As the library's own for Mask2Former, with ImageNet's normalisation; it makes the shorter side 800 or the longer one
this."""


class TransformersDetectors(Source):
    """The trunks of RT-DETR, RT-DETRv2, D-FINE and Mask2Former; encoder and decoder come along."""

    def specs(self) -> list[BackboneSpec]:
        """Return the curated detectors."""
        return [_looked_up(spec) for spec in records.specs("transformers_detectors")]

    def find(self, architecture: str) -> BackboneSpec | None:
        """Return the record of a curated name, of a repository of the hub, or of an architecture without weights."""
        listed = super().find(architecture)
        if listed or not architecture.startswith(PREFIX):
            return listed
        name = architecture.removeprefix(PREFIX)
        fields: dict[str, Any] = {"architecture": architecture, "source": "transformers_detectors",
                                  "license": "unknown", "detector": "transformers", "preprocessing": PREPROCESSING}
        if name in FAMILIES:
            # Nothing but the library's own start, until a user's file brings its own licence.
            own = {"license": "apache-2.0", **({"preprocessing": OF_MASKS} if name == "mask2former" else {})}
            return BackboneSpec(**fields | own, family=FAMILIES[name],
                                configuration={"model_type": name},
                                hint=f"bring the folder that save_pretrained wrote: {architecture}@FOLDER")
        owner, _, repository = name.partition("/")
        if not owner or not repository or "/" in repository:
            return None
        return _looked_up(BackboneSpec(**fields, family="transformers", weights=name,
                                       note="its licence is told by its card on the hub."))

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the trunk; with weights from the hub's cache, or from the hub where that is allowed."""
        spec = self.find(architecture)
        if spec is None:
            raise ConfigError(f'transformers has no detector "{architecture}".' + nearest(
                architecture, [one.architecture for one in self.specs()]))
        if not pretrained and spec.configuration:
            return self.assemble(spec, channels=channels)
        self.refuse_absent(spec)
        spec = self.described(spec, hub.fetch(spec.weights, (CONFIG,)))
        if not pretrained:
            return self.assemble(spec, channels=channels)
        from headstart.backbones.state_dicts import read_tensors
        from headstart.backbones.transformers_detectors_backbone import TransformersDetectorBackbone

        backbone = TransformersDetectorBackbone(spec, channels=channels)
        backbone.take(read_tensors(hub.fetch(spec.weights)), label=architecture)
        return backbone

    def refuse_absent(self, spec: BackboneSpec) -> None:
        """Raise ConfigError for an architecture without weights."""
        if not spec.weights:
            raise ConfigError(f"{spec.architecture}: an architecture without weights; {spec.hint}.")

    def assemble(self, spec: BackboneSpec, *, channels: int) -> Backbone:
        """Return the architecture of the record's configuration."""
        from headstart.backbones.transformers_detectors_backbone import TransformersDetectorBackbone

        return TransformersDetectorBackbone(spec, channels=channels)

    def described(self, spec: BackboneSpec, weights: Path) -> BackboneSpec:
        """Return the record with the config.json and the preprocessor_config.json beside the weights, if any."""
        found = _read(weights.with_name(CONFIG))
        kind, expected = found.get("model_type"), spec.configuration.get("model_type")
        if kind is None:
            return spec
        if kind not in FAMILIES:
            raise ConfigError(f"{weights.with_name(CONFIG)}: its model_type is {kind}; what can be read are "
                              f"{', '.join(FAMILIES)}. Name another model.")
        if expected not in (None, kind):
            raise ConfigError(f"{weights.with_name(CONFIG)}: this is a {kind}, and {spec.architecture} a {expected}. "
                              f"Write {PREFIX}{kind}@ and the path.")
        return spec.model_copy(update={
            "configuration": {name: value for name, value in found.items() if name not in UNUSED},
            "family": FAMILIES[kind], "preprocessing": _preprocessing(
                weights.with_name(PROCESSOR), OF_MASKS if kind == "mask2former" else spec.preprocessing),
            **({} if _includes(found, spec.configuration) else {"parameters": None, "gmacs": None})})


def _includes(found: dict[str, Any], known: dict[str, Any]) -> bool:
    """Return whether a configuration says all that a shorter one does."""
    return all(_includes(found.get(name, {}), value) if isinstance(value, dict) else found.get(name) == value
               for name, value in known.items())


def _read(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IntegrityError(f"{path}: not JSON ({error}). Restore it from a copy.") from None
    return found if isinstance(found, dict) else {}


def _preprocessing(path: Path, known: Preprocessing) -> Preprocessing:
    """Return what the library's own file says of size and normalisation; the aspect is kept nevertheless."""
    found = _read(path)
    size = found.get("size")
    sides = [side for side in size.values() if isinstance(side, int)] if isinstance(size, dict) else []
    if sides and found.get("do_resize", True):
        known = known.model_copy(update={"size": max(sides)})
    if found.get("do_normalize") and "image_mean" in found and "image_std" in found:
        known = known.model_copy(update={"mean": tuple(found["image_mean"]), "std": tuple(found["image_std"])})
    return known


def _looked_up(spec: BackboneSpec) -> BackboneSpec:
    """Return the record with its availability: in the cache of the hub, or to be downloaded."""
    return hub.looked_up(spec, hub.cached(spec.weights), hint="downloaded from the hub when it is first used; needs "
                         "pip install 'headstart[transformers]'")
