"""Serve wrapper of the detect stage: one deployment per model version, stateless."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from ray import serve

from pipeline.deployments.identity import set_up_replica_logs
from pipeline.deployments.progress import Progress
from pipeline.observe.settings import LogSettings
from stages.detect.detector import Detector, ModelSettings
from stages.values import Detected, Prepared

BATCHES_AT_ONCE = 2  # while one's boxes are read and sent, the next is inferred; a third would only wait


class DetectDeployment:
    """Batches what several shards send at once; one shard's batch is complete when it comes."""

    def __init__(
        self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings | None = None
    ) -> None:
        set_up_replica_logs(logs)
        # Loading exports and warms up: the replica is ready only when the model answers at speed.
        self._detector = Detector.load(settings, name)
        self._progress = Progress(stall_timeout_s)
        self._threads = ThreadPoolExecutor(BATCHES_AT_ONCE, "detect")
        # Frames are counted, not calls; no wait, for batches are made once, at ingest.
        self._batched.set_max_batch_size(settings.max_batch)  # type: ignore[attr-defined]

    async def __call__(self, prepared: Prepared) -> Detected:
        """Detections for every frame of one prepared batch."""
        with self._progress.working():
            answer: Detected = await self._batched(prepared)
            return answer

    @serve.batch(
        max_batch_size=8,
        batch_wait_timeout_s=0.0,
        batch_size_fn=lambda calls: sum(map(len, calls)),
        max_concurrent_batches=BATCHES_AT_ONCE,
    )
    async def _batched(self, calls: list[Prepared]) -> list[Detected]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._detector.detect_many, calls)

    def check_health(self) -> None:
        """Called by Serve; raising replaces this replica."""
        self._progress.check()
