"""Serve wrapper of the preprocess stage: stateless, scales."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from pipeline.deployments.identity import process_name, set_up_replica_logs
from pipeline.deployments.load import shed_before
from pipeline.deployments.progress import Progress
from pipeline.deployments.tracing import prepared_now
from pipeline.observe.settings import LogSettings
from stages.geometry import Roi
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, FrameBatch, Prepared, Thresholds


class PreprocessDeployment:
    """One preprocessor per model rectangle; a call carries a whole batch."""

    def __init__(
        self, sizes_hw: Mapping[str, tuple[int, int]], stall_timeout_s: float, logs: LogSettings | None = None
    ) -> None:
        set_up_replica_logs(logs)
        self._preprocessors = {model: Preprocessor(size_hw) for model, size_hw in sizes_hw.items()}
        self._progress = Progress(stall_timeout_s)
        self._process = process_name()

    async def __call__(
        self, batch: FrameBatch, model: str, rois: Mapping[CameraId, Roi], thresholds: Thresholds | None = None
    ) -> Prepared:
        """The batch as one tensor for `model`, beside the numbers camera health is judged by."""
        with self._progress.working():
            prepared = await asyncio.to_thread(self._preprocessors[model].prepare, batch.frames, rois)
            prepared = replace(prepared, shed=shed_before(batch), thresholds=thresholds)
            return prepared_now(prepared, batch.trace, self._process)

    def check_health(self) -> None:
        """Called by Serve; raising replaces this replica."""
        self._progress.check()
