"""Live results that wait on disk while Redis is away, each behind the one before, until it is back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from typing import TypeVar

from pipeline.observe.logs import log_context
from pipeline.observe.metrics import Metrics
from pipeline.sinks.errors import SinkError, SinkUnavailable
from pipeline.sinks.late_writes import Fate, store
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams
from pipeline.sinks.spool import Entry, Loose, Newest, Owner, Shed, Spool, SpoolBroken, SpoolBusy, SpoolFull, Waiting
from pipeline.sinks.spool_folder import SpoolFolder
from pipeline.sinks.spool_settings import SpoolSettings, default_folder
from pipeline.sinks.storage_thread import StorageSlow, StorageThread
from stages.results.messages import ResultContext, camera_event_message, rfc3339
from stages.values import Event, LineId

logger = logging.getLogger(__name__)

ROUND_S = 1.0  # between two looks whether Redis is back
LOOK_FOR_LEFT_S = 30.0  # between two looks for files that nobody has open
GIVE_UP_S = 15.0  # that a file gives no answer while Redis does: then it holds nobody back any longer
ROWS_AT_ONCE = 64
FULL, EXPIRED, BROKEN = "spool_full", "spool_expired", "spool_broken"

_T = TypeVar("_T")


@dataclass(slots=True)
class _Absence:
    """What one camera has had on disk since it began to wait."""

    since: float  # Unix seconds
    context: Sequence[object] = ()
    stored: int = 0  # frames
    lost: Counter[str] = field(default_factory=Counter)  # frames, by reason


@dataclass(slots=True)
class News:
    """What became of a camera's frames on disk since it was last asked, and how many wait now."""

    stored: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    waiting: int = 0


