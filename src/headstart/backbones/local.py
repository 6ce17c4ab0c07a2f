"""local: weights from a file of your own, as `NAME@PATH`: `resnet50@weights.pth`, `timm/resnet50@run/best.safetensors`.

The part before the `@` is any name of another source; its architecture and preprocessing are used. Every tensor must
fit; `NAME@PATH?partial` loads those that do and says which do not. PATH may be a folder that the library saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headstart.backbones.hub import WEIGHT_FILES
from headstart.backbones.licenses import OWN_FILE
from headstart.backbones.source import BackboneSpec, Source
from headstart.errors import ConfigError
from headstart.files import sha256_file

if TYPE_CHECKING:
    import torch

    from headstart.backbones.backbone import Backbone
    from headstart.backbones.state_dicts import Tensors

PARTIAL = "?partial"


class Local(Source):
    """A named architecture with the weights of a file."""

    def specs(self) -> list[BackboneSpec]:
        """Return nothing: files are found where the user says."""
        return []

    def find(self, architecture: str) -> BackboneSpec | None:
        """Return the record of `NAME@PATH`; None for a name without an @. Raises ConfigError where no path follows."""
        name, path, _ = _parts(architecture)
        if not path and "@" in architecture:
            raise ConfigError(f'backbone "{architecture}": a file of weights follows the @, as in {name}@weights.pth.')
        if not path:
            return None
        from headstart.backbones import resolve

        base, file = resolve.find(name, file=path), _weights_in(Path(path))
        base = resolve.named_source(base.source).described(base, file)
        return base.model_copy(update={
            "architecture": architecture, "source": "local", "license": OWN_FILE, "top1": None, "top1_size": None,
            "availability": "here", "hint": "", "note": "", "weights": str(file),
            "weights_sha256": sha256_file(file) if file.is_file() else None})

    def refuse_absent(self, spec: BackboneSpec) -> None:
        """Raise ConfigError where there is no such file."""
        from headstart.backbones.state_dicts import require_file

        require_file(Path(spec.weights))

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the architecture with the file's weights; `pretrained=False` does not look for the file.

        Raises ConfigError with a report of every tensor that does not fit.
        """
        name, path, partial = _parts(architecture)
        spec = self.find(architecture)
        if spec is None:
            raise ConfigError(f'"{architecture}" names no file. Write NAME@PATH, such as resnet50@weights.pth.')
        backbone = self.assemble(spec, channels=channels)
        if pretrained:
            from headstart.backbones.detector_backbone import DetectorBackbone
            from headstart.backbones.state_dicts import read_tensors

            tensors, label = read_tensors(Path(spec.weights)), f"{path} for {name}"
            if isinstance(backbone, DetectorBackbone):
                if partial:
                    raise ConfigError(f"{label}: a detector is loaded whole. Leave {PARTIAL} out.")
                backbone.take(tensors, label=label)
            else:
                _fill(backbone, tensors, label=label, partial=partial)
        return backbone

    def assemble(self, spec: BackboneSpec, *, channels: int) -> Backbone:
        """Return the architecture that the part before the @ names; the file may be gone."""
        from headstart.backbones import resolve

        base = resolve.find(_parts(spec.architecture)[0])
        backbone = resolve.named_source(base.source).assemble(
            base.model_copy(update={"configuration": spec.configuration}), channels=channels)
        backbone.spec = spec
        return backbone


def _weights_in(path: Path) -> Path:
    """Return the file of weights of a folder that a library saved; of a file itself."""
    if not path.is_dir():
        return path
    found = next((path / name for name in WEIGHT_FILES if (path / name).is_file()), None)
    if found is None:
        raise ConfigError(f"{path}: there is no {' or '.join(WEIGHT_FILES)} in this folder. Name the file of weights, "
                          "or the folder that `save_pretrained` wrote.")
    return found


def _parts(architecture: str) -> tuple[str, str, bool]:
    """Return (name, path, whether partial) of `name@path?partial`."""
    name, _, path = architecture.partition("@")
    return name, path.removesuffix(PARTIAL), path.endswith(PARTIAL)


def _fill(backbone: Backbone, tensors: Tensors, *, label: str, partial: bool) -> None:
    """Load the tensors that fit; set the classifier's apart, whatever its size."""
    from headstart.backbones.state_dicts import compare

    expected = backbone.model.state_dict()
    head = backbone.classifier_key + "."
    classifier = {key.removeprefix(head): tensor for key, tensor in tensors.items() if key.startswith(head)}
    trunk = {key: _adapted(tensor, expected.get(key)) for key, tensor in tensors.items()
             if not key.startswith((head, *backbone.left_off))}
    fit = compare(expected, trunk)
    if not fit.exact and not partial:
        raise ConfigError(f"{label}: the tensors do not fit.\n{fit.report()}\n"
                          f"Name the architecture that the file was made with, or add {PARTIAL} to load what fits.")
    fitting = {key: tensor for key, tensor in trunk.items() if key in expected and tensor.shape == expected[key].shape}
    if not fitting:
        raise ConfigError(f"{label}: no tensor fits.\n{fit.report()}\n"
                          "Name the architecture that the file was made with.")
    backbone.model.load_state_dict(fitting, strict=False)
    backbone.notes = (*([] if fit.exact else [f"{label}: loaded {len(fitting)} of {len(expected)} tensors. "
                                              f"{fit.report()}"]), *_keep(backbone, classifier, label))


def _adapted(tensor: torch.Tensor, place: torch.Tensor | None) -> torch.Tensor:
    """Return the kernel for another number of input channels, if that is all that keeps it from fitting."""
    from headstart.backbones.channels import adapt_kernel

    if place is None or tensor.ndim != 4 or tensor.shape[1] != 3 or place.shape[2:] != tensor.shape[2:]:
        return tensor
    return adapt_kernel(tensor, place.shape[1])


def _keep(backbone: Backbone, classifier: Tensors, label: str) -> list[str]:
    """Keep the file's linear classifier beside the backbone; return what to say of it."""
    from torch import nn

    weight, bias = classifier.get("weight"), classifier.get("bias")
    if weight is None:
        backbone.keep_classifier(None)
        return []
    if weight.ndim != 2 or weight.shape[1] != backbone.width:
        backbone.keep_classifier(None)
        return [f"{label}: its classifier {list(weight.shape)} does not fit {backbone.width} features; left out."]
    layer = nn.Linear(backbone.width, weight.shape[0], bias=bias is not None)
    layer.load_state_dict(classifier)
    backbone.keep_classifier(layer)
    return [f"{label}: its classifier of {weight.shape[0]} classes is set apart; a new head is trained."]
