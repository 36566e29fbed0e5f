"""Serve wrapper of track, inspect and publish: stateful, one replica per shard at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from pipeline.answers import BatchAnswer, CameraAnswer, Outcome
from pipeline.deployments.identity import set_up_replica_logs
from pipeline.deployments.job import CameraJob
from pipeline.deployments.progress import Progress
from pipeline.deployments.tracked_camera import Seen, TrackedCamera
from pipeline.observe.logs import log_context
from pipeline.observe.metrics import ray_metrics
from pipeline.observe.settings import LogSettings
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams, WriteOutcome
from pipeline.sinks.snapshots import Snapshots, SnapshotSettings
from stages.track.tracker import Tracker, TrackSettings
from stages.values import CameraId, Detected, FrameBatch, ModelInfo

logger = logging.getLogger(__name__)

NO_MODEL = ModelInfo("", "", "", ())
REDIS, SNAPSHOTS = "redis", "snapshots"  # what sinks are called in the metrics


class TrackDeployment:
    """Owns the cameras whose shards are routed here, and writes their results.

    `graph` are the handles of the stages before: Serve runs what the ingress is bound to, and the calls come from the
    ingest actors.
    """

    def __init__(
        self,
        redis: RedisSettings,
        snapshots: SnapshotSettings | None,
        stall_timeout_s: float,
        graph: Mapping[str, object],
        logs: LogSettings | None = None,
    ) -> None:
        set_up_replica_logs(logs)
        self._redis = RedisStreams(redis)
        self._snapshots = Snapshots(snapshots) if snapshots is not None else None
        self._metrics = ray_metrics()
        self._progress = Progress(stall_timeout_s)
        self._cameras: dict[CameraId, TrackedCamera] = {}
        self._broken: dict[CameraId, str] = {}  # what was last told of cameras whose work raises
        self._locks: dict[CameraId, asyncio.Lock] = {}
        self._left: dict[CameraId, tuple[list[bytes], list[bytes]]] = {}  # of cameras let go: still to be written
        Tracker(TrackSettings())  # loads the tracker library: seconds that the first frames would wait for

    async def __call__(
        self, batch: FrameBatch, detected: Detected | None, jobs: Mapping[CameraId, CameraJob]
    ) -> BatchAnswer:
        """Work on one batch and publish it; a shard's batches come one after another, each when this has answered."""
        async with AsyncExitStack() as one_call_per_camera:
            # A call that was given up may still be at work here when the same frames are sent again.
            for camera_id in sorted(jobs):
                await one_call_per_camera.enter_async_context(self._locks.setdefault(camera_id, asyncio.Lock()))
            try:
                return await self._answer(batch, detected, jobs)
            except BaseException:
                # Half-done: what the trackers have seen is not what is stored. They start from there again.
                for camera_id in jobs:
                    self._forget(camera_id)
                raise

    async def _answer(
        self, batch: FrameBatch, detected: Detected | None, jobs: Mapping[CameraId, CameraJob]
    ) -> BatchAnswer:
        try:
            await self._adopt(jobs)
        except SinkUnavailable:
            self._metrics.sink_failed(REDIS)
            return BatchAnswer({camera_id: CameraAnswer(Outcome.UNAVAILABLE) for camera_id in jobs})
        with self._progress.working():
            writes, broken = await asyncio.to_thread(self._work, batch, detected, jobs)
        outcomes = await self._publish(writes)
        waiting = await self._publish_loose(jobs.keys() - broken, jobs)
        answers = {camera_id: self._settle(camera_id, outcomes.get(camera_id)) for camera_id in jobs.keys() - broken}
        answers |= {camera_id: CameraAnswer(Outcome.FAILED) for camera_id in broken}
        for camera_id in broken:
            self._forget(camera_id)
        for camera_id in {end.camera_id for end in batch.ends} & jobs.keys() - broken:
            if camera_id not in waiting:
                self._forget(camera_id)
            elif answers[camera_id].outcome is Outcome.PUBLISHED:  # its last words are not stored yet
                answers[camera_id] = CameraAnswer(Outcome.UNAVAILABLE)
        self._count(detected, jobs, answers)
        return BatchAnswer(answers)

    async def _adopt(self, jobs: Mapping[CameraId, CameraJob]) -> None:
        """Take over cameras that are new here, or whose job changed, from what the store holds."""
        for camera_id, job in jobs.items():
            known = self._cameras.get(camera_id)
            if known is not None and known.job.config_hash == job.config_hash:
                continue
            self._forget(camera_id)
            stored = await self._redis.load(camera_id, job.line)
            camera = self._cameras[camera_id] = TrackedCamera(job, stored, self._snapshots)
            camera.inherit(*self._left.pop(camera_id, ((), ())))

    def _work(
        self, batch: FrameBatch, detected: Detected | None, jobs: Mapping[CameraId, CameraJob]
    ) -> tuple[list[CameraWrite], set[CameraId]]:
        """The writes, and the cameras whose work raised: one camera's fault does not touch the others."""
        seen = _by_camera(batch, detected)
        model = detected.model if detected is not None else NO_MODEL
        ends = {end.camera_id: end for end in batch.ends}
        now, started = time.time(), time.perf_counter()
        writes, broken = [], set()
        for camera_id in jobs:
            notices = [n for n in batch.notices if n.camera_id == camera_id]
            camera = self._cameras[camera_id]
            with log_context(camera=camera_id):
                try:
                    write = camera.work(seen.get(camera_id, []), notices, ends.get(camera_id), model, now)
                except Exception as exc:  # the top of this camera's work: told, counted, and its state let go
                    self._tell_broken(camera_id, exc)
                    broken.add(camera_id)
                    continue
                self._broken.pop(camera_id, None)
            if write is not None:
                writes.append(write)
        if seen:
            self._metrics.stage_took("track", time.perf_counter() - started)
        return writes, broken

    def _tell_broken(self, camera_id: CameraId, exc: Exception) -> None:
        """Once in full, until the camera works again or fails in another way: a wrong recipe fails on every frame."""
        if self._broken.get(camera_id) != repr(exc):
            self._broken[camera_id] = repr(exc)
            logger.error("camera %s: its frames cannot be worked on and are lost", camera_id, exc_info=exc)

    async def _publish(self, writes: list[CameraWrite]) -> dict[str, WriteOutcome | None]:
        """One pipelined round trip for all cameras of the batch; None for all where the store cannot be reached."""
        if not writes:
            return {}
        started = time.perf_counter()
        try:
            outcomes = await self._redis.write(writes)
        except SinkUnavailable:
            self._metrics.sink_failed(REDIS)
            return {write.camera: None for write in writes}
        self._metrics.stage_took("publish", time.perf_counter() - started)
        return {write.camera: outcome for write, outcome in zip(writes, outcomes, strict=True)}

    async def _publish_loose(self, cameras: Iterable[CameraId], jobs: Mapping[CameraId, CameraJob]) -> set[CameraId]:
        """Camera states and verdicts of parts that never came to the trigger; returns whose still wait for Redis."""
        waiting = set()
        for camera_id in cameras:
            events, verdicts = self._cameras[camera_id].loose()
            if not (events or verdicts):
                continue
            try:
                await self._redis.append(camera_id, jobs[camera_id].line, events, verdicts)
            except SinkUnavailable:
                self._metrics.sink_failed(REDIS)
                logger.warning("camera %s: %d events wait for Redis", camera_id, len(events) + len(verdicts))
                waiting.add(camera_id)
            else:
                self._cameras[camera_id].loose_written()
        return waiting

    def _count(
        self, detected: Detected | None, jobs: Mapping[CameraId, CameraJob], answers: Mapping[CameraId, CameraAnswer]
    ) -> None:
        """What this call showed, for the metrics: per batch, never per frame."""
        for stage, took_ms in detected.timings_ms.items() if detected is not None else ():
            self._metrics.stage_took(stage, took_ms / 1e3)
        for camera_id, answer in answers.items():
            self._metrics.frames_failed(camera_id, answer.failed)
            for verdict, parts in answer.verdicts.items():
                self._metrics.parts_judged(jobs[camera_id].line, jobs[camera_id].station, verdict, parts)

    def _settle(self, camera_id: CameraId, outcome: WriteOutcome | None) -> CameraAnswer:
        camera = self._cameras[camera_id]
        answer = camera.settle(outcome, time.time())
        for _ in range(camera.snapshots_failed):
            self._metrics.sink_failed(SNAPSHOTS)
        camera.snapshots_failed = 0
        if not camera.trusted:
            self._forget(camera_id)
        return answer

    def _forget(self, camera_id: CameraId) -> None:
        camera = self._cameras.pop(camera_id, None)
        if camera is None:
            return
        camera.close()
        events, verdicts = camera.leave()
        if events or verdicts:
            self._left[camera_id] = (events, verdicts)

    def check_health(self) -> None:
        """Called by Serve; raising replaces this replica."""
        self._progress.check()


def _by_camera(batch: FrameBatch, detected: Detected | None) -> dict[CameraId, list[Seen]]:
    seen: dict[CameraId, list[Seen]] = {}
    if detected is None:
        return seen
    for frame, found, stats in zip(batch.frames, detected.detections, detected.stats, strict=True):
        timings_ms = dict(detected.timings_ms)
        seen.setdefault(frame.camera_id, []).append(Seen(frame, found, stats, timings_ms))
    return seen
