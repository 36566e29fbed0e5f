"""A detect deployment whose detections are the numbers that the pictures carry; importable, for Ray's workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from pipeline.observe.settings import LogSettings
from stages.detect.settings import ModelSettings
from stages.preprocess.letterbox import Preprocessor, Roi
from stages.values import CameraId, Detected, Detections, FrameBatch, FrameFailed, ModelInfo, Prepared
from tests.numbered import read_number

SLOW_S, FAST_S = 0.12, 0.005
WIDTH = 600  # numbers are written as places: x = n % WIDTH, y = n // WIDTH


class NumberedDetect:
    """Takes the place of DetectDeployment; the first replica to come up is slow, the others are fast.

    `settings.weights` names a folder: `slow` in it is taken by the slow replica.
    """

    def __init__(self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings) -> None:
        marker = Path(settings.weights) / "slow"
        try:
            marker.touch(exist_ok=False)
            self._delay_s = SLOW_S
        except FileExistsError:
            self._delay_s = FAST_S
        self._info = ModelInfo(name, "1", "0" * 64, ("number",), runtime="fake")

    async def __call__(self, prepared: Prepared) -> Detected:
        """As `DetectDeployment`."""
        started = time.perf_counter()
        await asyncio.sleep(self._delay_s)
        found: list[Detections | FrameFailed] = [FrameFailed("not prepared") for _ in prepared.stats]
        for row, index in enumerate(prepared.index):
            found[index] = _written(_number(prepared, row))
        timings = {"detect": (time.perf_counter() - started) * 1e3}
        return Detected(tuple(found), prepared.stats, self._info, timings)


class NumberedFused(NumberedDetect):
    """Takes the place of FusedDeployment."""

    def __init__(self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings) -> None:
        super().__init__(name, settings, stall_timeout_s, logs)
        self._preprocessor = Preprocessor(settings.image_size)

    async def __call__(self, batch: FrameBatch, rois: Mapping[CameraId, Roi]) -> Detected:  # type: ignore[override]
        """As `FusedDeployment`."""
        return await super().__call__(self._preprocessor.prepare(batch.frames, rois))


def number_of(box: list[float]) -> int:
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
