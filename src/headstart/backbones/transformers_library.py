"""Transformers library: the door to transformers' detectors, which builds and loads the whole of one.

It is an optional package that takes seconds to import: it is imported when a model is first built.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from headstart.backbones.state_dicts import Fit, Tensors
from headstart.errors import ConfigError, ResourceError


@dataclass(frozen=True)
class Kind:
    """How the library has an architecture."""

    config: str
    """Its class of configurations."""
    model: str
    """Its class of models."""
    trunk: str = "model.backbone"
    """Where what makes the maps lies in the model."""
    scores: str = "enc_score_head.bias"
    """A tensor with an element for each class."""
    others: int = 0
    """Elements after those, for what is no class."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What is set whatever a config.json says."""


FIXED = {"freeze_backbone_batch_norms": False, "anchor_image_size": None, "eval_size": None}
"""A plan freezes BatchNorm or not, and pictures come in any size."""
KINDS = {"rt_detr": Kind("RTDetrConfig", "RTDetrForObjectDetection", fixed=FIXED),
         "rt_detr_v2": Kind("RTDetrV2Config", "RTDetrV2ForObjectDetection", fixed=FIXED),
         "d_fine": Kind("DFineConfig", "DFineForObjectDetection", fixed=FIXED),
         "mask2former": Kind("Mask2FormerConfig", "Mask2FormerForUniversalSegmentation",
                             trunk="model.pixel_level_module.encoder", scores="class_predictor.bias", others=1)}
"""By the `model_type` of a config.json."""
OWN_START = re.compile(r"class_embed|enc_score_head|sampling_offsets|attention_weights|value_proj|output_proj|"
                       r"(bbox_embed\.\d+|bbox_head)\.layers\.2$")
"""Layers of the head for which the papers have a start of their own, as the library gives it."""


def whole(configuration: Mapping[str, Any], *, classes: int | None = None) -> Any:
    """Return the library's detector with fresh weights from the global torch generator.

    configuration: as in a config.json; `model_type` is one of KINDS. classes: None for its own number.
    Raises ConfigError where the library takes it not for one, ResourceError where the library is not here.
    """
    config, model_class = _configured(configuration, classes)
    with quiet():  # it names the trunks that it was tried with
        model = model_class(config)
    return _settled(model if configuration["model_type"] == "mask2former" else _restarted(model))


def kind_of(configuration: Mapping[str, Any]) -> Kind:
    """Return how the library has an architecture. Raises ConfigError where its `model_type` is none of KINDS."""
    kind = configuration.get("model_type")
    if kind not in KINDS:
        raise ConfigError(f"no architecture is known without a config.json whose model_type is {', '.join(KINDS)} "
                          f"(found: {kind}). Put the config.json of the weights beside them.")
    return KINDS[kind]


def _configured(configuration: Mapping[str, Any], classes: int | None) -> tuple[Any, Any]:
    """Return the library's configuration, and the class of the model."""
    kind = kind_of(configuration)
    config = getattr(library(), kind.config)
    try:
        with quiet():  # it names the trunks that it was tried with
            made = config.from_dict({**configuration, **kind.fixed})
    except Exception as error:  # whatever its many checks raise, it is of this file
        raise ConfigError(f"transformers can't build a {configuration['model_type']} from its config.json "
                          f"({' '.join(str(error).split())}). Mend the file.") from None
    if classes is not None:
        made.num_labels = classes
    return made, getattr(library(), kind.model)


def loaded(configuration: Mapping[str, Any], tensors: Tensors, *, classes: int, label: str) -> Any:
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
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Linear) and not name.startswith("model.backbone.") \
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
