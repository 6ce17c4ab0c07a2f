import io
import os
import pickle
import struct
import subprocess
import sys
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart import pixels
from headstart.errors import ConfigError, DataError
from headstart.events import Finished, Started
from headstart.images import ImageError, decode, opened, printable, probe, scan, size_of
from tests.pictures import noise, picture
from tests.shared_data import shared


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG written by hand, for what Pillow can't write. rows: unfiltered, each with its leading 0."""
    def chunk(data: bytes) -> bytes:
        return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, (header, *extra, b"IDAT" + zlib.compress(rows), b"IEND")))


def reason(data: bytes | Path) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data if isinstance(data, Path) else partial(bytes, data))
    return caught.value.reason


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_the_pixels_that_were_saved(format: str) -> None:
    pixels = noise(0)
    data = encoded(Image.fromarray(pixels), format, **({"lossless": True} if format == "WEBP" else {}))
    np.testing.assert_array_equal(decode(partial(bytes, data)), pixels)


def test_jpeg_gives_what_pillow_gives(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", quality=90)
    np.testing.assert_array_equal(decode(path), np.asarray(Image.open(path).convert("RGB")))


def test_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    path = tmp_path / "really.jpg"
    path.write_bytes(encoded(Image.fromarray(noise(1)), "PNG"))
    np.testing.assert_array_equal(decode(path), noise(1))
    assert probe(path).format == "PNG"


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(format: str) -> None:
    deep = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    pixels = decode(partial(bytes, encoded(Image.fromarray(deep), format)))
    np.testing.assert_array_equal(pixels[..., 0], np.round(deep / 257).astype(np.uint8))
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_big_endian_sixteen_bit_tiff_is_scaled() -> None:
    deep = np.array([[0, 257, 65535, 25700]], ">u2")
    assert decode(partial(bytes, encoded(Image.fromarray(deep), "TIFF")), channels=1)[..., 0].tolist() == \
        [[0, 1, 255, 100]]


def test_sixteen_bit_colour_keeps_its_high_byte() -> None:
    row = b"\0" + struct.pack(">3H", 1000, 30000, 65000)
    assert decode(partial(bytes, png(1, 1, 16, 2, row)))[0, 0].tolist() == [3, 117, 253]


def test_sixteen_bit_grey_with_a_transparent_level_is_laid_on_the_background() -> None:
    row = b"\0" + struct.pack(">2H", 1000, 65535)
    pixels = decode(partial(bytes, png(2, 1, 16, 0, row, b"tRNS" + struct.pack(">H", 1000))), background=7)
    assert pixels[0, :, 0].tolist() == [7, 255]


@pytest.mark.parametrize("kind", ["float32", "int32"])
def test_pictures_without_fixed_black_and_white_are_refused(kind: str) -> None:
    data = encoded(Image.fromarray(np.ones((4, 4), kind)), "TIFF")
    assert reason(data) == "float_image"
    with pytest.raises(DataError, match="Save it with 8 or 16 bits"):
        decode(partial(bytes, data))


@given(mode=st.sampled_from(["RGBA", "LA", "PA"]), alpha=st.integers(0, 255), ground=st.integers(0, 255),
       colour=st.integers(0, 255))
def test_alpha_is_laid_on_the_background(mode: str, alpha: int, ground: int, colour: int) -> None:
    grey = Image.merge("LA", [Image.new("L", (2, 2), colour), Image.new("L", (2, 2), alpha)])
    format = "PNG" if mode != "PA" else "TIFF"
    source = partial(bytes, encoded(grey.convert(mode) if mode != "PA" else grey.convert("RGBA"), format))
    wanted = colour * alpha / 255 + ground * (255 - alpha) / 255
    assert np.abs(decode(source, background=ground).astype(float) - wanted).max() <= 1
    assert decode(source, channels=4)[0, 0].tolist() == [colour] * 3 + [alpha]


def test_palette_with_transparency_hides_its_hidden_colour() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    source = partial(bytes, encoded(image, "PNG", transparency=0))
    assert decode(source, background=9)[0].tolist() == [[9, 9, 9], [0, 255, 0]]


def test_other_modes_become_rgb() -> None:
    grey = Image.fromarray(noise(2)[..., 0])
    np.testing.assert_array_equal(decode(partial(bytes, encoded(grey, "PNG"))), noise(2)[..., [0, 0, 0]])
    one_bit = partial(bytes, encoded(Image.new("1", (3, 3), 1), "PNG"))
    assert decode(one_bit).min() == 255
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(decode(partial(bytes, encoded(cmyk, "TIFF")))[0, 0].astype(int) - [255, 0, 0]).max() <= 1


def test_channels_are_grey_rgb_or_rgba() -> None:
    source = partial(bytes, encoded(Image.fromarray(noise(3)), "PNG"))
    assert decode(source, channels=1).shape == (10, 12, 1)
    grey = np.asarray(Image.fromarray(noise(3)).convert("L"))
    np.testing.assert_array_equal(decode(source, channels=1)[..., 0], grey)
    assert (decode(source, channels=4)[..., 3] == 255).all()
    with pytest.raises(ConfigError, match=r"1 .grey., 3 .RGB. or 4 .RGBA. channels, not 2"):
        decode(source, channels=2)


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(format: str, orientation: int) -> None:
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :16] = 255  # white top left quarter
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decode(partial(bytes, encoded(Image.fromarray(stored), format, exif=exif)))
    # EXIF 2.3, table 6: where the stored first row and first column are shown.
    row, column = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    assert pixels.shape[:2] == ((16, 32) if orientation < 5 else (32, 16))
    quarters = pixels.reshape(2, pixels.shape[0] // 2, 2, pixels.shape[1] // 2, 3).mean((1, 3, 4))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == (row, column)


def stored_as(mode: str) -> Image.Image:
    """A picture of 47 x 31 pixels in one of Pillow's modes."""
    if mode == "I;16":
        return Image.fromarray(np.random.default_rng(0).integers(0, 65536, (31, 47), dtype=np.uint16))
    made = Image.fromarray(noise(0, (47, 31)))
    return made.quantize(16) if mode == "P" else made.convert(mode)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("mode", "format", "options"), [
    ("RGB", "PNG", {}), ("RGB", "TIFF", {"compression": "tiff_deflate"}), ("L", "PNG", {"transparency": 7}),
    ("LA", "PNG", {}), ("RGBA", "PNG", {}), ("P", "PNG", {"transparency": 3}), ("P", "GIF", {}), ("1", "TIFF", {}),
    ("I;16", "PNG", {}), ("I;16", "TIFF", {}), ("CMYK", "JPEG", {}), ("RGB", "WEBP", {"lossless": True})])
