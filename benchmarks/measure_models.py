"""Measure the tables of known models: `python benchmarks/measure_models.py`.

Writes src/headstart/backbones/{timm,torchvision,torchvision_detectors,transformers_detectors,yolox}_models.json.
Parameters (without the classifier) and multiply-adds are counted on the meta device, or with random weights: nothing
is downloaded. Preprocessing and licence come from the libraries' own records. ImageNet top-1 of timm's weights: timm's
results/results-imagenet.csv at commit 0173a139a2c66db3a41ebfe1d8ac4fb02483642e (the size of that evaluation is kept);
of torchvision's, and the multiply-adds and AP of its detectors: the metadata of its weights. AP of YOLOX: its authors'
README; its multiply-adds are those of the whole detector with 80 classes. transformers' detectors: the configurations
of the library's own conversion script (src/transformers/models/rt_detr/
convert_rt_detr_original_pytorch_checkpoint_to_hf.py at commit 09cb93d8890401636f6abd80b763671e755aa025); licences as
the model cards state them, `unknown` where the card was not read; AP on COCO val2017 as the cards' table has it.
"""

from __future__ import annotations

import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import get_model, get_model_weights, list_models

from headstart.backbones.coco import CLASSES
from headstart.backbones.licenses import OWN_FILE
from headstart.backbones.source import BackboneSpec
from headstart.backbones.timm_backbone import pretrained_record
from headstart.backbones.transformers_detectors import PREPROCESSING
from headstart.backbones.transformers_detectors_backbone import TransformersDetectorBackbone, whole
from headstart.backbones.yolox_network import STRIDES, Reading, Scaling, Trunk

FOLDER = Path(__file__).parents[1] / "src" / "headstart" / "backbones"

