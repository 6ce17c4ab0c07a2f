"""Signatures: what a file is by its first bytes, and whether the end that its format promises is there."""

from __future__ import annotations

import os
import struct
from typing import IO

from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

FORMATS = {b"\xff\xd8\xff": JpegImagePlugin.jpeg_factory, b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
           b"GIF87a": GifImagePlugin.GifImageFile, b"GIF89a": GifImagePlugin.GifImageFile,
           b"BM": BmpImagePlugin.BmpImageFile, b"RIFF": WebPImagePlugin.WebPImageFile,
           b"II*\0": TiffImagePlugin.TiffImageFile, b"MM\0*": TiffImagePlugin.TiffImageFile,
           b"II+\0": TiffImagePlugin.TiffImageFile, b"MM\0+": TiffImagePlugin.TiffImageFile}
"""First bytes of a file, and what opens it. Opened without `Image.open`, which warns of size through a global."""
OTHERS = {b"<!doctype html": "HTML", b"<html": "HTML", b"<?xml": "XML", b"<svg": "SVG", b"%pdf": "PDF", b"pk": "ZIP",
          b"\x1f\x8b": "gzip", b"\x89hdf": "HDF5", b"8bps": "Photoshop", b"\0\0\0\x0cjp": "JPEG 2000",
          b"version https://git-lfs": "Git LFS pointer"}


def opener_of(head: bytes):  # type: ignore[no-untyped-def]  # Pillow's openers share no type
    """Return what opens a file with these first 16 bytes or more, or None if it is no image that we decode."""
    if head[:4] == b"RIFF" and head[8:12] != b"WEBP":
        return None
    return next((opener for magic, opener in FORMATS.items() if head.startswith(magic)), None)


def kind_of(head: bytes) -> str:
    """Return a word for what is no image that we decode, by its first bytes: `PDF`, `text`, `unknown` ..."""
    found = next((kind for magic, kind in OTHERS.items() if head.lstrip().lower().startswith(magic)), "")
    if head[4:8] == b"ftyp":
        found = {b"avif": "AVIF", b"heic": "HEIC", b"mif1": "HEIC"}.get(head[8:12], "video")
    if not found:
        found = "text" if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head) else "unknown"
    return found


def lacks_end(file: IO[bytes]) -> bool:
    """Return whether the closing mark of a JPEG, PNG or GIF, or the promised length of a BMP or WebP, is missing."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    file.seek(max(0, length - 4096))
    tail = file.read()
    if head.startswith((b"RIFF", b"BM")):
        promised = struct.unpack("<I", head[4:8] if head[0] == 82 else head[2:6])[0] if len(head) > 7 else length + 1
        return bool(promised + (8 if head[0] == 82 else 0) > length)
    if head.startswith(b"GI"):
        return not tail.rstrip(b"\0").endswith(b";")
    return {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}.get(head[:2], b"") not in tail
