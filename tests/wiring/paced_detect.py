"""A detect replica that does so many frames a second and no more, whatever else the machine does; for Ray's workers."""

from __future__ import annotations

import threading
import time

from pipeline.deployments.fused import FusedDeployment
from stages.detect.detector import Detector, ModelSettings
from stages.values import Detected, ModelInfo, Prepared
from tests.numbered_model import read_numbers

FRAMES_PER_S = 20


class PacedNumbers:
    """In a Detector's place: one frame after another, each in its time."""

    def __init__(self, name: str) -> None:
        self._info = ModelInfo(name, "1", "0" * 64, ("number",), runtime="fake")
        self._one_at_a_time = threading.Lock()

    def detect_many(self, calls: list[Prepared]) -> list[Detected]:
        """As Detector.detect_many."""
        with self._one_at_a_time:
            time.sleep(sum(map(len, calls)) / FRAMES_PER_S)
        return [Detected(read_numbers(call), call.stats, self._info, {"detect": 1.0}) for call in calls]


def _load(settings: ModelSettings, name: str) -> Detector:
    return PacedNumbers(name)  # type: ignore[return-value]


class PacedFused(FusedDeployment):
    """Takes the place of FusedDeployment; batching, threads, load and health are its own."""

    load = staticmethod(_load)
