"""Other numbers of input channels."""

import pytest
import torch
from timm.models import adapt_input_conv

from headstart.backbones import resolve
from headstart.backbones.channels import adapt_kernel, adapt_preprocessing
from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_kernel_is_adapted_as_timm_does(channels: int) -> None:
    kernel = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(adapt_kernel(kernel, channels), adapt_input_conv(channels, kernel))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2"])
def test_one_channel_equals_the_same_grey_in_three(name: str) -> None:
    grey = torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one = resolve.load(name, channels=1)[0].pooled(grey)
        three = resolve.load(name)[0].pooled(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one, three, rtol=1e-3, atol=1e-4)


def test_preprocessing_follows_the_channels() -> None:
    colour = Preprocessing()
    assert adapt_preprocessing(colour, 3) == colour
    assert adapt_preprocessing(colour, 1).mean == pytest.approx((0.449,))
    assert adapt_preprocessing(colour, 4).std == (0.229, 0.224, 0.225, 0.229)


def test_kernel_of_other_than_rgb_is_refused() -> None:
    with pytest.raises(ConfigError, match="has 5 input channels"):
        adapt_kernel(torch.zeros(8, 5, 3, 3), 1)
