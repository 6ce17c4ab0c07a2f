"""TimmBackbone: the door to timm; any of its models as pooled vectors, maps and stages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg, group_parameters
from torch import nn

from headstart.backbones.backbone import Backbone, BackboneSpec
from headstart.backbones.stages import cut
from headstart.errors import ConfigError, nearest

# Without these a transformer refuses every size but the one that it was trained at.
ANY_SIZE: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


class TimmBackbone(Backbone):
    """Any timm image model, its classifier taken off."""

    def __init__(self, model: nn.Module, spec: BackboneSpec) -> None:
        super().__init__()
        library: Any = model
        classifier = library.get_classifier()
        self.classifier_key = str(library.pretrained_cfg.get("classifier") or "")
        self.left_off = ("AuxLogits.",)
        library.reset_classifier(0)
        self.model = library
        self.spec = spec
        self.width = int(getattr(library, "head_hidden_size", None) or library.num_features)
        strict = getattr(getattr(library, "patch_embed", None), "strict_img_size", True)
        self.fixed_size = bool(library.pretrained_cfg.get("fixed_input_size")) and strict
        self.strides = [int(stage["reduction"]) for stage in feature_info(library)]
        self.keep_classifier(classifier if isinstance(classifier, nn.Linear) else None)

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, D]."""
        library: Any = self.model
        vectors: torch.Tensor = library.forward_head(library.forward_features(images), pre_logits=True)
        return vectors

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return {stride: [B, C, H/stride, W/stride]}, finest first."""
        plain = len(set(self.strides)) == 1  # a plain transformer: every block has the same stride
        library: Any = self.model
        found = library.forward_intermediates(images, indices=1 if plain else None, norm=plain,
                                              output_fmt="NCHW", intermediates_only=True)
        strides = self.strides[-1:] if plain else self.strides
        return dict(zip(strides, found, strict=True))

    def stages(self) -> list[nn.Module]:
        """Return timm's coarse layer groups; all as one where timm does not say in which order the layers come."""
        library: Any = self.model
        everything = [name for name, _ in library.named_parameters()]
        try:
            groups = group_parameters(library, library.group_matcher(coarse=True))
        except (AttributeError, AssertionError):  # no matcher, or none that is coarse
            groups = {}
        numbers = {name: int(number) for number, names in groups.items() for name in names}
        return cut(self.model, numbers if set(numbers) == set(everything) else dict.fromkeys(everything, 0))


def feature_info(model: Any) -> list[Mapping[str, Any]]:
    """Return what timm says of each stage of a model."""
    info = model.feature_info
    return list(getattr(info, "info", info))


def create(name: str, *, channels: int, weights: Path | None = None) -> nn.Module:
    """Return a timm model with its classifier: fresh, or with the pretrained weights in a file of its hub.

    Raises ConfigError for a name that timm does not know.
    """
    require_known(name)
    settings: dict[str, Any] = {"pretrained": weights is not None, "in_chans": channels}
    if weights is not None:
        settings["pretrained_cfg_overlay"] = {"file": str(weights), "custom_load": False}
    for extra in ANY_SIZE:
        try:
            model: nn.Module = timm.create_model(name, **settings, **extra)
            return model
        except TypeError as error:
            if not extra or next(iter(extra)) not in str(error):
                raise
    raise AssertionError("the last attempt returns or raises")


def require_known(name: str) -> None:
    """Raise ConfigError with the nearest name if timm has no such model."""
    if not timm.is_model(name):
        raise ConfigError(f'timm has no model "{name}".' + nearest(name.partition(".")[0], timm.list_models()))


def pretrained_record(name: str) -> dict[str, Any]:
    """Return the fields of a BackboneSpec that timm's own record of the weights gives; no weights: `weights` is "".

    Raises ConfigError for an unknown name.
    """
    require_known(name)
    record: Any = timm.get_pretrained_cfg(name) or PretrainedCfg()
    return {"weights": record.hf_hub_id or "", "license": (record.license or "unknown").lower(),
            "family": family(name), "preprocessing": preprocessing(record)}


def preprocessing(record: Any) -> dict[str, Any]:
    """Return the fields of a Preprocessing from timm's pretrained_cfg."""
    size = record.input_size[-1]
    # timm cuts from floor(size / crop_pct); Preprocessing rounds, so the fraction is made from timm's own integer.
    return {"size": size, "fit": "squash" if record.crop_mode == "squash" else "crop",
            "crop_fraction": min(1.0, size / math.floor(size / record.crop_pct)),
            "interpolation": record.interpolation, "mean": record.mean, "std": record.std}


def family(name: str) -> str:
    """Return the timm module that defines a model, such as `vision_transformer`."""
    return str(timm.models.model_entrypoint(name.partition(".")[0]).__module__.rpartition(".")[2])
