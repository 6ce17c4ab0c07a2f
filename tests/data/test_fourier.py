"""Fourier domain adaptation against the definition of the transform, term by term."""

import numpy as np
import pytest

from headstart.data.fourier import in_style_of, with_amplitude_of

SIZES = [(12, 10), (9, 13), (8, 8), (7, 7)]


def noise(seed: int, size: tuple[int, int], channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, channels)).astype(np.uint8)


def waves(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies of both axes from the lowest to the highest, 0 in the middle."""
    return tuple(np.arange(side) - side // 2 for side in size)  # type: ignore[return-value]


def slow_transform(channel: np.ndarray) -> np.ndarray:
    """The sum of the definition for every pair of frequencies, frequency 0 in the middle."""
    height, width = channel.shape
    rows, columns = np.mgrid[:height, :width]
    return np.array([[(channel * np.exp(-2j * np.pi * (u * rows / height + v * columns / width))).sum()
                      for v in waves(channel.shape)[1]] for u in waves(channel.shape)[0]])


def slow_inverse(spectrum: np.ndarray) -> np.ndarray:
    height, width = spectrum.shape
    us, vs = np.meshgrid(*waves(spectrum.shape), indexing="ij")
    return np.array([[(spectrum * np.exp(2j * np.pi * (us * row / height + vs * column / width))).sum()
                      for column in range(width)] for row in range(height)]) / (height * width)


def slow(picture: np.ndarray, style: np.ndarray, beta: float) -> np.ndarray:
    height, width = picture.shape[:2]
    reach = int(beta * min(height, width))
    channels = []
    for channel in range(picture.shape[2]):
        mine, its = slow_transform(picture[..., channel]), slow_transform(style[..., channel])
        inside = (abs(waves((height, width))[0])[:, None] <= reach) & (abs(waves((height, width))[1])[None] <= reach)
        amplitude = np.where(inside, abs(its), abs(mine))
        channels.append(slow_inverse(amplitude * np.exp(1j * np.angle(mine))))
    found = np.stack(channels, axis=-1)
    assert abs(found.imag).max() < 1e-8
    return found.real


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("beta", [0, 0.1, 0.25, 0.4])
def test_it_is_what_the_definition_says(beta, size):
    picture, style = noise(0, size), noise(1, size)
    np.testing.assert_allclose(with_amplitude_of(picture, style, beta=beta), slow(picture, style, beta), atol=1e-8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("beta", [0, 0.01, 0.2, 0.5])
def test_a_picture_in_its_own_style_stays_as_it_is(beta, size):
    np.testing.assert_array_equal(in_style_of(noise(0, size), noise(0, size), beta=beta), noise(0, size))


@pytest.mark.parametrize("size", SIZES)
def test_with_beta_0_the_means_alone_are_exchanged(size):
    picture, style = noise(0, size), noise(1, size)
    expected = picture + (style.mean(axis=(0, 1)) - picture.mean(axis=(0, 1)))
    np.testing.assert_allclose(with_amplitude_of(picture, style, beta=0), expected, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_phases_stay(size):
    picture, style = noise(0, size), noise(1, size)
    before, after = (np.fft.fft2(part, axes=(0, 1)) for part in (picture, with_amplitude_of(picture, style, beta=0.3)))
    np.testing.assert_allclose(after / abs(after), before / abs(before), atol=1e-7)


@pytest.mark.parametrize("size", [(8, 8), (7, 7)])
def test_with_beta_a_half_all_amplitudes_of_a_square_are_the_others(size):
    picture, style = noise(0, size), noise(1, size)
    found = abs(np.fft.fft2(with_amplitude_of(picture, style, beta=0.5), axes=(0, 1)))
    np.testing.assert_allclose(found, abs(np.fft.fft2(style, axes=(0, 1))), rtol=1e-7)


def test_numbers_beyond_a_byte_are_cut_not_wrapped():
    picture, style = noise(0, (8, 8)), np.full((8, 8, 3), 255, np.uint8)
    found = in_style_of(picture, style, beta=0)
    np.testing.assert_array_equal(found, np.clip(np.rint(picture + (255 - picture.mean(axis=(0, 1)))), 0, 255))


def test_the_style_is_the_targets_and_the_places_are_the_sources():
    rows = np.mgrid[:32, :32][0]
    picture = np.where(rows % 4 < 2, 180, 60).astype(np.uint8)[..., None]
    dark = np.full((32, 32, 1), 40, np.uint8)
    found = in_style_of(picture, dark, beta=0.01)
    assert found.mean() == pytest.approx(40, abs=21)  # cut at 0
    assert (found[rows % 4 < 2] > found[rows % 4 >= 2].max()).all()
