"""Where a track replica's results go: to Redis, and while that is away those of live cameras to disk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from pipeline.deployments.spool_ledger import News
from pipeline.deployments.spooling import Spooling, entry_of
from pipeline.deployments.tracked_camera import TrackedCamera
from pipeline.deployments.untold import Untold
from pipeline.observe.logs import log_context
from pipeline.observe.metrics import Metrics
from pipeline.sinks.errors import KeyRefused, SinkUnavailable
from pipeline.sinks.late_writes import is_live, lost_tail, rebased
from pipeline.sinks.redis_streams import CameraWrite, RedisStreams, Stored, WriteOutcome, WriteStatus
from pipeline.sinks.spool import Loose, Newest
from stages.results.messages import ResultContext
from stages.values import CameraId, LineId

logger = logging.getLogger(__name__)

REDIS = "redis"  # what the sink is called in the metrics
_MOST_TRACES = 16  # of batches that wait for the next write; the oldest go


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of the writes of a batch, by camera; None where the store could not be reached."""

    outcomes: Mapping[str, WriteOutcome | None] = field(default_factory=dict)
    spooled: frozenset[str] = frozenset()  # cameras whose write lies on disk instead

    @property
    def away(self) -> bool:
        """True where the store could not be reached."""
        return None in self.outcomes.values()


