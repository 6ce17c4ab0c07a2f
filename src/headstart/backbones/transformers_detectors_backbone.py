"""TransformersDetectorBackbone: the door to transformers' detectors, in two parts: what makes maps, what reads them.

transformers is an optional package that takes seconds to import: it is imported when a model is first built.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from headstart.backbones.backbone import BackboneSpec
from headstart.backbones.detector_backbone import Brought, DetectorBackbone, nameless
from headstart.backbones.stages import cut
from headstart.backbones.state_dicts import Fit, Tensors
from headstart.backbones.torchvision_backbone import with_channels
from headstart.errors import ConfigError, ResourceError

# B images, C channels of a map, H and W pixels

CLASSES = {"rt_detr": ("RTDetrConfig", "RTDetrForObjectDetection"),
           "rt_detr_v2": ("RTDetrV2Config", "RTDetrV2ForObjectDetection"),
           "d_fine": ("DFineConfig", "DFineForObjectDetection")}
"""`model_type` of a config.json -> the library's classes."""
FIXED = {"freeze_backbone_batch_norms": False, "anchor_image_size": None, "eval_size": None}
"""What is set whatever a config.json says: a plan freezes BatchNorm or not, and pictures come in any size."""
TRUNK = "model.backbone."
BLOCK = re.compile(r"encoder\.stages\.\d+(\.(layers|blocks)\.\d+)?|embedder")
OWN_START = re.compile(r"class_embed|enc_score_head|sampling_offsets|attention_weights|value_proj|output_proj|"
                       r"(bbox_embed\.\d+|bbox_head)\.layers\.2$")
"""Layers of the head for which the papers have a start of their own, as the library gives it."""


class TransformersDetectorBackbone(DetectorBackbone):
    """The convolutional trunk of an RT-DETR, RT-DETRv2 or D-FINE."""

    strides: tuple[int, ...]
    """Of the maps, finest first."""

    def __init__(self, spec: BackboneSpec, *, channels: int) -> None:
        super().__init__()
        self.spec = spec
        self.channels = channels
        self._put(whole(spec.configuration))

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
        scores = next((tensor for name, tensor in tensors.items() if name.endswith("enc_score_head.bias")), None)
        if scores is None:
            raise ConfigError(f"{label}: no enc_score_head.bias among its tensors, so that it is no RT-DETR or D-FINE "
                              "of transformers. Name the detector that the file was made with.")
        model = _loaded(self.spec.configuration, tensors, classes=len(scores), label=label)
        rest = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(TRUNK)}
        self.brought = Brought(self._names(len(scores)), rest)
        self._put(model)
        self.eval()

    def rest(self, classes: int) -> Any:
        """Return the library's model with fresh weights; its `backbone` is to be replaced by what feeds it the maps."""
        return whole(self.spec.configuration, classes=classes)

    def _put(self, model: Any) -> None:
        """Make the trunk of a whole model that of this backbone."""
        trunk = model.model.backbone
        self.strides = tuple(model.config.feat_strides)
        self.width = int(trunk.intermediate_channel_sizes[-1])
        self.model = with_channels(trunk.model, self.channels)
        self.model.embedder.num_channels = self.channels  # type: ignore[union-attr]

    def _names(self, count: int) -> tuple[str, ...]:
        known = {int(place): str(name) for place, name in self.spec.configuration.get("id2label", {}).items()}
        names = [known.get(place, name) for place, name in enumerate(nameless(count))]
        return tuple(f"{name} {place}" if name in names[:place] else name for place, name in enumerate(names))


def whole(configuration: Mapping[str, Any], *, classes: int | None = None) -> Any:
    """Return the library's detector with fresh weights from the global torch generator.

    configuration: as in a config.json; `model_type` is one of CLASSES. classes: None for its own number.
    Raises ConfigError where the library takes it not for one, ResourceError where the library is not here.
    """
    config, model_class = _configured(configuration, classes)
    return _settled(_restarted(model_class(config)))


def _configured(configuration: Mapping[str, Any], classes: int | None) -> tuple[Any, Any]:
    """Return the library's configuration, and the class of the model."""
    kind = configuration.get("model_type")
    if kind not in CLASSES:
        raise ConfigError(f"no architecture is known without a config.json whose model_type is {', '.join(CLASSES)} "
                          f"(found: {kind}). Put the config.json of the weights beside them.")
    config, model = CLASSES[kind]
    try:
        made = getattr(library(), config).from_dict({**configuration, **FIXED})
    except Exception as error:  # whatever its many checks raise, it is of this file
        raise ConfigError(f"transformers can't build a {kind} from its config.json ({' '.join(str(error).split())}). "
                          "Mend the file.") from None
    if classes is not None:
        made.num_labels = classes
    return made, getattr(library(), model)


def _loaded(configuration: Mapping[str, Any], tensors: Tensors, *, classes: int, label: str) -> Any:
    """Return the library's detector with all of the tensors. Raises ConfigError where one does not fit."""
    config, model_class = _configured(configuration, classes)
    if not any(name.startswith("model.") for name in tensors):  # `read_tensors` took what all names began with
        tensors = {f"model.{name}": tensor for name, tensor in tensors.items()}
    alone = "" if set(configuration) != {"model_type"} else (
        f"{label}: no config.json lies beside it, and its tensors do not fit the library's own "
        f"{configuration['model_type']}. Put the config.json that save_pretrained wrote beside it.")
    way_out = "Name the detector that the file was made with, or put its config.json beside the file."
    with quiet():
        # By the library's own loading: its older files have other names, and some tensors stand for several.
        try:
            model, told = model_class.from_pretrained(
                None, config=config, state_dict=tensors, dtype=torch.float32, output_loading_info=True,
                ignore_mismatched_sizes=True)
        except Exception as error:  # it stumbles in several ways over tensors of another shape
            raise ConfigError(alone or f"{label}: the tensors do not fit ({' '.join(str(error).split())[:200]}).\n"
                              f"{way_out}") from None
    # A frozen BatchNorm counts no batches.
    missing = sorted(name for name in told["missing_keys"] if not name.endswith("num_batches_tracked"))
    fit = Fit(tuple(missing), tuple(sorted(told["unexpected_keys"])), tuple(
        f"{name}: {list(found)} in the file, {list(place)} in the model"
        for name, found, place in sorted(told["mismatched_keys"])))
    if not fit.exact and alone:
        raise ConfigError(alone)
    if not fit.exact:
        raise ConfigError(f"{label}: the tensors do not fit.\n{fit.report()}\n{way_out}")
    return _settled(model)


def _restarted(model: nn.Module) -> nn.Module:
    """Give the layers of the head PyTorch's start, as the papers have it.

    The library draws them all around 0 with a deviation of 0.01, scales of BatchNorm included, which suits what is
    overwritten by weights at once, and lets nothing through that is to learn.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear) and not name.startswith(TRUNK) \
                and not OWN_START.search(name):
            layer.reset_parameters()
    return model


def _settled(model: nn.Module) -> nn.Module:
    """Make constants that the library keeps as parameters buffers, so that nobody trains them; names stay."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if not parameter.requires_grad:
                delattr(module, name)
                module.register_buffer(name, parameter.detach())
    return model.eval()


def library() -> Any:
    """Return transformers. Raises ResourceError where it is not here."""
    try:
        import transformers
    except ImportError as error:
        raise ResourceError("this detector needs the package transformers, which is not here or can't be imported "
                            f"({error}). Install it with: pip install 'headstart[transformers]'.") from error
    return transformers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library from drawing bars and from telling of what is told in our errors."""
    logging = library().utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
