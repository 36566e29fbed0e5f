"""A detect replica that tells how many calls went to the model together; importable, for Ray's workers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.deployments.fused import FusedDeployment
from stages.detect.detector import Detector
from stages.detect.settings import ModelSettings
from stages.values import Detected, Detections, ModelInfo, Prepared

WORKS_S = 0.8


class CallCounter:
    """In a Detector's place: answers nothing seen, and the number of calls as the model's version."""

    def detect_many(self, calls: Sequence[Prepared]) -> list[Detected]:
        """As Detector.detect_many."""
        time.sleep(WORKS_S)
        info = ModelInfo("counter", str(len(calls)), "0" * 64, ("thing",), runtime="fake")
        return [Detected(tuple(Detections.empty() for _ in call.stats), call.stats, info) for call in calls]


def count_calls(settings: ModelSettings, name: str) -> Detector:
    """In place of Detector.load."""
    return CallCounter()  # type: ignore[return-value]


class CountingFused(FusedDeployment):
    """Takes the place of FusedDeployment; batching, threads and health are its own."""

    load = staticmethod(count_calls)
