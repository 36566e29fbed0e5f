"""Live results that wait on disk while Redis is away, each behind the one before, until it is back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import astuple, replace

from pipeline.deployments.spool_disk import SpoolDisk
from pipeline.deployments.spool_ledger import Absence, Ledger, News
from pipeline.observe.logs import log_context
from pipeline.observe.metrics import Metrics
from pipeline.sinks.errors import KeyRefused, SinkError, SinkUnavailable
from pipeline.sinks.late_writes import Fate, store
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams
from pipeline.sinks.spool import Entry, Loose, Newest, Owner, SpoolBroken, SpoolBusy
from pipeline.sinks.spool_settings import SpoolSettings, default_folder
from pipeline.sinks.storage_thread import StorageSlow
from pipeline.waiting import is_set_within
from stages.results.messages import ResultContext

logger = logging.getLogger(__name__)

ROUND_S = 1.0  # between two looks whether Redis is back
LOOK_FOR_LEFT_S = 30.0  # between two looks for files that nobody has open
GIVE_UP_S = 15.0  # that a file gives no answer while Redis does: then it holds nobody back any longer
ROWS_AT_ONCE = 64
FULL, EXPIRED, BROKEN = "spool_full", "spool_expired", "spool_broken"


class Spooling:
    """The spools of one track replica, and whether Redis is away. All methods on one event loop.

    The disk is touched by a thread of its own, and Redis by a connection of its own: what is `fresh` waits for neither.
    """

    def __init__(
        self,
        redis: RedisSettings,
        fresh: RedisStreams,
        settings: SpoolSettings,
        metrics: Metrics,
    ) -> None:
        self.patience_s = settings.patience_s
        self.away = False  # Redis could not be reached when it was last tried: nothing fresh tries it meanwhile
        self._settings = settings
        self._metrics = metrics
        self._disk = SpoolDisk(settings.dir or default_folder(redis), settings)
        self._ledger = Ledger(metrics)
        self._redis = RedisStreams(redis)
        self._fresh = fresh
        self._complained: set[str] = set()  # shards whose file cannot be had, told once
        self._done: dict[str, set[tuple[int, float]]] = {}  # shard -> id and time of what is stored and still there
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
        await self._disk.close_all()

    def holds(self, owner: Owner) -> bool:
        """True while something of this camera waits: what is new goes behind it, never past."""
        return self._disk.home(owner) is not None

    def gone_away(self) -> None:
        """Redis gave no answer: it is left alone until it answers again."""
        if not self.away:
            logger.warning("Redis is away: live results wait on disk in %s", self._disk.folder)
        self.away = True
        self._wake.set()

    def news(self, owner: Owner) -> News | None:
        """What became of its frames, told once, and how many wait; None where neither is anything."""
        news, waiting = self._ledger.news(owner), self._disk.frames(owner)
        if news is None and not waiting:
            return None
        return replace(news or News(), waiting=waiting)

    async def put(self, shard: str, entries: Sequence[Entry]) -> set[Owner]:
        """Put these on disk, each behind what waits of its camera. Answers whose entries lie there now."""
        by_file: dict[str, list[Entry]] = {}
        for entry in entries:
            by_file.setdefault(self._disk.home(entry.owner) or shard, []).append(entry)
        stored: set[Owner] = set()
        for file, its in by_file.items():
            if await self._append(file, its):
                stored |= {entry.owner for entry in its}
        return stored

    async def newest(self, shard: str, owner: Owner) -> Newest | None:
        """Where the camera stands by what waits of it; None where nothing does, or another process has the file.

        Raises SinkUnavailable while the disk is only slow to say: whoever went on without would pass what waits.
        """
        if not self.holds(owner):
            self._hold_back(shard, await self._take_over(shard, is_ours=True))
        file = self._disk.home(owner)
        if file is None:
            return None
        try:
            return await self._disk.ask(file, lambda spool: spool.newest(*owner))
        except SinkError as exc:
            await self._failed(file, exc)
            self._hold_back(file, exc)
            return None

    def _hold_back(self, shard: str, exc: SinkError | None) -> None:
        if isinstance(exc, StorageSlow) and self._disk.failing_s(shard) < GIVE_UP_S:
            raise SinkUnavailable(f"spool of shard {shard}: {exc}") from exc

    async def round(self) -> None:
        """Look whether Redis is there, and store what waits until nothing does or it is gone."""
        await self._look_for_left()
        await self._expire()
        self._is_blocked = False
        if self._disk.shards() or self.away or self._ledger.owners():
            with suppress(SinkUnavailable):
                await self._redis.open()
                if self.away:  # while nobody else uses it: connecting may take longer than a fresh frame waits
                    await self._fresh.open()
                for shard in self._disk.shards():
                    if not await self._drain(shard):
                        break
                else:
                    self._back()
                await self._tell_over()
        await self._tell_metrics()

    async def _run(self) -> None:
        while True:
            await is_set_within(self._wake, ROUND_S)
            self._wake.clear()
            try:
                await self.round()
            except Exception:  # the top of this task: what waits goes on waiting
                logger.exception("storing what waits on disk failed, it is tried again")
            if self.away or self._is_blocked:
                await asyncio.sleep(ROUND_S)  # through what wakes it: each batch does

    async def _append(self, shard: str, entries: Sequence[Entry], again: bool = True) -> bool:
        now = time.time()
        told = self._ledger.with_beginnings(entries, now, self._aside.get(shard))
        try:
            shed = await self._disk.ask(shard, lambda spool: spool.append(told, now))
        except SpoolBroken as exc:
            return await self._failed(shard, exc) and again and await self._append(shard, entries, again=False)
        except SinkError as exc:
            await self._failed(shard, exc)
            return False
        self._complained.discard(shard)
        self._aside.pop(shard, None)
        for entry in entries:
            self._ledger.waits(entry.owner, now, entry.context, is_ours=True)
        self._ledger.shed(shed, FULL)
        self._wake.set()
        return True

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
        elif await self._disk.close(shard):
            self._metrics.spool_holds(shard, 0, 0.0, 0)
        return True

    async def _drain_some(self, shard: str, but_of: Collection[Owner]) -> Fate | None:
        """What became of the oldest; None where there are none. Booked at once, also where the file keeps it."""
        waiting = await self._disk.ask(shard, lambda spool: spool.peek(ROWS_AT_ONCE, but_of))
        self._ledger.peeked(waiting)
        done = self._done.setdefault(shard, set())
        fate = await store(self._redis, [each for each in waiting if (each.id, each.at) not in done])
        self._ledger.settle(fate)
        done.update((each.id, each.at) for each in waiting if each.id in fate.done)
        if gone := [each.id for each in waiting if (each.id, each.at) in done]:
            await self._disk.ask(shard, lambda spool: spool.remove(gone))
        del self._done[shard]
        return fate if waiting else None

    def _let_pass(self, shard: str) -> None:
        """Redis is there and the file is not: after a while what is new waits no longer for what cannot be had."""
        if self._disk.failing_s(shard) >= GIVE_UP_S and (waiting := self._disk.forget(shard)):
            frames = sum(its.frames for its in waiting.values())
            logger.error("spool of shard %s gives no answer: new results pass %d frames in it", shard, frames)

    async def _tell_over(self) -> None:
        """One event for each camera of which nothing waits any more."""
        for owner in self._ledger.owners():
            if not self.holds(owner):
                absence = self._ledger.take(owner)
                with log_context(camera=owner[1]):
                    await self._tell(owner, absence)

    async def _tell(self, owner: Owner, absence: Absence) -> None:
        line, camera = owner
        word = self._ledger.last_word(owner, absence)
        if word is None:
            return
        try:
            await self._redis.append(camera, line, [word])
        except KeyRefused as exc:
            logger.warning("camera %s: that nothing waits on disk any more cannot be told: %s", camera, exc)
        except SinkUnavailable:
            self._ledger.put_back(owner, absence)
            return
        logger.info("camera %s: %d frames that waited on disk are stored", camera, absence.stored)

    async def _look_for_left(self) -> None:
        """Files of a replica that died, or of shards that nobody runs any more."""
        if time.monotonic() - self._left_at < LOOK_FOR_LEFT_S:
            return
        self._left_at = time.monotonic()
        try:
            left = await self._disk.left()
        except SinkError as exc:
            logger.warning("spools that were left cannot be looked for: %s", exc)
            return
        for shard in left:
            await self._take_over(shard, is_ours=False)

    async def _take_over(self, shard: str, is_ours: bool) -> SinkError | None:
        """Open what is there; what kept it from being opened, if anything did."""
        if shard in self._disk.shards():
            return None
        try:
            if not await self._disk.has_file(shard):
                return None
            since = await self._disk.ask(shard, lambda spool: spool.oldest_at())
        except SinkError as exc:
            if is_ours or not isinstance(exc, SpoolBusy):  # else another replica's, which stores it itself
                await self._failed(shard, exc)
            return exc
        waiting = self._disk.waiting(shard)
        for owner in waiting:
            self._ledger.waits(owner, since or time.time())
        if waiting:
            frames = sum(its.frames for its in waiting.values())
            logger.info("spool of shard %s: %d frames of %d cameras waited here", shard, frames, len(waiting))
        return None

    async def _expire(self) -> None:
        for shard in self._disk.shards():
            try:
                while shed := await self._disk.ask(shard, lambda spool: spool.expire(time.time())):
                    self._ledger.shed(shed, EXPIRED)
            except SinkError as exc:
                await self._failed(shard, exc)

    async def _failed(self, shard: str, exc: SinkError) -> bool:
        """Tell it once; True where the file was damaged and a new one may be begun in its place."""
        if isinstance(exc, SpoolBroken):
            return await self._set_aside(shard, exc)
        await self._disk.failed(shard, exc)
        if isinstance(exc, SpoolBusy):
            self._complain(shard, logging.WARNING, "there is none until the process before it has ended", exc)
        else:
            self._complain(shard, logging.ERROR, "it cannot be used, live results are lost", exc)
        return False

    async def _set_aside(self, shard: str, exc: SpoolBroken) -> bool:
        lost = self._disk.forget(shard)
        for owner, waiting in lost.items():
            self._ledger.lose(owner, BROKEN, waiting.frames)
        try:
            aside = await self._disk.set_aside(shard)
        except SinkError as other:
            self._complain(shard, logging.ERROR, f"it is damaged, and cannot be set aside ({other})", exc)
            return False
        logger.error("%s; set aside as %s, %d frames in it are lost", exc, aside, sum(w.frames for w in lost.values()))
        self._metrics.spool_set_aside(shard)
        self._aside[shard] = aside.name
        return True

    def _complain(self, shard: str, level: int, what: str, exc: SinkError) -> None:
        if shard not in self._complained:
            self._complained.add(shard)
            logger.log(level, "spool of shard %s: %s: %s", shard, what, exc)

    def _back(self) -> None:
        if self.away:
            logger.info("Redis is back")
        self.away = False

    async def _tell_metrics(self) -> None:
        for shard in self._disk.shards():
            with suppress(SinkError):
                size, oldest = await self._disk.ask(shard, lambda spool: (spool.size_bytes, spool.oldest_at()))
                age_s = 0.0 if oldest is None else max(0.0, time.time() - oldest)
                frames = sum(its.frames for its in self._disk.waiting(shard).values())
                self._metrics.spool_holds(shard, size, age_s, frames)


def entry_of(what: CameraWrite | Loose, context: ResultContext) -> Entry:
    """What is to wait, with who its camera is."""
    return Entry(what, astuple(context))
