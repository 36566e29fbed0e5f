"""Serve wrapper of the detect stage: one deployment per model version, stateless."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from ray import serve

from pipeline.deployments.identity import process_name, set_up_replica_logs
from pipeline.deployments.load import LoadMeter
from pipeline.deployments.progress import Progress
from pipeline.deployments.scaling import stats_of
from pipeline.deployments.tracing import detected_now
from pipeline.deployments.turns import Turns
from pipeline.observe.settings import LogSettings
from stages.detect.detector import Detector, ModelSettings
from stages.values import Detected, Prepared

BATCHES_AT_ONCE = 2  # while one's boxes are read and sent, the next is inferred; a third would only wait


class Call(Protocol):
    """What one call brings; its length is in frames."""

    @property
    def shed(self) -> int:
        """Frames of its cameras that found no room on the way here, since the call before."""

    def __len__(self) -> int: ...


_Call = TypeVar("_Call", bound=Call)


class DetectReplica(Generic[_Call]):
    """Batches what several shards send at once; one shard's batch is complete when it comes."""

    load = staticmethod(Detector.load)  # a drill has another in its place

    def __init__(
        self, name: str, settings: ModelSettings, stall_timeout_s: float, logs: LogSettings | None = None
    ) -> None:
        set_up_replica_logs(logs)
        # Loading exports and warms up: the replica is ready only when the model answers at speed.
        self._detector = self.load(settings, name)
        self._progress = Progress(stall_timeout_s)
        self._process = process_name()
        self._load = LoadMeter()
        self._threads = ThreadPoolExecutor(BATCHES_AT_ONCE, "detect")
        # Frames are counted, not calls; no wait, for batches are made once, at ingest.
        self._turns = Turns(BATCHES_AT_ONCE, settings.max_batch)
        self._batched.set_max_batch_size(settings.max_batch)  # type: ignore[attr-defined]

    async def _detected(self, call: _Call) -> Detected:
        with self._progress.working(), self._load.working(len(call), call.shed):
            async with self._turns.turn(len(call)):
                answer: Detected = await self._batched(call)
                return answer

    @serve.batch(
        max_batch_size=8,
        batch_wait_timeout_s=0.0,
        batch_size_fn=lambda calls: sum(map(len, calls)),
        max_concurrent_batches=BATCHES_AT_ONCE,
    )
    async def _batched(self, calls: list[_Call]) -> list[Detected]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._work, calls)

    def _work(self, calls: Sequence[_Call]) -> list[Detected]:
        prepared = self._prepared(calls)
        answers = self._detector.detect_many(prepared)
        return [detected_now(answer, call, self._process) for answer, call in zip(answers, prepared, strict=True)]

    def _prepared(self, calls: Sequence[_Call]) -> Sequence[Prepared]:
        raise NotImplementedError

    def check_health(self) -> None:
        """Called by Serve; raising replaces this replica."""
        self._progress.check()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Called by Serve once a second where it scales: it counts calls, we count frames."""
        return stats_of(self._load.take())


class DetectDeployment(DetectReplica[Prepared]):
    """Behind the preprocess deployment."""

    async def __call__(self, prepared: Prepared) -> Detected:
        """Detections for every frame of one prepared batch."""
        return await self._detected(prepared)

    def _prepared(self, calls: Sequence[Prepared]) -> Sequence[Prepared]:
        return calls
