"""The drill's detect stage: the numbers in numbered pictures read by the real replica; every other model as it is."""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from pipeline.deployments.fused import FusedDeployment
from stages.detect.detector import Detector, ModelSettings
from stages.values import Detected, Detections, FrameFailed, ModelInfo, Prepared
from tests.numbered import read_number

NUMBERS = "numbers"  # the model that reads them
WIDTH = 600  # a number is written as a place: x = n % WIDTH, y = n // WIDTH


SLEEP, HOLD, SLOW = "sleep", "hold", "slow"  # orders, as empty files in the folder that is the model's `weights`
SLOW_S = 2.0


class NumberReader:
    """In a Detector's place: one box per picture, and where it lies tells the number.

    It obeys an order: `sleep` never to return, `hold` the interpreter for ever (each is taken by the first that sees
    it), or be `slow` while that lies there.
    """

    def __init__(self, name: str, orders: Path) -> None:
        self._info = ModelInfo(name, "1", "0" * 64, ("number",), runtime="fake")
        self._orders = orders

    def detect_many(self, calls: list[Prepared]) -> list[Detected]:
        """As Detector.detect_many."""
        if self._takes(SLEEP):
            threading.Event().wait()
        if self._takes(HOLD):
            ctypes.PyDLL(None).pause()  # PyDLL, unlike CDLL, holds the interpreter's lock
        if (self._orders / SLOW).exists():
            time.sleep(SLOW_S)
        return [self._answer(call) for call in calls]

    def _takes(self, order: str) -> bool:
        try:
            (self._orders / order).unlink()
        except FileNotFoundError:
            return False
        return True

    def _answer(self, prepared: Prepared) -> Detected:
        found: list[Detections | FrameFailed] = [FrameFailed("not prepared") for _ in prepared.stats]
        for row, index in enumerate(prepared.index):
            found[index] = _written(_number(prepared, row))
        return Detected(tuple(found), prepared.stats, self._info, {"detect": 1.0})


def _load(settings: ModelSettings, name: str) -> Detector:
    return NumberReader(name, Path(settings.weights)) if name == NUMBERS else Detector.load(settings, name)  # type: ignore[return-value]


class DrillFused(FusedDeployment):
    """Takes the place of FusedDeployment; batching, threads and health are its own."""

    load = staticmethod(_load)


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
