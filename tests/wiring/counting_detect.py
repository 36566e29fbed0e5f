"""A detect replica that tells how many calls went to the model together; importable, for Ray's workers."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.deployments.fused import FusedDeployment
from pipeline.observe.settings import LogSettings
from stages.detect.detector import Detector
from stages.detect.settings import ModelSettings
from stages.geometry import Roi
from stages.values import CameraId, Detected, Detections, FrameBatch, ModelInfo, Prepared, Thresholds

LOOK_S = 0.01


class Doors:
    """Where calls are seen coming and batches are held, for a test in another process: a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, what: str) -> None:
        """One more of it."""
        (self._folder / f"{what}-{uuid.uuid4().hex}").touch()

    def noted(self, what: str) -> int:
        """How many there were so far."""
        return len([*self._folder.glob(f"{what}-*")])

    def shut(self) -> None:
        """From now on each batch waits."""
        (self._folder / "shut").touch()

    def open(self) -> None:
        """All go on."""
        (self._folder / "shut").unlink(missing_ok=True)

    def go_through(self) -> None:
        """Returns when they are open."""
        while (self._folder / "shut").exists():
            time.sleep(LOOK_S)


class CallCounter:
    """In a Detector's place: answers nothing seen, and the number of calls as the model's version."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def detect_many(self, calls: Sequence[Prepared]) -> list[Detected]:
        """As Detector.detect_many."""
        self._doors.note("batch")
        self._doors.go_through()
        info = ModelInfo("counter", str(len(calls)), "0" * 64, ("thing",), runtime="fake")
        return [Detected(tuple(Detections.empty() for _ in call.stats), call.stats, info) for call in calls]


def count_calls(settings: ModelSettings, name: str) -> Detector:
    """In place of Detector.load."""
    return CallCounter(Doors(Path(settings.weights)))  # type: ignore[return-value]


class CountingFused(FusedDeployment):
    """Takes the place of FusedDeployment; batching, threads and health are its own. Its weights name the doors."""

    load = staticmethod(count_calls)

    def __init__(
        self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings | None = None
    ) -> None:
        super().__init__(name, settings, stall_timeout_s, logs)
        self._doors = Doors(Path(settings.weights))

    async def __call__(
        self, batch: FrameBatch, rois: Mapping[CameraId, Roi], thresholds: Thresholds | None = None
    ) -> Detected:
        """As FusedDeployment; whoever notes a call and lets others run finds it waiting for the model."""
        self._doors.note("call")
        return await super().__call__(batch, rois, thresholds)
