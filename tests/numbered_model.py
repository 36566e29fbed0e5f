"""What a model that reads numbered pictures answers: one box per picture, and where it lies tells the number."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stages.values import Detections, FrameFailed, Prepared
from tests.numbered import read_number

WIDTH = 600  # a number is written as a place: x = n % WIDTH, y = n // WIDTH


def read_numbers(prepared: Prepared) -> tuple[Detections | FrameFailed, ...]:
    """One answer per frame of the batch, in its order."""
    found: list[Detections | FrameFailed] = [FrameFailed("not prepared") for _ in prepared.stats]
    for row, index in enumerate(prepared.index):
        found[index] = _written(_number(prepared, row))
    return tuple(found)


def number_of(box: Sequence[float]) -> int:
    """The number a published box stands for."""
    return round(box[0]) + WIDTH * round(box[1])


def _number(prepared: Prepared, row: int) -> int | None:
    grey = cv2.cvtColor(np.ascontiguousarray(prepared.tensor[row].transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    scale_x, scale_y, offset_x, offset_y = prepared.to_source[row]
    width, height = prepared.source_wh[row]
    top, left = round(float(offset_y)), round(float(offset_x))
    return read_number(grey[top : top + round(height * scale_y), left : left + round(width * scale_x)])


def _written(number: int | None) -> Detections | FrameFailed:
    if number is None:
        return FrameFailed("number not readable")
    x, y = number % WIDTH, number // WIDTH
    return Detections(
        np.array([[x, y, x + 20, y + 20]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32)
    )