class ResultSink:
    """Redis, and a spool before it, if there is one. Without a spool every call waits for Redis as long as it takes."""

    def __init__(self, redis: RedisStreams, spool: Spooling | None, metrics: Metrics) -> None:
        self._redis = redis
        self._spool = spool
        self._metrics = metrics
        self._traces: deque[bytes] = deque(maxlen=_MOST_TRACES)

    def start(self) -> None:
        """Begin to store what waits on disk; may be called more than once, on the loop."""
        if self._spool is not None:
            self._spool.start()

    def news(self, line: LineId, camera_id: CameraId) -> News | None:
        """What became of the camera's frames on disk, told once; None where that is nothing and none wait."""
        return None if self._spool is None else self._spool.news((line, camera_id))

    async def load(self, shard: str, line: LineId, camera_id: CameraId) -> Stored:
        """Where the camera stands: by what waits on disk, else by Redis. Raises SinkUnavailable, or KeyRefused."""
        newest = None if self._spool is None else await self._spool.newest(shard, (line, camera_id))
        if newest is not None and newest.checkpoint is not None:
            return Stored(newest.cursor, newest.checkpoint)
        async with self._reaching(patience_s=None):  # a first connection takes longer than a frame may wait
            stored = await self._redis.load(camera_id, line)
        return stored if newest is None else _further(stored, newest)

    async def write(
        self, shard: str, writes: Sequence[CameraWrite], cameras: Mapping[CameraId, TrackedCamera]
    ) -> Landed:
        """One pipelined round trip for all cameras of the batch; what waits on disk already has the new behind it."""
        held = [w for w in writes if self._spool is not None and self._spool.holds((w.line, w.camera))]
        direct = [write for write in writes if write not in held]
        outcomes = {**dict.fromkeys([write.camera for write in held]), **await self._write(direct)}
        late = [write for write in writes if is_live(write.new) and _is_away(outcomes[write.camera])]
        if self._spool is None or not late:
            return Landed(outcomes)
        started = time.perf_counter()
        # The first of them can be gone on from if this process dies: Redis will not tell then where the camera stood.
        late = [write if write in held else cameras[CameraId(write.camera)].with_checkpoint(write) for write in late]
        stored = await self._spool.put(
            shard, [entry_of(write, cameras[CameraId(write.camera)].context) for write in late]
        )
        self._metrics.stage_took("spool", time.perf_counter() - started)
        return Landed(outcomes, frozenset(camera for _, camera in stored))

    def trace(self, data: bytes) -> None:
        """A batch's traces, to go with the next write; where that does not land they are lost, and nobody is harmed."""
        self._traces.append(data)

    async def say(self, shard: str, line: LineId, camera_id: CameraId, untold: Untold, context: ResultContext) -> bool:
        """Messages of a live camera that no frame stands behind: in Redis or on disk. False while they wait."""
        if self._spool is None:
            return await self.append(line, camera_id, untold)
        if not self._spool.holds((line, camera_id)) and await self.append(line, camera_id, untold):
            return True
        loose = Loose(camera_id, line, untold.events, untold.verdicts, untold.checkpoint)
        return bool(await self._spool.put(shard, [entry_of(loose, context)]))

    async def append(self, line: LineId, camera_id: CameraId, untold: Untold) -> bool:
        """True once it is in Redis, or refused and so lost; False while it waits for Redis."""
        patience_s = None if self._spool is None else self._spool.patience_s  # a live batch may wait behind it
        with log_context(camera=camera_id):
            try:
                async with self._reaching(patience_s):
                    await self._redis.append(camera_id, line, untold.events, untold.verdicts, untold.checkpoint)
            except KeyRefused as exc:
                logger.error("camera %s: of %d events and verdicts some are lost: %s", camera_id, len(untold), exc)  # noqa: TRY400 - Redis said all
            except SinkUnavailable:
                logger.log(
                    logging.WARNING if self._spool is None else logging.DEBUG,
                    "camera %s: %d events and verdicts wait for Redis",
                    *(camera_id, len(untold)),
                )
                return False
        return True

    async def _write(self, writes: Sequence[CameraWrite]) -> dict[str, WriteOutcome | None]:
        if not writes:
            return {}
        live = all(is_live(write.new) for write in writes)
        patience_s = self._spool.patience_s if self._spool is not None and live else None
        started = time.perf_counter()
        try:
            async with self._reaching(patience_s):
                outcomes = await self._written(writes)
        except SinkUnavailable:
            return {write.camera: None for write in writes}
        self._metrics.stage_took("publish", time.perf_counter() - started)
        for _ in (outcome for outcome in outcomes if outcome.status in (WriteStatus.AWAY, WriteStatus.REFUSED)):
            self._metrics.sink_failed(REDIS)
        return {write.camera: outcome for write, outcome in zip(writes, outcomes, strict=True)}

    async def _written(self, writes: Sequence[CameraWrite]) -> list[WriteOutcome]:
        """A live camera goes on behind what Redis was left with when it lost its tail."""
        traces, self._traces = self._traces, deque(maxlen=_MOST_TRACES)
        outcomes = await self._redis.write(writes, traces)
        moved = {
            i: again
            for i, (write, outcome) in enumerate(zip(writes, outcomes, strict=True))
            if (again := rebased(write, outcome)) is not None
        }
        for i, outcome in zip(moved, await self._redis.write(list(moved.values())), strict=True):
            logger.warning("camera %s: Redis had lost its tail; goes on behind it", writes[i].camera)
            outcomes[i] = replace(outcome, lost_tail=lost_tail(writes[i].prev or "", moved[i].prev))
        return outcomes

    @asynccontextmanager
    async def _reaching(self, patience_s: float | None) -> AsyncIterator[None]:
        """Inside Redis is asked, for so long. A failure is counted, and others leave it alone for a while."""
        if self._spool is not None and self._spool.away:
            raise SinkUnavailable("redis is away: it is being tried beside")
        try:
            async with asyncio.timeout(patience_s):
                yield
        except TimeoutError as exc:
            self._lost_it()
            raise SinkUnavailable(f"redis gave no answer within {patience_s} s") from exc
        except KeyRefused:
            self._metrics.sink_failed(REDIS)
            raise
        except SinkUnavailable:
            self._lost_it()
            raise

    def _lost_it(self) -> None:
        self._metrics.sink_failed(REDIS)
        if self._spool is not None:
            self._spool.gone_away()


def _is_away(outcome: WriteOutcome | None) -> bool:
    return outcome is None or outcome.status is WriteStatus.AWAY


def _further(stored: Stored, newest: Newest) -> Stored:
    """Where a camera stands by both: Redis has a checkpoint, and one of them the later cursor."""
    if is_live(stored.cursor) and (stored.cursor or "") > newest.cursor:
        return stored
    return replace(stored, cursor=newest.cursor)
