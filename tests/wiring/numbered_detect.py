"""A detect deployment whose detections are the numbers that the pictures carry; importable, for Ray's workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from bench.chaos.detect import load_numbers
from pipeline.deployments.detect import DetectDeployment
from pipeline.observe.settings import LogSettings
from stages.detect.settings import ModelSettings
from stages.geometry import Roi
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, Detected, FrameBatch, ModelInfo, Prepared, Thresholds
from tests.numbered_model import read_numbers

SLOW_S, FAST_S = 0.12, 0.005


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
        found = read_numbers(prepared)
        timings = {"detect": (time.perf_counter() - started) * 1e3}
        return Detected(found, prepared.stats, self._info, timings)


class NumberedFused(NumberedDetect):
    """Takes the place of FusedDeployment."""

    def __init__(self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings) -> None:
        super().__init__(name, settings, stall_timeout_s, logs)
        self._preprocessor = Preprocessor(settings.image_size)

    async def __call__(  # type: ignore[override]
        self, batch: FrameBatch, rois: Mapping[CameraId, Roi], thresholds: Thresholds | None = None
    ) -> Detected:
        """As `FusedDeployment`."""
        return await super().__call__(self._preprocessor.prepare(batch.frames, rois))


class NumberedReplica(DetectDeployment):
    """Takes the place of DetectDeployment; batching, threads and traces are its own, only the model is not."""

    load = staticmethod(load_numbers)
