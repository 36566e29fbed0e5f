"""A shard's running totals told to the metrics: what was added since the last look, twice a second, not per frame."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ingest.camera_state import CameraStatus
from pipeline.observe.metrics import Metrics
from stages.values import CameraId

Totals = dict[str, int]


class TotalsTold:
    """Remembers what it told, so that each frame, drop and reconnection is counted once."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._read: dict[CameraId, Totals] = {}  # of cameras that are read now: a camera added anew counts from 0
        self._carried: dict[CameraId, Totals] = {}  # drops behind the hand-over, which go on after a camera has left

    def camera(self, status: CameraStatus) -> None:
        """How a camera does now. Its state is told every time: Ray lets go of a gauge that is not."""
        camera_id = status.camera_id
        told = self._read.setdefault(camera_id, {})
        self._metrics.frames_in(camera_id, _added(told, "in", status.frames_in))
        self._metrics.reconnected(camera_id, _added(told, "reconnects", status.reconnects))
        for reason, total in status.dropped.items():
            self._metrics.frames_dropped(camera_id, reason, _added(told, f"dropped {reason}", total))
        self._metrics.camera_state(camera_id, status.state.value)

    def carried(self, dropped: Mapping[CameraId, Mapping[str, int]]) -> None:
        """What left the road behind the hand-over, by camera and reason."""
        for camera_id, reasons in dropped.items():
            told = self._carried.setdefault(camera_id, {})
            for reason, total in reasons.items():
                self._metrics.frames_dropped(camera_id, reason, _added(told, reason, total))

    def gone(self, status: CameraStatus) -> None:
        """The camera was taken away; this was the last of it."""
        self.camera(status)
        self._read.pop(status.camera_id, None)
        self._metrics.camera_gone(status.camera_id)


def _added(told: Totals, name: str, total: int) -> int:
    before = told.get(name, 0)
    told[name] = total
    return total - before
