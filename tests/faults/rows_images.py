"""Rows 1 to 15: files that are no images, damaged, huge, deep, odd in mode, turned, animated, oddly named or gone."""

import io
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.fingerprint import content_hashes
from headstart.data.load import load_data
from headstart.data.transforms import Preprocessing
from headstart.errors import DataError
from headstart.images import ImageError, decode, probe, scan
from tests.faults.matrix import row
from tests.pictures import folders, noise, picture


def reason(path: Path) -> str:
    (result,) = scan([path])
    return result.reason if isinstance(result, ImageError) else "ok"


def smooth(size: tuple[int, int] = (64, 48)) -> Image.Image:
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    return Image.fromarray(np.stack([across, down, 255 - across], axis=-1).astype(np.uint8))


@row(1, "zero-byte file")
def empty(folder: Path) -> None:
    (folder / "a.jpg").write_bytes(b"")
    assert reason(folder / "a.jpg") == "empty_file"


@row(2, "text named jpg, PNG named jpg")
def foreign(folder: Path) -> None:
    (folder / "a.jpg").write_text("<!doctype html><title>404 not found</title>")
    with pytest.raises(ImageError, match=r"a\.jpg: not_an_image\(sniffed=HTML\)"):
        decode(folder / "a.jpg")
    picture(folder / "b.png").rename(folder / "b.jpg")
    assert probe(folder / "b.jpg").format == "PNG"


@row(3, "truncated JPEG, PNG, WebP, BMP, TIFF and GIF")
def truncated(folder: Path) -> None:
    for ending in ("jpg", "png", "webp", "bmp", "tiff", "gif"):
        whole = picture(folder / f"whole.{ending}", size=(64, 64)).read_bytes()
        for sixteenth in range(1, 16):
            cut = folder / f"{sixteenth}.{ending}"
            cut.write_bytes(whole[:len(whole) * sixteenth // 16])
            found = reason(cut)
            assert found == "truncated" or (ending == "tiff" and found == "corrupt"), (ending, sixteenth, found)


@row(4, "PNG with a flipped byte")
def flipped_png(folder: Path) -> None:
    whole = picture(folder / "whole.png", size=(64, 64)).read_bytes()
    start = whole.index(b"IDAT") + 4
    for number, place in enumerate(np.linspace(start, len(whole) - 20, 64).astype(int)):
        damaged = bytearray(whole)
        damaged[place] ^= 255
        (folder / f"{number}.png").write_bytes(damaged)
    code = ("import sys; from pathlib import Path; from headstart.images import scan; "
            "print([getattr(r, 'reason', 'ok') for r in scan(sorted(Path(sys.argv[1]).glob('[0-9]*.png')))])")
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr  # the process lives
    assert done.stdout.count("corrupt") + done.stdout.count("truncated") == 64


@row(5, "JPEG with a flipped byte is another file")
def flipped_jpeg(folder: Path) -> None:
    folders(folder / "data", {"a": 2, "b": 2})
    smooth().save(folder / "data/a/x.jpg")
    before = content_hashes(load_data(folder / "data"), cache=folder / "cache")
    damaged = bytearray((folder / "data/a/x.jpg").read_bytes())
    damaged[-40] ^= 1
    (folder / "data/a/x.jpg").write_bytes(damaged)
    after = content_hashes(load_data(folder / "data"), cache=folder / "cache")
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


@row(6, "decompression bomb")
def bomb(folder: Path) -> None:
    Image.new("1", (13300, 13300)).save(folder / "a.png")
    code = ("import resource, sys; from pathlib import Path; from headstart.images import scan; "
            "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak(); "
            "print(scan([Path(sys.argv[1])])[0]); print(peak() - before)")
    done = subprocess.run([sys.executable, "-c", code, folder / "a.png"], capture_output=True, text=True, timeout=60)
    assert "too_large(13300x13300)" in done.stdout
    assert done.stderr == ""
    assert int(done.stdout.splitlines()[-1]) < 40_000  # kB, where decoding would take hundreds of thousands


@row(7, "16-bit grey")
def deep(folder: Path) -> None:
    ramp = np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)
    for ending in ("png", "tiff"):
        Image.fromarray(ramp).save(folder / f"a.{ending}")
        assert abs(decode(folder / f"a.{ending}").mean() - ramp.mean() / 257) < 1


@row(8, "float TIFF")
def floating(folder: Path) -> None:
    Image.fromarray(np.random.default_rng(0).random((8, 8), np.float32)).save(folder / "a.tiff")
    with pytest.raises(DataError, match=r"a\.tiff: float_image: .* Save it with 8 or 16 bits"):
        decode(folder / "a.tiff")


@row(9, "every mode becomes RGB in one way")
def modes(folder: Path) -> None:
    hidden = Image.fromarray(np.dstack([noise(0), np.zeros((10, 12), np.uint8)]))
    hidden.save(folder / "hidden.png")
    assert (decode(folder / "hidden.png", background=40) == 40).all()  # what was transparent stays unseen
    for mode in ("L", "LA", "P", "RGBA", "1"):
        smooth().convert(mode).save(folder / f"{mode}.png")
        path = folder / f"{mode}.png"
        wanted = np.asarray(Image.open(path).convert("RGB"))
        np.testing.assert_array_equal(decode(path), wanted)
        np.testing.assert_array_equal(decode(partial(bytes, path.read_bytes())), wanted)
    smooth().convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    assert np.abs(decode(folder / "cmyk.jpg").astype(int) - np.asarray(smooth())).mean() < 6


@row(10, "EXIF orientation")
def turned(folder: Path) -> None:
    upright = smooth()
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose values that store it so
    for orientation, how in undo.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = upright if how is None else upright.transpose(Image.Transpose(how))
        stored.save(folder / f"{orientation}.png", exif=exif)
        np.testing.assert_array_equal(decode(folder / f"{orientation}.png"), np.asarray(upright))
        assert probe(folder / f"{orientation}.png").orientation == orientation


@row(11, "animated GIF, multipage TIFF")
def frames(folder: Path) -> None:
    pages = [Image.new("L", (8, 8), level) for level in (10, 200)]
    for ending in ("gif", "tiff"):
        pages[0].save(folder / f"a.{ending}", save_all=True, append_images=pages[1:])
        assert (decode(folder / f"a.{ending}") == 10).all()
        assert probe(folder / f"a.{ending}").frames == 2  # by which the check warns


@row(12, "1 x 1 and 1 x 20000 pixels")
def slivers(folder: Path) -> None:
    for size in ((1, 1), (1, 20000), (20000, 1)):
        for fit in ("crop", "squash", "pad"):
            path = picture(folder / "a.png", size=size)
            assert Preprocessing(size=32, fit=fit)(path).shape == (3, 32, 32)  # type: ignore[arg-type]


@row(13, "odd file names")
def odd_names(folder: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(folder)))
    folders(root, {"a": 1, "b": 1})
    for name in (b"gr\xc3\xbcn.png", "🐜.png".encode(), b"new\nline.png", b"\xff\xfe.png", b"x" * 251 + b".png"):
        picture(root / "a" / "tmp.png").rename(root / "a" / os.fsdecode(name))
    data = load_data(root)
    assert len(data) == 7
    assert not [r for r in scan([s.source for s in data.samples]) if isinstance(r, ImageError)]
    assert len(set(json.loads(json.dumps([s.id for s in data.samples]).encode().decode()))) == 7
    "".join(s.id for s in data.samples).encode()  # no lone surrogate is left