def test_a_part_has_the_pixels_of_the_whole(mode: str, format: str, options: dict[str, object], channels: int) -> None:
    source = partial(bytes, encoded(stored_as(mode), format, **options))
    whole = decode(source, channels=channels, background=40)
    with opened(source, channels=channels, background=40) as image:
        assert image.size == (31, 47)
        np.testing.assert_array_equal(image.region((5, 3, 47, 29)), whole[3:29, 5:47])


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_and_the_size_are_those_of_the_upright_picture(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = partial(bytes, encoded(Image.fromarray(noise(5, (40, 24))), format, exif=exif))
    whole = decode(source)
    assert size_of(source) == whole.shape[:2]
    with opened(source) as image:
        assert image.size == whole.shape[:2]
        np.testing.assert_array_equal(image.region((2, 3, 19, 24)), whole[3:24, 2:19])


def test_the_size_of_a_png_whose_exif_stands_behind_its_pixels_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(noise(5, (40, 24))), "PNG", exif=exif)
    at, end = data.index(b"eXIf") - 4, data.index(b"IEND") - 4
    length = 12 + int.from_bytes(data[at:at + 4])
    late = data[:at] + data[at + length:end] + data[at:at + length] + data[end:]
    assert size_of(partial(bytes, late)) == decode(partial(bytes, late)).shape[:2] == (40, 24)


def test_bands_of_a_large_picture_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    source = partial(bytes, encoded(Image.fromarray(noise(6, (50, 30))), "PNG", exif=exif))
    whole = decode(source)
    monkeypatch.setattr(pixels, "BAND", 200)
    np.testing.assert_array_equal(decode(source), whole)


def test_errors_inside_the_block_are_not_taken_for_damage() -> None:
    with pytest.raises(RuntimeError, match="of the user"), opened(partial(bytes, encoded(stored_as("L"), "PNG"))):
        raise RuntimeError("of the user")


def test_the_limit_of_pixels_can_be_set_and_a_wrong_one_is_told() -> None:
    code = "from headstart import images; print(images.MAX_PIXELS)"
    for setting, expected in (("", "128000000"), ("400000000", "400000000"), ("many", "give a whole number of pixels")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                              env=os.environ | {"HEADSTART_MAX_PIXELS": setting})
        assert expected in done.stdout + done.stderr


