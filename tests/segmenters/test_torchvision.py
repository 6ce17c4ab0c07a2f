"""torchvision's decoders give what torchvision's own heads give with the same weights."""

import torch
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.lraspp import LRASPPHead

from headstart.backbones import resolve
from headstart.segmenters.deeplabv3 import Deeplabv3
from headstart.segmenters.lraspp import Lraspp

IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def larger(found: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(found, size=IMAGES.shape[-2:], mode="bilinear", align_corners=False)


def test_lraspp_is_the_sum_of_both_classifiers() -> None:
    backbone, _ = resolve.load("efficientnet_lite0")
    head = Lraspp(width=32).build(backbone, 5).eval()
    with torch.no_grad():
        maps = backbone.eval().maps(IMAGES)
        theirs = LRASPPHead(maps[8].shape[1], maps[32].shape[1], 5, 32).eval()
        theirs.cbr.load_state_dict(head.decoder.cbr.state_dict())
        theirs.scale.load_state_dict(head.decoder.scale.state_dict())
        theirs.high_classifier.weight.copy_(head.classifier.weight[:, :32])
        theirs.low_classifier.weight.copy_(head.classifier.weight[:, 32:])
        theirs.high_classifier.bias.copy_(head.classifier.bias)
        theirs.low_classifier.bias.zero_()
        assert torch.allclose(head(maps, IMAGES), larger(theirs({"low": maps[8], "high": maps[32]})), atol=1e-5)


def test_deeplabv3_is_torchvisions_head() -> None:
    backbone, _ = resolve.load("efficientnet_lite0")
    head = Deeplabv3().build(backbone, 5).eval()
    with torch.no_grad():
        maps = backbone.eval().maps(IMAGES)
        theirs = DeepLabHead(maps[32].shape[1], 5, (6, 12, 18)).eval()
        for mine, its in zip(head.decoder.decoder, theirs, strict=False):
            its.load_state_dict(mine.state_dict())
        theirs[-1].load_state_dict(head.classifier.state_dict())
        twice = torch.nn.functional.interpolate(maps[32], scale_factor=2, mode="bilinear", align_corners=False)
        assert torch.allclose(head(maps, IMAGES), larger(theirs(twice)), atol=1e-5)