class Spooling:
    """The spools of one track replica, and whether Redis is away. All methods on one event loop.

    The disk is touched by a thread of its own, and Redis by a connection of its own: what is `fresh` waits for neither.
    """

    def __init__(
        self,
        redis: RedisSettings,
        fresh: RedisStreams,
        settings: SpoolSettings,
        metrics: Callable[[], Metrics],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.patience_s = settings.patience_s
        self.away = False  # Redis could not be reached when it was last tried: nothing fresh tries it meanwhile
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._folder = SpoolFolder(settings.dir or default_folder(redis), settings)
        self._disk = StorageThread[object]("spool", settings.write_timeout_s)
        self._redis = RedisStreams(redis)
        self._fresh = fresh
        self._waiting: dict[str, Mapping[Owner, Waiting]] = {}  # by shard: as its file held it at last
        self._order: dict[str, int] = {}  # of what is in _waiting: answers of the disk may overtake each other
        self._jobs = 0
        self._absences: dict[Owner, _Absence] = {}
        self._news: dict[Owner, News] = {}
        self._complained: set[str] = set()  # shards whose file cannot be had, told once
        self._failing_since: dict[str, float] = {}  # monotonic, by shard
        self._aside: dict[str, str] = {}  # shard -> its damaged file's name, until an event tells it
        self._left_at = float("-inf")
        self._is_blocked = False  # the server is there, and cannot take some cameras' writes now
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to store what waits; may be called more than once, on the loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Let go of everything; what waits stays on disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=self._settings.write_timeout_s)
        await self._redis.close()
        with suppress(SinkError):
            await self._do(self._folder.close_all)
        await asyncio.to_thread(self._disk.close, self._settings.write_timeout_s)

    def holds(self, owner: Owner) -> bool:
        """True while something of this camera waits: what is new goes behind it, never past."""
        return any(owner in waiting for waiting in self._waiting.values())

    def gone_away(self) -> None:
        """Redis gave no answer: it is left alone until it answers again."""
        if not self.away:
            logger.warning("Redis is away: live results wait on disk in %s", self._folder.folder)
        self.away = True
        self._wake.set()

    def news(self, owner: Owner) -> News:
        """What became of its frames; told once."""
        news = self._news.pop(owner, News())
        news.waiting = sum(waiting[owner].frames for waiting in self._waiting.values() if owner in waiting)
        return news

    async def put(self, shard: str, entries: Sequence[Entry]) -> set[Owner]:
        """Put these on disk, each behind what waits of its camera. Answers whose entries lie there now."""
        by_file: dict[str, list[Entry]] = {}
        for entry in entries:
            by_file.setdefault(self._home(entry.owner) or shard, []).append(entry)
        stored: set[Owner] = set()
        for file, its in by_file.items():
            if await self._append(file, its):
                stored |= {entry.owner for entry in its}
        return stored

    async def newest(self, shard: str, owner: Owner) -> Newest | None:
        """Where the camera stands by what waits of it; None where nothing does, or another process has the file."""
        if not self.holds(owner):
            await self._take_over(shard, is_ours=True)
        file = self._home(owner)
        if file is None:
            return None
        try:
            return await self._ask(file, lambda spool: spool.newest(*owner))
        except SinkError as exc:
            await self._failed(file, exc)
            return None

    async def round(self) -> None:
        """Look whether Redis is there, and store what waits until nothing does or it is gone."""
        await self._look_for_left()
        await self._expire()
        self._is_blocked = False
        if self._waiting or self.away or self._absences:
            with suppress(SinkUnavailable):
                await self._redis.open()
                if self.away:  # while nobody else uses it: connecting may take longer than a fresh frame waits
                    await self._fresh.open()
                for shard in [*self._waiting]:
                    if not await self._drain(shard):
                        break
                else:
                    self._back()
                await self._tell_over()
        await self._tell_metrics()

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.round()
            except Exception:  # the top of this task: what waits goes on waiting
                logger.exception("storing what waits on disk failed, it is tried again")
            if self.away or self._is_blocked:
                await asyncio.sleep(ROUND_S)  # through what wakes it: each batch does

    async def _append(self, shard: str, entries: Sequence[Entry], again: bool = True) -> bool:
        now = self._clock()
        told = self._with_beginnings(shard, entries, now)
        try:
            shed = await self._ask(shard, lambda spool: spool.append(told, now))
        except SpoolBroken as exc:
            return await self._failed(shard, exc) and again and await self._append(shard, entries, again=False)
        except SinkError as exc:
            await self._failed(shard, exc)
            return False
        self._complained.discard(shard)
        self._aside.pop(shard, None)
        for entry in entries:
            absence = self._absences.setdefault(entry.owner, _Absence(now))
            absence.context = entry.context or absence.context
        self._note_shed(shed, FULL)
        self._wake.set()
        return True

    def _with_beginnings(self, shard: str, entries: Sequence[Entry], now: float) -> list[Entry]:
        """The same; each camera's first says that it begins to wait, and what became of a damaged file before it."""
        aside = {"set_aside": self._aside[shard]} if shard in self._aside else {}
        told, begun = [], set(self._absences)
        for entry in entries:
            if entry.owner not in begun and entry.context:
                begun.add(entry.owner)
                word = _event(entry.owner, entry.context, now, "spooling", {"since": rfc3339(now), **aside})
                entry = replace(entry, what=replace(entry.what, events=[word, *entry.what.events]))
            told.append(entry)
        return told

    async def _drain(self, shard: str) -> bool:
        """Store what the file holds, oldest first; False where Redis went away over it."""
        blocked: set[Owner] = set()
        while True:
            started = time.monotonic()
            try:
                fate = await self._drain_some(shard, blocked)
            except SinkError as exc:
                await self._failed(shard, exc)
                self._let_pass(shard)
                return True
            if fate is None:
                break
            self._note(fate)
            if fate.unreachable:
                self.gone_away()
                return False
            blocked |= fate.away
            self._back()
            # Fresh frames, Redis and who reads it have at least half of the time.
            took_s, frames = time.monotonic() - started, sum(fate.stored.values())
            await asyncio.sleep(max(took_s, frames / self._settings.drain_frames_per_s))
        if blocked:
            self._is_blocked = True
        else:
            await self._close(shard)
        return True

    async def _drain_some(self, shard: str, but_of: Collection[Owner]) -> Fate | None:
        """What became of the oldest; None where there are none."""
        waiting = await self._ask(shard, lambda spool: spool.peek(ROWS_AT_ONCE, but_of))
        for each in waiting:
            absence = self._absences.setdefault(each.entry.owner, _Absence(each.at))
            absence.context = each.entry.context or absence.context
        fate = await store(self._redis, waiting)
        if fate.done:
            await self._ask(shard, lambda spool: spool.remove(fate.done))
        return fate if waiting else None

    def _let_pass(self, shard: str) -> None:
        """Redis is there and the file is not: after a while what is new waits no longer for what cannot be had."""
        since = self._failing_since.get(shard)
        if since is not None and time.monotonic() - since >= GIVE_UP_S and (waiting := self._waiting.pop(shard, None)):
            frames = sum(its.frames for its in waiting.values())
            logger.error("spool of shard %s gives no answer: new results pass %d frames in it", shard, frames)

    async def _close(self, shard: str) -> None:
        """Leave the file to whoever needs it, if nothing came meanwhile."""
        if not self._waiting.get(shard):
            with suppress(SinkError):
                await self._do(lambda: self._folder.close(shard))
            if not self._waiting.get(shard):
                self._waiting.pop(shard, None)
            self._gauges(shard, 0, 0.0, 0)

    async def _tell_over(self) -> None:
        """One event for each camera of which nothing waits any more."""
        for owner in [owner for owner in self._absences if not self.holds(owner)]:
            absence = self._absences.pop(owner)
            if not absence.context or not (absence.stored or absence.lost):
                continue
            line, camera = owner
            data = {
                "since": rfc3339(absence.since),
                "frames_waited": absence.stored,
                "frames_dropped": dict(absence.lost),
            }
            word = _event(owner, absence.context, self._clock(), "spool_drained", data)
            with log_context(camera=camera):
                logger.info("camera %s: %d frames that waited on disk are stored", camera, absence.stored)
                try:
                    await self._redis.append(camera, line, [word])
                except SinkUnavailable as exc:
                    logger.warning("camera %s: what waited on disk is stored, which is not told: %s", camera, exc)

    async def _look_for_left(self) -> None:
        """Files of a replica that died, or of shards that nobody runs any more."""
        if time.monotonic() - self._left_at < LOOK_FOR_LEFT_S:
            return
        self._left_at = time.monotonic()
        try:
            left = await self._do(self._folder.left)
        except SinkError as exc:
            logger.warning("spools that were left cannot be looked for: %s", exc)
            return
        for shard in left:
            await self._take_over(shard, is_ours=False)

    async def _take_over(self, shard: str, is_ours: bool) -> None:
        if shard in self._waiting:
            return
        try:
            if not await self._do(lambda: self._folder.has_file(shard)):
                return
            since = await self._ask(shard, lambda spool: spool.oldest_at())
        except SinkError as exc:
            if is_ours or not isinstance(exc, SpoolBusy):  # else another replica's, which stores it itself
                await self._failed(shard, exc)
            return
        waiting = self._waiting.get(shard) or {}
        for owner in waiting:
            self._absences.setdefault(owner, _Absence(since or self._clock()))
        if waiting:
            frames = sum(its.frames for its in waiting.values())
            logger.info("spool of shard %s: %d frames of %d cameras waited here", shard, frames, len(waiting))

    async def _expire(self) -> None:
        for shard in [*self._waiting]:
            try:
                self._note_shed(await self._ask(shard, lambda spool: spool.expire(self._clock())), EXPIRED)
            except SinkError as exc:
                await self._failed(shard, exc)

    async def _failed(self, shard: str, exc: SinkError) -> bool:
        """Tell it once; True where the file was damaged and a new one may be begun in its place."""
        if not isinstance(exc, SpoolBroken):
            self._failing_since.setdefault(shard, time.monotonic())
            if not isinstance(exc, SpoolFull | SpoolBusy | StorageSlow):  # perhaps it is well when it is opened anew
                with suppress(SinkError):
                    await self._do(lambda: self._folder.close(shard))
            if shard not in self._complained:
                self._complained.add(shard)
                if isinstance(exc, SpoolBusy):
                    logger.warning("shard %s has no spool until the process before it has ended: %s", shard, exc)
                else:
                    logger.error("spool of shard %s cannot be used, live results are lost: %s", shard, exc)
            return False
        lost = self._waiting.pop(shard, {})
        try:
            aside = await self._do(lambda: self._folder.set_aside(shard))
        except SinkError as other:
            logger.error("%s; it stays, and live results are lost: %s", exc, other)  # noqa: TRY400 - it says all
            return False
        logger.error("%s; set aside as %s, %d frames in it are lost", exc, aside, sum(w.frames for w in lost.values()))
        self._metrics().spool_set_aside(shard)
        self._aside[shard] = aside.name
        for owner, waiting in lost.items():
            self._lose(owner, BROKEN, waiting.frames)
        return True

    def _note(self, fate: Fate) -> None:
        for owner, frames in fate.stored.items():
            self._absences.setdefault(owner, _Absence(self._clock())).stored += frames
            self._news.setdefault(owner, News()).stored += frames
            self._metrics().frames_drained(owner[1], frames)
        for owner, reasons in fate.lost.items():
            for reason, frames in reasons.items():
                self._lose(owner, reason, frames)

    def _note_shed(self, shed: Mapping[Owner, Shed], reason: str) -> None:
        for owner, its in shed.items():
            self._lose(owner, reason, its.frames)
            if its.verdicts:
                logger.error("camera %s: %d verdicts that waited on disk are lost: %s", owner[1], its.verdicts, reason)

    def _lose(self, owner: Owner, reason: str, frames: int) -> None:
        self._absences.setdefault(owner, _Absence(self._clock())).lost[reason] += frames
        self._news.setdefault(owner, News()).lost[reason] += frames
        self._metrics().frames_dropped(owner[1], reason, frames)

    def _back(self) -> None:
        if self.away:
            logger.info("Redis is back")
        self.away = False

    def _home(self, owner: Owner) -> str | None:
        """The file in which this camera waits."""
        return next((shard for shard, waiting in self._waiting.items() if owner in waiting), None)

    async def _tell_metrics(self) -> None:
        for shard, waiting in list(self._waiting.items()):
            with suppress(SinkError):
                size, oldest = await self._ask(shard, lambda spool: (spool.size_bytes, spool.oldest_at()))
                age_s = 0.0 if oldest is None else max(0.0, self._clock() - oldest)
                self._gauges(shard, size, age_s, sum(its.frames for its in waiting.values()))

    def _gauges(self, shard: str, size_bytes: int, oldest_s: float, frames: int) -> None:
        self._metrics().spool_holds(shard, size_bytes, oldest_s, frames)

    async def _ask(self, shard: str, job: Callable[[Spool], _T]) -> _T:
        """The job's answer; what the file holds behind it is noted."""

        def done() -> tuple[_T, int, dict[Owner, Waiting]]:
            spool = self._folder.spool(shard)
            answer = job(spool)
            self._jobs += 1  # on the disk's thread alone, where jobs follow each other
            return answer, self._jobs, spool.waiting()

        answer, order, waiting = await self._do(done)
        self._failing_since.pop(shard, None)
        if order > self._order.get(shard, 0):
            self._order[shard], self._waiting[shard] = order, waiting
        return answer

    async def _do(self, job: Callable[[], _T]) -> _T:
        answer: Awaitable[object] = asyncio.to_thread(self._disk.call, job)
        return await answer  # type: ignore[return-value]  # the thread serves several kinds of jobs


def entry_of(what: CameraWrite | Loose, context: ResultContext) -> Entry:
    """What is to wait, with who its camera is."""
    return Entry(what, astuple(context))


def _event(owner: Owner, context: Sequence[object], now: float, what: str, data: Mapping[str, object]) -> bytes:
    line, camera = owner
    event = Event(f"{camera}/{now:.3f}/{what}", "system", now, {"what": what, **data})
    its = ResultContext(LineId(line), *context[1:])  # type: ignore[arg-type]  # they were taken from one
    return camera_event_message(event, camera, its)