def test_broken_exif_leaves_a_sound_picture_as_it_is() -> None:
    data = encoded(Image.fromarray(noise(4)), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(decode(partial(bytes, data)), noise(4))


@pytest.mark.parametrize("format", ["GIF", "TIFF", "MPO"])
def test_the_first_of_several_frames_is_taken(format: str) -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    data = encoded(first, format, save_all=True, append_images=[second])
    assert np.abs(decode(partial(bytes, data))[4, 4].astype(int) - [255, 0, 0]).max() < 5
    assert probe(partial(bytes, data)).frames == 2


@pytest.mark.parametrize(("data", "wanted"), [
    (b"", "empty_file"), (b"<!DOCTYPE html><p>404", "not_an_image"), (b"hello", "not_an_image"),
    (b"RIFF\0\0\0\0WAVEfmt ", "not_an_image"), (b"\x89PNG\r\n\x1a\n", "truncated"), (b"\xff\xd8\xff\xe0", "truncated")])
def test_reasons(data: bytes, wanted: str) -> None:
    assert reason(data) == wanted


@pytest.mark.parametrize(("head", "kind"), [
    (b"<html><body>", "HTML"), (b"%PDF-1.7", "PDF"), (b"just words", "text"), (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"\0\0\0\x18ftypheic", "HEIC"), (b"\0\0\0\x18ftypavif", "AVIF"), (b"\x80\x81\x82", "unknown")])
def test_what_a_foreign_file_is_is_said(head: bytes, kind: str) -> None:
    with pytest.raises(ImageError, match=rf"not_an_image\(sniffed={kind}\); Headstart reads JPEG"):
        decode(partial(bytes, head))


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.jpg: does not exist") as caught:
        decode(tmp_path / "gone.jpg")
    assert caught.value.reason == "missing"
    assert reason(tmp_path) == "unreadable"  # a folder


def test_odd_names_are_escaped_in_messages(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\nb\xff.jpg"))
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\\nb\\udcff\.jpg: the file is empty"):
        decode(path)


@given(st.text(), st.text())
def test_printable_text_is_printable_and_unique(a: str, b: str) -> None:
    assert printable(a).isprintable()
    assert (printable(a) == printable(b)) == (a == b)


def test_the_size_is_refused_from_the_header_alone() -> None:
    bomb = png(30000, 30000, 1, 0, b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own warning must not be needed
        with pytest.raises(ImageError, match=r"too_large\(30000x30000\)") as caught:
            decode(partial(bytes, bomb))
    assert caught.value.reason == "too_large"


def test_pillow_flags_are_never_touched(tmp_path: Path) -> None:
    from PIL import ImageFile

    flags = ("LOAD_TRUNCATED_IMAGES", "MAX_IMAGE_PIXELS")
    before = [getattr(ImageFile, flags[0]), getattr(Image, flags[1])]
    decode(picture(tmp_path / "a.jpg"))
    assert [getattr(ImageFile, flags[0]), getattr(Image, flags[1])] == before


def test_probe_reads_the_header_only() -> None:
    data = encoded(Image.fromarray(noise(5, (40, 30))), "PNG")
    info = probe(partial(bytes, data[:60]))
    assert (info.format, info.mode, info.width, info.height, info.frames) == ("PNG", "RGB", 40, 30, 1)


def test_scan_returns_headers_and_errors_in_order(tmp_path: Path) -> None:
    good = picture(tmp_path / "a.png", seed=1)
    cut = tmp_path / "b.png"
    cut.write_bytes(good.read_bytes()[:-60])
    heard: list[object] = []
    results = scan([good, cut, tmp_path / "c.png", good], workers=2, listen=heard.append,
                   measure=lambda pixels: float(pixels.mean()))
    assert [getattr(result, "reason", "ok") for result in results] == ["ok", "truncated", "missing", "ok"]
    assert results[0].measured == pytest.approx(noise(1).mean())  # type: ignore[union-attr]
    assert heard[0] == Started("decode every image", 4, "images")
    assert isinstance(heard[-1], Finished)


def test_image_errors_survive_the_way_out_of_a_worker() -> None:
    error = ImageError("a.jpg: no", reason="truncated")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason) == ("a.jpg: no", "truncated")
    assert isinstance(ImageError("text alone, as torch's loader raises it again"), DataError)


@pytest.mark.parametrize("name", ["brain_mri", "hymenoptera"])
def test_real_photographs_all_decode(name: str) -> None:
    files = [path for path in sorted(shared(name).rglob("*")) if path.suffix.lower() in {".jpg", ".jpeg", ".png"}][::9]
    assert not [result for result in scan(files) if isinstance(result, ImageError)]
