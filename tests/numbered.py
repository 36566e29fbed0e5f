"""Pictures whose pixels carry a number, so that order and loss are provable after a codec."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

COLUMNS, ROWS = 8, 4  # 32 cells: 24 bits of number, 8 of checksum
LARGEST_NUMBER = 2**24 - 1
_CLEAR_BLACK, _CLEAR_WHITE = 96, 160  # a cell between them is smeared, and the picture is not read


def numbered_picture(n: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Picture (height, width, 3) uint8 RGB of black and white cells that spell `n` (0..LARGEST_NUMBER).

    Survives codecs and scaling from about 64x32 pixels upwards. Raises ValueError if `n` or the size does not fit.
    """
    if not 0 <= n <= LARGEST_NUMBER:
        raise ValueError(f"a numbered picture holds 0..{LARGEST_NUMBER}, got {n}")
    if width < COLUMNS or height < ROWS:
        raise ValueError(f"a numbered picture needs at least {COLUMNS}x{ROWS} pixels, got {width}x{height}")
    word = n << 8 | _checksum(n)
    bits = np.array([word >> shift & 1 for shift in range(31, -1, -1)], np.uint8).reshape(ROWS, COLUMNS)
    row_of = np.arange(height) * ROWS // height
    column_of = np.arange(width) * COLUMNS // width
    grey = bits[row_of][:, column_of] * np.uint8(255)
    return np.repeat(grey[:, :, None], 3, axis=2)


def read_number(luma: npt.NDArray[Any]) -> int | None:
    """The number a luma plane (H, W) spells; None if a cell is smeared or the checksum disagrees."""
    word = 0
    for mean in _cell_means(luma):
        if _CLEAR_BLACK < mean < _CLEAR_WHITE:
            return None
        word = word << 1 | int(mean >= _CLEAR_WHITE)
    n, checksum = word >> 8, word & 0xFF
    return n if checksum == _checksum(n) else None


def _cell_means(luma: npt.NDArray[Any]) -> list[float]:
    """Mean of each cell's middle quarter, row by row."""
    height, width = luma.shape
    means = []
    for row in range(ROWS):
        y, y_end = _middle(row, ROWS, height)
        for column in range(COLUMNS):
            x, x_end = _middle(column, COLUMNS, width)
            means.append(float(luma[y:y_end, x:x_end].mean()))
    return means


def _middle(index: int, count: int, size: int) -> tuple[int, int]:
    start, end = index * size / count, (index + 1) * size / count
    quarter = (end - start) / 4
    first = int(start + quarter)
    return first, max(first + 1, int(end - quarter))


def _checksum(n: int) -> int:
    """CRC-8 that is neither all zeros for 0 nor all ones for the largest: black and white pictures spell nothing."""
    crc = 0x5A
    for byte in n.to_bytes(3, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