@row(14, "hidden folders, link loops, links out of the root")
def clutter(folder: Path) -> None:
    root = folders(folder / "data", {"a": 2, "b": 1, ".ipynb_checkpoints": 1, "__MACOSX": 1})
    (root / "a/Thumbs.db").write_bytes(b"x")
    (root / "a/loop").symlink_to(root)
    data = load_data(root)
    assert (data.classes, len(data)) == (("a", "b"), 3)
    assert len(data.ignored) == 4
    (root / "b/out.png").symlink_to(picture(folder / "outside.png"))
    with pytest.raises(DataError, match=r"1 links lead out of the folder:\n  b/out\.png"):
        load_data(root)


@row(15, "a file is gone or stalls when it is needed")
def gone(folder: Path) -> None:
    path = picture(folder / "a.png")
    calls = []

    def stalls() -> bytes:
        calls.append(1)
        if len(calls) < 4:
            raise OSError(5, "Input/output error")
        return path.read_bytes()

    np.testing.assert_array_equal(decode(stalls), noise(0))  # asked again three times
    path.unlink()
    with pytest.raises(ImageError, match=r"a\.png: does not exist"):  # never a neighbour in its place
        decode(path)
    with pytest.raises(ImageError, match=r"can't be read \(Input/output error\)"):
        decode(partial(_broken, io.BytesIO()))


def _broken(_: io.BytesIO) -> bytes:
    raise OSError(5, "Input/output error")
