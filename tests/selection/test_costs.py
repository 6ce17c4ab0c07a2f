"""Costs: counted against closed forms."""

import pytest
import torch
from torch import nn

from headstart.backbones.backbone import Backbone, BackboneSpec
from headstart.data.transforms import Preprocessing
from headstart.events import silent
from headstart.selection import costs
from headstart.selection.costs import count, measure

SIZE = 16


class OneConvolution(Backbone):
    """A convolution, ReLU and the mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.spec = BackboneSpec(architecture="one", source="tests", family="none", license="mit",
                                 preprocessing=Preprocessing(size=SIZE))
        self.width = 8

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).relu().mean((2, 3))

    def maps(self, images: torch.Tensor) -> dict[int, torch.Tensor]:
        return {1: self.conv(images)}

    def stages(self) -> list[nn.Module]:
        return [self.conv]


def test_multiply_adds_and_kept_activations_are_those_of_the_layers():
    macs, saved = count(OneConvolution())
    assert macs == SIZE * SIZE * 8 * 3 * 9
    # The convolution keeps its input, the ReLU its output; the mean needs neither.
    assert saved == 4 * SIZE * SIZE * (3 + 8)


def test_a_cache_that_cannot_be_written_costs_the_memory_of_the_cost_alone(data, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "file" / "cache"))
    said = []
    found = measure(OneConvolution(), sorted(data.glob("*/*.png"))[:4], images=100, device="cpu", listen=said.append)
    assert found.parameters == 8 * 3 * 9
    assert [event.level for event in said if "can't be kept" in event.text] == ["warning"]


def test_the_cost_is_measured_once_and_then_remembered(data, monkeypatch):
    sources = sorted(data.glob("*/*.png"))[:4]
    backbone = OneConvolution()
    first = measure(backbone, sources, images=100, device="cpu", listen=silent)
    assert first.parameters == 8 * 3 * 9
    assert first.gmacs == pytest.approx(SIZE * SIZE * 8 * 3 * 9 / 1e9)
    assert first.images_per_second > 0
    assert first.training_mb == pytest.approx((16 * 216 + 32 * 4 * SIZE * SIZE * 11) / 1e6)
    monkeypatch.setattr(costs, "throughput", lambda *words, **names: pytest.fail("measured again"))
    assert measure(backbone, sources, images=100, device="cpu", listen=silent) == first
