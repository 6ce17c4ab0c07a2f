"""Segmenting: logits brought back to the size of the picture, in bands, as PyTorch does at once."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from headstart import segmenting
from headstart.segmenting import at_size


@pytest.mark.parametrize("size", [(37, 91), (100, 40), (8, 6), (64, 64)])
@pytest.mark.parametrize("band", [16_000_000, 500])
def test_bands_give_what_bilinear_interpolation_of_the_whole_gives(size: tuple[int, int], band: int,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenting, "BAND", band)
    logits = torch.randn(5, 16, 12, generator=torch.Generator().manual_seed(0))
    whole = functional.interpolate(logits[None].double(), size=size, mode="bilinear", align_corners=False)[0]
    first, second = whole.topk(2, dim=0).values
    sure = (first - second > 1e-5).numpy()
    found = at_size(logits, size)
    assert sure.mean() > 0.99
    assert np.array_equal(found[sure], whole.argmax(dim=0).numpy()[sure])


def test_a_large_picture_takes_little_memory_besides_its_answer() -> None:
    logits = torch.randn(11, 24, 32)
    found = at_size(logits, (2400, 3200))
    assert found.shape == (2400, 3200)
    assert found.dtype == np.uint8
