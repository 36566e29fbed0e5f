"""Serve wrapper of preprocess and detect in one process: a hop and a copy of the tensor less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.deployments.detect import DetectReplica
from pipeline.deployments.load import shed_before
from pipeline.deployments.tracing import prepared_now
from pipeline.observe.settings import LogSettings
from stages.detect.detector import ModelSettings
from stages.geometry import Roi
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, Detected, FrameBatch, Prepared, Thresholds


@dataclass(frozen=True, slots=True)
class Unprepared:
    """One call: a shard's frames as they were decoded."""

    batch: FrameBatch
    rois: Mapping[CameraId, Roi]
    thresholds: Thresholds | None = None

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def shed(self) -> int:
        """See `Call`."""
        return shed_before(self.batch)


class FusedDeployment(DetectReplica[Unprepared]):
    """In place of both: one batch is prepared while another is inferred."""

    def __init__(
        self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings | None = None
    ) -> None:
        super().__init__(name, settings, stall_timeout_s, logs)
        self._preprocessor = Preprocessor(settings.image_size)

    async def __call__(
        self, batch: FrameBatch, rois: Mapping[CameraId, Roi], thresholds: Thresholds | None = None
    ) -> Detected:
        """Detections for every frame of one batch."""
        return await self._detected(Unprepared(batch, rois, thresholds))

    def _prepared(self, calls: Sequence[Unprepared]) -> Sequence[Prepared]:
        return [self._prepare(call) for call in calls]

    def _prepare(self, call: Unprepared) -> Prepared:
        prepared = self._preprocessor.prepare(call.batch.frames, call.rois)
        return prepared_now(replace(prepared, thresholds=call.thresholds), call.batch.trace, self._process)
