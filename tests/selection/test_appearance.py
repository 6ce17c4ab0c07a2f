import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.events import silent
from headstart.selection.appearance import (
    cliffs_delta,
    colourfulness,
    differences,
    measure,
    noise,
    of_pixels,
    sharpness,
)
from headstart.selection.jpeg import jpeg_quality
from tests.selection.scenes import blurred, scene


def flat(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((40, 60, 3), colour, np.uint8)


def jpeg(quality: int, **settings: object) -> bytes:
    file = io.BytesIO()
    scene(1, 0).save(file, "JPEG", quality=quality, **settings)
    return file.getvalue()


def test_brightness_and_contrast_are_those_of_the_grey_levels():
    assert of_pixels(flat((10, 20, 30)))["brightness"] == pytest.approx(0.299 * 10 + 0.587 * 20 + 0.114 * 30)
    halves = np.zeros((40, 60, 3), np.uint8)
    halves[:, 30:] = 200
    assert of_pixels(halves)["brightness"] == pytest.approx(100)
    assert of_pixels(halves)["contrast"] == pytest.approx(100)


def test_colourfulness_is_the_closed_form_of_one_colour():
    assert colourfulness(flat((90, 90, 90))) == 0
    assert colourfulness(flat((255, 0, 0))) == pytest.approx(0.3 * math.hypot(255, 127.5))


def test_colourfulness_counts_the_spread_of_both_opponent_colours():
    both = np.concatenate([flat((200, 0, 0)), flat((0, 200, 0))])
    # red - green is 200 or -200, (red + green) / 2 - blue is 100 throughout.
    assert colourfulness(both) == pytest.approx(200 + 0.3 * 100)


@pytest.mark.parametrize("sigma", [1.0, 4.0, 12.0])
def test_the_deviation_of_noise_is_recovered(sigma):
    rows, columns = np.mgrid[:200, :180]
    smooth = 40 + 0.3 * rows + 0.2 * columns
    grain = np.random.default_rng(0).normal(0, sigma, smooth.shape)
    assert noise(smooth + grain) == pytest.approx(sigma, rel=0.04)
    assert noise(smooth) == pytest.approx(0, abs=1e-9)


def test_a_picture_without_a_middle_has_no_noise():
    assert noise(np.zeros((2, 9))) == 0


def test_sharpness_falls_with_blur_and_ignores_the_number_of_pixels():
    found = [sharpness(np.asarray(blurred(radius)(scene(3, 1)))) for radius in (0, 1, 2, 4)]
    assert found == sorted(found, reverse=True)
    large = scene(3, 1).resize((448, 448), Image.Resampling.BILINEAR)
    small = scene(3, 1).resize((224, 224), Image.Resampling.BILINEAR)
    assert sharpness(np.asarray(large)) == pytest.approx(sharpness(np.asarray(small)), rel=0.3)


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 92, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality):
    assert jpeg_quality(jpeg(quality)) == quality
    assert jpeg_quality(jpeg(quality, progressive=True, exif=b"Exif\x00\x00" + 90 * b"x")) == quality


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda\x00\x02", b"\xff\xd8\xff\xdb\x00\x43\x10",
                                  b"\x89PNG1234567"])
def test_what_has_no_table_has_no_quality(data):
    assert jpeg_quality(data) is None


def test_cliffs_delta_is_that_of_counting_all_pairs():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 9, 31), rng.integers(2, 11, 17)
    pairs = np.sign(second[:, None] - first[None]).mean()
    assert cliffs_delta(first, second) == pytest.approx(pairs)
    assert cliffs_delta(np.zeros(3), np.ones(4)) == 1
    assert cliffs_delta(np.ones(3), np.ones(4)) == 0


def test_sizes_coding_and_formats_are_those_of_the_files(tmp_path: Path):
    scene(1, 0).resize((120, 80)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(jpeg(60))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    found, formats = measure(sorted(tmp_path.iterdir()), listen=silent)
    assert found["resolution"].tolist() == [80, 64]
    assert found["bits_per_pixel"][1] == pytest.approx(8 * (tmp_path / "b.jpg").stat().st_size / 64**2)
    assert found["jpeg_quality"].tolist() == [60]
    assert formats == {"PNG": 0.5, "JPEG": 0.5}


def test_a_difference_is_told_where_it_is_more_than_chance():
    rng = np.random.default_rng(0)
    first = {"brightness": rng.normal(100, 10, 40), "contrast": rng.normal(50, 5, 40)}
    second = {"brightness": rng.normal(130, 10, 40), "contrast": rng.normal(50, 5, 40), "noise": np.ones(40)}
    brightness, contrast = differences(first, second)
    assert (brightness.name, brightness.tells, brightness.words) == ("brightness", True, "brighter")
    assert (contrast.name, contrast.tells) == ("contrast", False)
    assert not differences({"noise": np.zeros(2)}, {"noise": np.ones(2)})[0].tells


def test_less_light_and_less_contrast_are_no_blur_and_no_smoothness():
    picture = np.asarray(scene(3, 1), np.float64)
    bright = np.clip(picture + np.random.default_rng(0).normal(size=(*picture.shape[:2], 1)) * 8, 0, 255)
    dark = of_pixels((bright * 0.6).round().astype(np.uint8))
    pale = of_pixels((100 + (bright - 100) * 0.6).round().clip(0, 255).astype(np.uint8))
    as_it_is = of_pixels(bright.round().astype(np.uint8))
    for changed in (dark, pale):
        assert changed["contrast"] < 0.7 * as_it_is["contrast"]
        assert changed["sharpness"] == pytest.approx(as_it_is["sharpness"], rel=0.2)
        assert changed["noise"] == pytest.approx(as_it_is["noise"], rel=0.2)
