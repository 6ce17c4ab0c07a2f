"""JPEG: how coarsely a file was coded, read from the tables in its head."""

from __future__ import annotations

import numpy as np

STANDARD = np.array([
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99], np.float64)
"""The luminance table of ITU-T T.81, annex K, in the order of a file (zigzag); libjpeg calls it quality 50."""
TABLES, SCAN = 0xDB, 0xDA
ALONE = (0x01, *range(0xD0, 0xD9))
"""Markers without a length."""


def jpeg_quality(data: bytes) -> float | None:
    """Return the quality, 1 to 100, at which libjpeg would have made the luminance table of a file; None without one.

    data: the bytes of the file. libjpeg multiplies the standard table by a percentage: 5000 / quality below 50, else
    200 - 2 quality. The quality whose table comes closest is taken, so that cut and rounded values do no harm.
    """
    table = luminance_table(data)
    if table is None:
        return None
    return float(1 + np.abs(QUALITIES - table).sum(axis=1).argmin())


def luminance_table(data: bytes) -> np.ndarray | None:
    """Return float64 [64], the first quantisation table as it stands in the file; None where there is none."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF or marker in ALONE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == SCAN:
            return None
        length = int.from_bytes(data[place + 2:place + 4])
        if marker == TABLES:
            found = _first(data[place + 4:place + 2 + length])
            if found is not None:
                return found
        place += 2 + length
    return None


def _first(segment: bytes) -> np.ndarray | None:
    """Return the table with the number 0 of a segment, float64 [64]."""
    while segment:
        wide, number = segment[0] >> 4, segment[0] & 15
        size = 128 if wide else 64
        if number == 0 and len(segment) > size:
            return np.frombuffer(segment[1:1 + size], ">u2" if wide else "u1").astype(np.float64)
        segment = segment[1 + size:]
    return None


def _tables() -> np.ndarray:
    """Return float64 [100, 64], libjpeg's table for each quality from 1 on."""
    quality = np.arange(1, 101)
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)[:, None]
    return np.asarray(np.clip((STANDARD * percent + 50) // 100, 1, 255))


QUALITIES = _tables()
