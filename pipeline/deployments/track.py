"""Serve wrapper of track, inspect and publish: stateful, one replica per shard at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import ParamSpec, TypeVar

from pipeline.answers import BatchAnswer, CameraAnswer, Gap, Outcome
from pipeline.deployments.camera_road import Seen
from pipeline.deployments.identity import process_name, set_up_replica_logs
from pipeline.deployments.job import CameraJob, rois_of
from pipeline.deployments.progress import Progress
from pipeline.deployments.result_sink import Landed, ResultSink
from pipeline.deployments.spooling import Spooling
from pipeline.deployments.tracing import marked
from pipeline.deployments.tracked_camera import TrackedCamera
from pipeline.deployments.untold import Backlog, Untold
from pipeline.observe.logs import log_context
from pipeline.observe.metrics import Metrics, ray_metrics
from pipeline.observe.settings import LogSettings
from pipeline.observe.traces import encoded, frame_traces
from pipeline.sinks.errors import KeyRefused, SinkUnavailable
from pipeline.sinks.preview_settings import PreviewSettings
from pipeline.sinks.previews import Previews
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams
from pipeline.sinks.snapshots import Snapshots, SnapshotSettings
from pipeline.sinks.spool_settings import SpoolSettings
from stages.geometry import Roi
from stages.trace import Stage, Trace
from stages.track.tracker import Tracker, TrackSettings
from stages.values import CameraId, Detected, FrameBatch, ModelInfo

logger = logging.getLogger(__name__)

NO_MODEL = ModelInfo("", "", "", ())
SNAPSHOTS = "snapshots"  # what the sink is called in the metrics
BACKLOG_A_BATCH = 4  # cameras whose last words are told behind one batch: its answer waits for them

Jobs = Mapping[CameraId, CameraJob]
Rois = Mapping[CameraId, Roi]
ByCamera = Mapping[CameraId, Sequence[Seen]]

_P = ParamSpec("_P")
_T = TypeVar("_T")


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
        spool: SpoolSettings | None = None,
        metrics: Metrics | None = None,
        previews: PreviewSettings | None = None,
    ) -> None:
        set_up_replica_logs(logs)
        self._redis = RedisStreams(redis)
        self._snapshots = Snapshots(snapshots) if snapshots is not None else None
        self._previews = Previews(redis, previews) if previews is not None else None
        self._metrics = metrics or ray_metrics()
        self._spool = None if spool is None else Spooling(redis, self._redis, spool, self._metrics)
        self._sink = ResultSink(self._redis, self._spool, self._metrics)
        self._progress = Progress(stall_timeout_s)
        self._process = process_name()
        self._cameras: dict[CameraId, TrackedCamera] = {}
        self._broken: dict[CameraId, str] = {}  # what was last told of cameras whose work raises
        self._locks: dict[CameraId, asyncio.Lock] = {}
        self._backlog = Backlog()  # of cameras let go
        Tracker(TrackSettings())  # loads the tracker library: seconds that the first frames would wait for

    async def __call__(
        self,
        batch: FrameBatch,
        detected: Detected | None,
        jobs: Jobs,
        excused: Mapping[CameraId, Gap] | None = None,
        rois: Rois | None = None,
    ) -> BatchAnswer:
        """Work on one batch and publish it; a shard's batches come one after another, each when this has answered.

        `excused`: see `Graph.track`. `rois`: what was cut out for the model, by camera; left out, what the jobs say.
        """
        self._sink.start()
        async with AsyncExitStack() as one_call_per_camera:
            one_call_per_camera.enter_context(log_context(shard=batch.shard))
            # A call that was given up may still be at work here when the same frames are sent again.
            for camera_id in sorted(jobs):
                await one_call_per_camera.enter_async_context(self._locks.setdefault(camera_id, asyncio.Lock()))
            try:
                cut_out = rois if rois is not None else rois_of(jobs)
                return await self._answer(batch, detected, jobs, excused or {}, cut_out)
            except BaseException:
                # Half-done: what the trackers have seen is not what is stored. They start from there again.
                for camera_id in jobs:
                    self._forget(camera_id)
                raise

    async def _answer(
        self,
        batch: FrameBatch,
        detected: Detected | None,
        jobs: Jobs,
        excused: Mapping[CameraId, Gap],
        rois: Rois,
    ) -> BatchAnswer:
        answers, seen = await self._adopt(batch.shard, jobs), _by_camera(batch, detected, rois)
        here = {camera_id: job for camera_id, job in jobs.items() if camera_id not in answers}
        answers |= await self._behind(batch, seen, here, excused)
        away = any(answer.outcome is Outcome.UNAVAILABLE for answer in answers.values())
        cameras = {camera_id: self._cameras[camera_id] for camera_id in jobs if camera_id not in answers}
        trace = marked(None if detected is None else detected.trace, Stage.TO_TRACK, self._process)
        with self._progress.working():
            writes, broken = await _to_the_end(self._work, batch, detected, seen, cameras)
        trace = marked(trace, Stage.TRACK, self._process)
        for camera_id in broken:
            answers[camera_id] = CameraAnswer(Outcome.FAILED)
            self._forget(camera_id)
            del cameras[camera_id]
        landed = Landed()
        if self._spool is not None or not away:
            landed = await self._sink.write(batch.shard, writes, self._cameras)
        if trace is not None:
            self._tell_trace(batch, trace.then(Stage.PUBLISH, time.time(), self._process), landed)
        away = away or landed.away
        waiting = {camera_id for camera_id, camera in cameras.items() if camera.loose()}
        if self._spool is not None or not away:
            waiting = await self._publish_loose(batch.shard, waiting)
        answers |= {camera_id: self._settle(camera_id, landed) for camera_id in cameras}
        for camera_id in {end.camera_id for end in batch.ends} & cameras.keys():
            answers[camera_id] = self._let_end(camera_id, answers[camera_id], camera_id in waiting)
        if not (away or waiting):
            await self._tell_backlog()
        self._count(detected, jobs, answers)
        return BatchAnswer(answers)

    async def _behind(
        self, batch: FrameBatch, seen: ByCamera, jobs: Jobs, excused: Mapping[CameraId, Gap]
    ) -> dict[CameraId, CameraAnswer]:
        """Cameras whose frames do not follow what is stored, as after Redis lost its tail: they are read again.

        What is known here may be older than what is stored, where another replica had the camera meanwhile: so Redis is
        asked before anybody is sent back. It may be newer too: so Redis is asked before frames are taken for published.
        """
        ends = {end.camera_id: end for end in batch.ends}

        def is_behind(camera_id: CameraId) -> bool:
            camera = self._cameras[camera_id]
            return camera.is_behind(seen.get(camera_id, []), ends.get(camera_id), excused.get(camera_id))

        def repeats(camera_id: CameraId) -> bool:
            return self._cameras[camera_id].repeats(seen.get(camera_id, []))

        doubtful = {c: job for c, job in jobs.items() if is_behind(c) or repeats(c)}
        for camera_id in doubtful:
            self._forget(camera_id)
        answers = await self._adopt(batch.shard, doubtful)
        behind = [camera_id for camera_id in doubtful if camera_id not in answers and is_behind(camera_id)]
        return answers | {c: CameraAnswer(Outcome.BEHIND, self._cameras[c].cursor) for c in behind}

    async def _adopt(self, shard: str, jobs: Jobs) -> dict[CameraId, CameraAnswer]:
        """Take over cameras that are new here, or whose job is another one, from what is stored; else their answer."""
        answers: dict[CameraId, CameraAnswer] = {}
        away: Outcome | None = None  # one wait for Redis is enough
        for camera_id, job in jobs.items():
            known = self._cameras.get(camera_id)
            if known is not None and known.takes(job):
                continue
            if known is not None:
                known.pass_on()
            self._forget(camera_id)
            with log_context(camera=camera_id):
                failed = (self._spool is None and away) or await self._load(shard, camera_id, job)
            if failed is not None:
                answers[camera_id] = CameraAnswer(failed)
            if failed is Outcome.UNAVAILABLE:
                away = failed
        return answers

    async def _load(self, shard: str, camera_id: CameraId, job: CameraJob) -> Outcome | None:
        """None: it is here, and goes on from what is stored. Else why not."""
        try:
            stored = await self._sink.load(shard, job.line, camera_id)
        except KeyRefused as exc:  # its own affair: the others go on
            self._tell_broken(camera_id, exc)
            return Outcome.FAILED
        except SinkUnavailable as exc:
            logger.warning("camera %s: where it stands cannot be loaded: %s", camera_id, exc)
            return Outcome.UNAVAILABLE
        camera = self._cameras[camera_id] = TrackedCamera(job, stored, self._snapshots, self._previews)
        camera.inherit(self._backlog.take(job.line, camera_id))
        return None

    def _work(
        self,
        batch: FrameBatch,
        detected: Detected | None,
        seen: ByCamera,
        cameras: Mapping[CameraId, TrackedCamera],
    ) -> tuple[list[CameraWrite], set[CameraId]]:
        """The writes, and the cameras whose work raised: one camera's fault does not touch the others."""
        model = detected.model if detected is not None else NO_MODEL
        ends = {end.camera_id: end for end in batch.ends}
        now, started = time.time(), time.perf_counter()
        writes, broken = [], set()
        for camera_id, camera in cameras.items():
            notices = [n for n in batch.notices if n.camera_id == camera_id]
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

    async def _publish_loose(self, shard: str, cameras: Iterable[CameraId]) -> set[CameraId]:
        """Camera states and verdicts of parts that never came to the trigger; returns whose still wait for Redis."""
        waiting = set()
        for camera_id in cameras:
            camera, line = self._cameras[camera_id], self._cameras[camera_id].job.line
            if camera.live:
                done = await self._sink.say(shard, line, camera_id, camera.loose(), camera.context)
            else:  # a replayable one is sent again until they are stored: nothing of it lies on one disk alone
                done = await self._sink.append(line, camera_id, camera.loose())
            if done:
                camera.loose_written()
            else:
                waiting.add(camera_id)
        return waiting

    async def _tell_backlog(self) -> None:
        """Redis is there: what cameras that left had still to say, which nobody will send again."""
        for line, camera_id in self._backlog.waiting()[:BACKLOG_A_BATCH]:
            untold = self._backlog.take(line, camera_id)
            if not untold:  # another call has it
                continue
            done = False
            try:
                done = await self._sink.append(line, camera_id, untold)
            finally:
                rest = Untold(lost=untold.lost) if done else untold
                self._backlog.put_back(line, camera_id, rest)
            if not done:
                return

    def _count(self, detected: Detected | None, jobs: Jobs, answers: Mapping[CameraId, CameraAnswer]) -> None:
        """What this call showed, for the metrics: per batch, never per frame."""
        for stage, took_ms in detected.timings_ms.items() if detected is not None else ():
            self._metrics.stage_took(stage, took_ms / 1e3)
        for camera_id, answer in answers.items():
            self._metrics.frames_failed(camera_id, answer.failed)
            for verdict, parts in answer.verdicts.items():
                self._metrics.parts_judged(jobs[camera_id].line, jobs[camera_id].station, verdict, parts)

    def _tell_trace(self, batch: FrameBatch, road: Trace, landed: Landed) -> None:
        """The roads of the frames that are stored now; what waits on disk has not come to its end."""
        stored = {camera for camera, outcome in landed.outcomes.items() if outcome is not None} - landed.spooled
        traces = frame_traces(batch, road, stored)
        if traces:
            self._metrics.frames_traced(traces)
            self._sink.trace(encoded(traces))

    def _settle(self, camera_id: CameraId, landed: Landed) -> CameraAnswer:
        camera, now = self._cameras[camera_id], time.time()
        with log_context(camera=camera_id):
            is_spooled = camera_id in landed.spooled
            answer = camera.spooled(now) if is_spooled else camera.settle(landed.outcomes.get(camera_id), now)
        for reason, frames in answer.late_lost.items():  # the rest of them the spool counts
            self._metrics.frames_dropped(camera_id, reason, frames)
        if (news := self._sink.news(camera.job.line, camera_id)) is not None:
            camera.tell_lost(news.lost)  # in its next message: the one that was settled just now is on its way
            lost = Counter(answer.late_lost) + news.lost
            answer = replace(answer, late=news.stored, late_lost=lost, waiting=news.waiting)
        for _ in range(camera.pictures.take_failed()):
            self._metrics.sink_failed(SNAPSHOTS)
        if not camera.trusted:
            self._forget(camera_id)
        return answer

    def _let_end(self, camera_id: CameraId, answer: CameraAnswer, waits: bool) -> CameraAnswer:
        """The camera's stream is over; `waits`: its last words are not stored yet.

        A replayable one is sent again until they are. A live one is not: a later batch of this replica tells them.
        """
        camera = self._cameras.get(camera_id)
        if camera is None:
            return answer
        if not waits or camera.live is not False:
            self._forget(camera_id)
        if waits and not camera.live and answer.outcome is Outcome.PUBLISHED:
            return replace(answer, outcome=Outcome.UNAVAILABLE)
        return answer

    def _forget(self, camera_id: CameraId) -> None:
        camera = self._cameras.pop(camera_id, None)
        if camera is None:
            return
        camera.close()
        self._backlog.keep(camera.job.line, camera_id, camera.leave(time.time()))

    async def close(self) -> None:
        """Let go of what is open; what waits on disk stays there. Serve's replicas end without it, as by a SIGKILL."""
        if self._previews is not None:
            await asyncio.to_thread(self._previews.close)
        if self._spool is not None:
            await self._spool.close()
        await self._redis.close()

    def check_health(self) -> None:
        """Called by Serve; raising replaces this replica."""
        self._progress.check()


async def _to_the_end(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """In a thread. A cancelled call goes on only when the thread is done: it works on what the call guards."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        raise


def _by_camera(batch: FrameBatch, detected: Detected | None, rois: Rois) -> ByCamera:
    seen: dict[CameraId, list[Seen]] = {}
    if detected is None:
        return seen
    for frame, found, stats in zip(batch.frames, detected.detections, detected.stats, strict=True):
        one = Seen(frame, found, stats, dict(detected.timings_ms), rois.get(frame.camera_id))
        seen.setdefault(frame.camera_id, []).append(one)
    return seen
