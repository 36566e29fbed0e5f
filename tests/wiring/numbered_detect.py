"""A detect deployment whose detections are the numbers that the pictures carry; importable, for Ray's workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bench.chaos.detect import load_numbers
from pipeline.deployments.detect import DetectDeployment
from pipeline.observe.settings import LogSettings
from stages.detect.settings import ModelSettings
from stages.geometry import Roi
from stages.preprocess.letterbox import Preprocessor
from stages.values import (
    CameraId,
    Detected,
    Detections,
    FrameBatch,
    FrameFailed,
    ModelInfo,
    Prepared,
    Thresholds,
)
from tests.numbered_model import number_of, read_numbers

SLOW_S, FAST_S = 0.12, 0.005
PART_EVERY, PART_STEP, PART_WAY, SPECK_SCORE = 40, 8, 280, 0.4


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


class NumberedParts(NumberedDetect):
    """Takes the place of DetectDeployment: parts on a belt, which the number moves; a mark on each, and a faint speck.

    A part comes every PART_EVERY frames and goes PART_STEP pixels a frame.
    """

    def __init__(self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings) -> None:
        super().__init__(name, settings, stall_timeout_s, logs)
        self._info = ModelInfo(name, "1", "0" * 64, ("part", "mark", "speck"), runtime="fake")
        self._delay_s = FAST_S
        self._settings = settings

    async def __call__(self, prepared: Prepared) -> Detected:
        """As `DetectDeployment`."""
        kept = prepared.thresholds or self._settings.thresholds
        numbers = (await super().__call__(prepared)).detections
        found = tuple(one if isinstance(one, FrameFailed) else _parts(one, kept.min_score) for one in numbers)
        return Detected(found, prepared.stats, self._info, {"detect": 1.0})


def _parts(number: Detections, min_score: float) -> Detections:
    n = number_of(number.xyxy[0].tolist())
    x = float(n % PART_EVERY * PART_STEP)
    rows = [(2.0, 2.0, 6.0, 6.0, SPECK_SCORE, 2)]
    if x < PART_WAY:
        rows += [(x, 40.0, x + 40, 150.0, 0.9, 0), (x + 10, 45.0, x + 30, 60.0, 0.9, 1)]
    kept = [row for row in rows if row[4] >= min_score]
    table = np.array(kept, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int32))


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
