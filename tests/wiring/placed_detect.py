"""A detect replica that tells where it is: its `runtime` is the id of its node; for Ray's workers."""

from __future__ import annotations

import ray

from pipeline.deployments.fused import FusedDeployment
from stages.detect.detector import Detector, ModelSettings
from stages.values import Detected, ModelInfo, Prepared
from tests.numbered_model import read_numbers


class PlacedNumbers:
    """In a Detector's place."""

    def __init__(self, name: str) -> None:
        node = str(ray.get_runtime_context().get_node_id())
        self._info = ModelInfo(name, "1", "0" * 64, ("number",), runtime=node)

    def detect_many(self, calls: list[Prepared]) -> list[Detected]:
        """As Detector.detect_many."""
        return [Detected(read_numbers(call), call.stats, self._info, {"detect": 1.0}) for call in calls]


def _load(settings: ModelSettings, name: str) -> Detector:
    return PlacedNumbers(name)  # type: ignore[return-value]


class PlacedFused(FusedDeployment):
    """Takes the place of FusedDeployment; batching, threads and health are its own."""

    load = staticmethod(_load)
