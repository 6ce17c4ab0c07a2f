"""TransformersDetectorBackbone: one of transformers' detectors in two parts: what makes maps, what reads them."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import BackboneSpec
from headstart.backbones.detector_backbone import Brought, DetectorBackbone, nameless
from headstart.backbones.stages import cut
from headstart.backbones.state_dicts import Tensors
from headstart.backbones.torchvision_backbone import with_channels
from headstart.backbones.transformers_library import kind_of, loaded, whole
from headstart.errors import ConfigError

# B images, C channels of a map, H and W pixels

BLOCK = re.compile(r"encoder\.stages\.\d+(\.(layers|blocks)\.\d+)?|embedder|"
                   r"encoder\.layers\.\d+(\.blocks\.\d+)?|embeddings|hidden_states_norms")


class TransformersDetectorBackbone(DetectorBackbone):
    """The trunk of an RT-DETR, RT-DETRv2, D-FINE or Mask2Former."""

    strides: tuple[int, ...]
    """Of the maps, finest first."""

    def __init__(self, spec: BackboneSpec, *, channels: int) -> None:
        super().__init__()
        self.spec = spec
        self.channels = channels
        self._put(whole(spec.configuration))

    @property
    def tells_masks(self) -> bool:
        """Whether what reads the maps tells the pixels of each object."""
        return bool(self.spec.configuration.get("model_type") == "mask2former")

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        """Return {stride: [B, C, H/stride, W/stride]}, finest first."""
        return dict(zip(self.strides, self.model(images).feature_maps, strict=True))

    def stages(self) -> list[nn.Module]:
        """Return the stem, and each block with what downsamples before it."""
        numbers: dict[str, int] = {}
        stage_of = {}
        for name, _ in self.model.named_parameters():
            block = BLOCK.match(name)
            stage_of[name] = numbers.setdefault(block.group() if block else name, len(numbers))
        return cut(self.model, stage_of)

    def take(self, tensors: Tensors, *, label: str) -> None:
        """Load the tensors of the whole model, of any number of classes and of any version of the library."""
        kind = kind_of(self.spec.configuration)
        scores = next((tensor for name, tensor in tensors.items() if name.endswith(kind.scores)), None)
        if scores is None:
            raise ConfigError(f"{label}: no {kind.scores} among its tensors, so that it is no "
                              f"{kind.model} of transformers. Name the detector that the file was made with.")
        count = len(scores) - kind.others
        model = loaded(self.spec.configuration, tensors, classes=count, label=label)
        rest = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(f"{kind.trunk}.")}
        self.brought = Brought(self._names(count), rest)
        self._put(model)
        self.eval()

    def rest(self, classes: int) -> Any:
        """Return the library's model with fresh weights; its `backbone` is to be replaced by what feeds it the maps."""
        return whole(self.spec.configuration, classes=classes)

    def _put(self, model: Any) -> None:
        """Make the trunk of a whole model that of this backbone."""
        trunk = model.get_submodule(kind_of(self.spec.configuration).trunk)
        if self.tells_masks:
            self.strides, self.width, network = tuple(model.config.feature_strides), int(trunk.channels[-1]), trunk
        else:
            self.strides, network = tuple(model.config.feat_strides), trunk.model
            self.width = int(trunk.intermediate_channel_sizes[-1])
        self.model = with_channels(network, self.channels)
        for module in self.model.modules():
            if hasattr(module, "num_channels"):  # by which the library refuses pictures
                module.num_channels = self.channels  # type: ignore[assignment]

    def _names(self, count: int) -> tuple[str, ...]:
        known = {int(place): str(name) for place, name in self.spec.configuration.get("id2label", {}).items()}
        names = [known.get(place, name) for place, name in enumerate(nameless(count))]
        return tuple(f"{name} {place}" if name in names[:place] else name for place, name in enumerate(names))