# name that a person knows, timm's name with the tag of the weights, family, published top-1, at which size
CURATED: list[tuple[str, str, str, float | None, int | None]] = [
    ("vgg16", "vgg16.tv_in1k", "VGG", 71.592, 224),
    ("vgg16_bn", "vgg16_bn.tv_in1k", "VGG", 73.370, 224),
    ("vgg19", "vgg19.tv_in1k", "VGG", 72.378, 224),
    ("resnet18", "resnet18.a1_in1k", "ResNet", 73.158, 288),
    ("resnet34", "resnet34.a1_in1k", "ResNet", 77.918, 288),
    ("resnet50", "resnet50.a1_in1k", "ResNet", 81.214, 288),
    ("resnet101", "resnet101.a1h_in1k", "ResNet", 82.778, 288),
    ("resnet152", "resnet152.a1h_in1k", "ResNet", 83.450, 288),
    ("resnext50_32x4d", "resnext50_32x4d.a1h_in1k", "ResNeXt", 82.014, 288),
    ("wide_resnet50_2", "wide_resnet50_2.racm_in1k", "ResNet", 82.280, 288),
    ("densenet121", "densenet121.ra_in1k", "DenseNet", 76.500, 288),
    ("inception_v3", "inception_v3.tv_in1k", "Inception", 77.434, 299),
    ("inception_v4", "inception_v4.tf_in1k", "Inception", 80.156, 299),
    ("xception41", "xception41.tf_in1k", "Xception", 78.504, 299),
    ("mobilenetv2_100", "mobilenetv2_100.ra_in1k", "MobileNet", 72.976, 224),
    ("mobilenetv3_small", "mobilenetv3_small_100.lamb_in1k", "MobileNet", 67.656, 224),
    ("mobilenetv3_large", "mobilenetv3_large_100.ra_in1k", "MobileNet", 75.766, 224),
    ("mobilenetv4_conv_small", "mobilenetv4_conv_small.e2400_r224_in1k", "MobileNet", None, None),
    ("ghostnet", "ghostnet_100.in1k", "GhostNet", 73.982, 224),
    ("repvgg_a2", "repvgg_a2.rvgg_in1k", "RepVGG", 76.458, 224),
    ("regnety_016", "regnety_016.tv2_in1k", "RegNet", 80.668, 224),
    ("efficientnet_b0", "efficientnet_b0.ra_in1k", "EfficientNet", 77.694, 224),
    ("efficientnet_b1", "efficientnet_b1.ft_in1k", "EfficientNet", 78.800, 256),
    ("efficientnet_b2", "efficientnet_b2.ra_in1k", "EfficientNet", 80.610, 288),
    ("efficientnet_b3", "efficientnet_b3.ra2_in1k", "EfficientNet", 82.242, 320),
    ("efficientnet_b4", "efficientnet_b4.ra2_in1k", "EfficientNet", 83.414, 384),
    ("efficientnetv2_b0", "tf_efficientnetv2_b0.in1k", "EfficientNetV2", 78.358, 224),
    ("efficientnetv2_s", "tf_efficientnetv2_s.in21k_ft_in1k", "EfficientNetV2", 84.288, 384),
    ("efficientnetv2_m", "tf_efficientnetv2_m.in21k_ft_in1k", "EfficientNetV2", 86.000, 480),
    ("convnext_tiny", "convnext_tiny.in12k_ft_in1k", "ConvNeXt", 84.450, 288),
    ("convnext_small", "convnext_small.in12k_ft_in1k", "ConvNeXt", 85.330, 288),
    ("convnext_base", "convnext_base.fb_in22k_ft_in1k", "ConvNeXt", 86.274, 288),
    ("convnextv2_tiny", "convnextv2_tiny.fcmae_ft_in22k_in1k", "ConvNeXt", 84.416, 288),
    ("vit_tiny", "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "ViT", 75.454, 224),
    ("vit_small", "vit_small_patch16_224.augreg_in21k_ft_in1k", "ViT", 81.384, 224),
    ("vit_base", "vit_base_patch16_224.augreg2_in21k_ft_in1k", "ViT", 85.096, 224),
    ("deit_small", "deit_small_patch16_224.fb_in1k", "ViT", 79.844, 224),
    ("deit3_small", "deit3_small_patch16_224.fb_in1k", "ViT", 81.370, 224),
    ("eva02_small", "eva02_small_patch14_336.mim_in22k_ft_in1k", "EVA", 85.716, 336),
    ("swin_tiny", "swin_tiny_patch4_window7_224.ms_in1k", "Swin", 81.376, 224),
    ("swin_small", "swin_small_patch4_window7_224.ms_in22k_ft_in1k", "Swin", 83.298, 224),
    ("swin_base", "swin_base_patch4_window7_224.ms_in22k_ft_in1k", "Swin", 85.272, 224),
    ("swinv2_tiny", "swinv2_tiny_window8_256.ms_in1k", "Swin", 81.820, 256),
    ("maxvit_tiny", "maxvit_tiny_tf_224.in1k", "MaxViT", 83.402, 224),
    ("dino_vits16", "vit_small_patch16_224.dino", "DINO", None, None),
    ("dino_vits8", "vit_small_patch8_224.dino", "DINO", None, None),
    ("dino_vitb16", "vit_base_patch16_224.dino", "DINO", None, None),
    ("dinov2_vits14", "vit_small_patch14_dinov2.lvd142m", "DINOv2", None, None),
    ("dinov2_vitb14", "vit_base_patch14_dinov2.lvd142m", "DINOv2", None, None),
    ("dinov2_vits14_reg", "vit_small_patch14_reg4_dinov2.lvd142m", "DINOv2", None, None),
    ("dinov3_vits16", "vit_small_patch16_dinov3.lvd1689m", "DINOv3", None, None),
    ("dinov3_vitb16", "vit_base_patch16_dinov3.lvd1689m", "DINOv3", None, None),
    ("dinov3_convnext_tiny", "convnext_tiny.dinov3_lvd1689m", "DINOv3", None, None),
]

FAMILIES = ("AlexNet", "ConvNeXt", "DenseNet", "EfficientNet", "GoogLeNet", "Inception", "MaxVit", "MNASNet",
            "MobileNet", "RegNet", "ResNeXt", "ResNet", "ShuffleNet", "SqueezeNet", "Swin", "VGG", "ViT")


def measure(model: torch.nn.Module, size: int) -> dict[str, Any]:
    """Return parameters (no classifier) and billions of multiply-adds at `size`, for a model on the meta device."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.empty(1, 3, size, size, device="meta"))
    return {"parameters": sum(p.numel() for p in model.parameters()),
            "gmacs": round(counter.get_total_flops() / 2e9, 3)}


def timm_rows() -> list[dict[str, Any]]:
    rows = []
    for architecture, name, family, top1, size in CURATED:
        record = pretrained_record(name) | {"family": family}
        with torch.device("meta"):
            model = timm.create_model(name)
        model.reset_classifier(0)
        rows.append({"architecture": architecture, "library_name": name, **record, "top1": top1, "top1_size": size,
                     **measure(model, record["preprocessing"]["size"])})
    return rows


def torchvision_rows() -> list[dict[str, Any]]:
    rows = []
    for name in list_models(module=torchvision.models):
        options = get_model_weights(name)
        for weights in options:
            accuracy = weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
            if not math.isfinite(accuracy):  # VGG16 IMAGENET1K_FEATURES: its fully connected layers are NaN
                continue
            default = weights is options.DEFAULT
            record = torchvision_record(weights)
            with torch.device("cpu" if name.startswith("regnet") else "meta"):  # a RegNet computes its widths
                model = get_model(name)
            classifier = [layer for key, layer in model.named_modules() if hasattr(layer, "weight")
                          and not key.lower().startswith("aux") and layer.weight.shape[0] == 1000][-1]
            left_out = sum(p.numel() for p in classifier.parameters()) + sum(
                p.numel() for key, p in model.named_parameters() if key.lower().startswith("aux"))
            rows.append({"architecture": f"torchvision/{name}" + ("" if default else f".{weights.name}"),
                         "library_name": name, "member": weights.name, **record, "top1": accuracy,
                         "top1_size": record["preprocessing"]["size"], "gmacs": weights.meta["_ops"],
                         "parameters": sum(p.numel() for p in model.parameters()) - left_out})
    return rows


def torchvision_record(weights: Any) -> dict[str, Any]:
    """Return family, licence, address and preprocessing of a torchvision weights enum member."""
    transforms = weights.transforms()
    size, short = transforms.crop_size[0], transforms.resize_size[0]
    swag = "SWAG" in weights.name  # torchvision names the SWAG licence in the metadata: CC BY-NC 4.0
    name = type(weights).__name__.removesuffix("_Weights")
    lowered = name.lower().replace("_", "")
    mean, std = transforms.mean, transforms.std
    if name in ("GoogLeNet", "Inception_V3"):  # torchvision's builder adds `transform_input`: to -1..1 in the end
        mean, std = [0.5] * 3, [0.5] * 3
    family = next((word for word in FAMILIES if word.lower() in lowered), name)
    return {"family": family, "license": "cc-by-nc-4.0" if swag else "bsd-3-clause", "weights": str(weights),
            "file": weights.url.rpartition("/")[2],
            "preprocessing": {"size": size, "fit": "crop", "crop_fraction": min(1.0, size / short),
                              "interpolation": transforms.interpolation.value, "mean": mean,
                              "std": std}}


DETECTORS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": ("Faster R-CNN", 427), "ssdlite320_mobilenet_v3_large": ("SSDlite", 320),
    "fasterrcnn_mobilenet_v3_large_fpn": ("Faster R-CNN", 1066), "fasterrcnn_resnet50_fpn": ("Faster R-CNN", 1066),
    "fasterrcnn_resnet50_fpn_v2": ("Faster R-CNN", 1066), "fcos_resnet50_fpn": ("FCOS", 1066),
    "retinanet_resnet50_fpn": ("RetinaNet", 1066), "retinanet_resnet50_fpn_v2": ("RetinaNet", 1066),
    "maskrcnn_resnet50_fpn": ("Mask R-CNN", 1066), "maskrcnn_resnet50_fpn_v2": ("Mask R-CNN", 1066)}
"""Name -> family, and the longer side of a 4:3 picture whose shorter one is what torchvision resizes to."""


def torchvision_detector_rows() -> list[dict[str, Any]]:
    rows = []
    for name, (family, size) in DETECTORS.items():
        weights = get_model_weights(name).DEFAULT
        model = get_model(name, weights=None, weights_backbone=None)
        measured = weights.meta["_metrics"]["COCO-val2017"]
        average = f"AP {measured['box_map']:g}" + (f", of masks {measured['mask_map']:g}," if "mask_map" in measured
                                                   else "")
        rows.append({"architecture": f"torchvision/{name}", "library_name": name, "family": family,
                     "license": "bsd-3-clause", "weights": str(weights), "file": weights.url.rpartition("/")[2],
                     "detector": "torchvision", "note": f"a detector: {average} on COCO val2017, by torchvision.",
                     "preprocessing": {"size": size, "fit": "pad", "interpolation": "bilinear",
                                       "mean": model.transform.image_mean, "std": model.transform.image_std},
                     "gmacs": weights.meta["_ops"], "parameters": sum(p.numel() for p in model.backbone.parameters())})
    return rows


YOLOX = {"nano": (0.33, 0.25, 416, 25.8), "tiny": (0.33, 0.375, 416, 32.8), "s": (0.33, 0.5, 640, 40.5),
         "m": (0.67, 0.75, 640, 46.9), "l": (1.0, 1.0, 640, 49.7), "x": (1.33, 1.25, 640, 51.1)}
"""Size -> depth, width, pixels of the input, AP."""


class WholeYolox(torch.nn.Module):
    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.trunk, self.reading = Trunk(scaling, 3), Reading(scaling.channels, scaling, len(CLASSES))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.trunk(images)
        return self.reading([maps[stride] for stride in STRIDES])[0]


def yolox_rows() -> list[dict[str, Any]]:
    rows = []
    for size, (depth, width, pixels, average) in YOLOX.items():
        scaling = {"depth": depth, "width": width, "separable": size == "nano"}
        with torch.device("meta"):
            model = WholeYolox(Scaling(**scaling))
        name, file = f"yolox_{size}", f"yolox_{size}.pth"
        rows.append({"architecture": name, "scaling": scaling, "family": "YOLOX", "license": OWN_FILE,
                     "weights": file, "detector": "yolox",
                     "hint": f"fetch {file} from the release of YOLOX, and name it as {name}@{file}",
                     "note": f"a detector: AP {average:g} on COCO val2017, by its authors, who state no licence for "
                             "their weights.",
                     "preprocessing": {"size": pixels, "fit": "pad", "interpolation": "bilinear",
                                       "mean": [0.0] * 3, "std": [1 / 255] * 3},
                     **measure(model, pixels), "parameters": sum(p.numel() for p in model.trunk.parameters())})
    return rows


SMALL = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
R18 = {"backbone_config": SMALL, "encoder_in_channels": [128, 256, 512], "hidden_expansion": 0.5, "decoder_layers": 3}
R101 = {"backbone_config": {"depths": [3, 4, 23, 3]}, "encoder_ffn_dim": 2048, "encoder_hidden_dim": 384,
        "decoder_in_channels": [384, 384, 384]}
# repository of the hub, what differs from the library's own configuration, licence of the card, AP on COCO val2017
RT_DETR: list[tuple[str, dict[str, Any], str, float | None]] = [
    ("PekingU/rtdetr_r18vd", R18, "apache-2.0", None),
    ("PekingU/rtdetr_r18vd_coco_o365", R18, "apache-2.0", None),
    ("PekingU/rtdetr_r50vd", {}, "apache-2.0", 53.1),
    ("PekingU/rtdetr_r50vd_coco_o365", {}, "unknown", 55.3),
    ("PekingU/rtdetr_r101vd", R101, "apache-2.0", 54.3),
    ("PekingU/rtdetr_r101vd_coco_o365", R101, "unknown", 56.2),
]


def transformers_detector_rows() -> list[dict[str, Any]]:
    rows = []
    for name, settings, license_name, average in RT_DETR:
        trunk = {"model_type": "rt_detr_resnet", "out_indices": [2, 3, 4]} | settings.get("backbone_config", {})
        configuration = {"model_type": "rt_detr"} | settings | {"backbone_config": trunk}
        spec = BackboneSpec(architecture=name, source="", family="", license="", configuration=configuration)
        size = PREPROCESSING.size
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            whole(configuration, classes=80).eval()(torch.zeros(1, 3, size, size))
        note = "a detector" + (f": AP {average:g} on COCO val2017, by its authors." if average else ".")
        if license_name == "unknown":
            note += " The licence on its card was not read for this table: look there."
        rows.append({"architecture": f"transformers/{name}", "family": "RT-DETR", "license": license_name,
                     "weights": name, "detector": "transformers", "note": note, "configuration": configuration,
                     "preprocessing": PREPROCESSING.model_dump(exclude_defaults=True) | {"fit": "pad"},
                     "gmacs": round(counter.get_total_flops() / 2e9, 3),
                     "parameters": sum(p.numel() for p in TransformersDetectorBackbone(spec, channels=3).parameters())})
    return rows


def write(source: str, library: str, rows: list[dict[str, Any]]) -> None:
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    head = f'"made_by": "benchmarks/measure_models.py", "{library}": "{version(library)}"'
    text = f'{{{head}, "models": [\n{lines}\n]}}\n'
    (FOLDER / f"{source}_models.json").write_text(text)
    print(f"{source}: {len(rows)} models")


if __name__ == "__main__":
    write("timm", "timm", timm_rows())
    write("torchvision", "torchvision", torchvision_rows())
    write("torchvision_detectors", "torchvision", torchvision_detector_rows())
    write("yolox", "torch", yolox_rows())
    write("transformers_detectors", "transformers", transformers_detector_rows())
