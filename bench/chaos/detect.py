"""The drill's detect stage: the numbers in numbered pictures read by the real replica; every other model as it is."""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path

from pipeline.deployments.fused import FusedDeployment
from stages.detect.detector import Detector, ModelSettings
from stages.values import Detected, ModelInfo, Prepared
from tests.numbered_model import read_numbers

NUMBERS = "numbers"  # the model that reads them
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
        return Detected(read_numbers(prepared), prepared.stats, self._info, {"detect": 1.0})


def load_numbers(settings: ModelSettings, name: str) -> Detector:
    """In place of Detector.load."""
    return NumberReader(name, Path(settings.weights)) if name == NUMBERS else Detector.load(settings, name)  # type: ignore[return-value]


class DrillFused(FusedDeployment):
    """Takes the place of FusedDeployment; batching, threads and health are its own."""

    load = staticmethod(load_numbers)
