"""Out of the Redis streams into the history: read, written in one transaction, and only then acked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from pipeline.absence import Absence
from pipeline.history.database import Database, HistoryUnavailable
from pipeline.history.records import EventRecord
from pipeline.history.settings import GROUP, HistorySettings
from pipeline.history.storing import Stored, store
from pipeline.sinks.dead_letter import dead_letter
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.group_reader import Delivery, EntriesLost, GroupReader
from pipeline.sinks.keys import dead_key, line_and_stream, stream_pattern
from pipeline.sinks.reader_floors import ReaderFloors
from pipeline.sinks.redis_client import RedisSettings

logger = logging.getLogger(__name__)

KINDS = ("events", "inspections")
GAP = "history_gap"  # kind of the event that tells that messages were gone unread
LOOK_AFTER_S = 1.0
READ_AT_ONCE = 200  # entries a stream
GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """How it does, since it was started."""

    state: str = "running"  # or waiting, for Redis or the database
    written: int = 0  # rows that were new
    refused: int = 0  # messages set aside
    too_old: int = 0  # messages of before what is kept
    gaps: int = 0  # times entries were gone before they were read
    behind: int | None = None  # entries not written; None where Redis does not count them
    behind_s: float = 0.0


class Collector:
    """Keeps every event and inspection of every line, those of lines that come later too.

    What it has not written, Redis holds for it as for a relay. Whichever side is away, it waits and goes on. Several
    may run at once: each message is written once. At most `batch` messages are in one transaction.
    """

    def __init__(
        self,
        db: Database,
        settings: HistorySettings,
        redis: RedisSettings,
        lines: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`lines` are those known before anything stands in Redis."""
        self._db = db
        self._settings = settings
        self._lines = frozenset(lines)
        self._reader = GroupReader(
            redis, [stream_pattern(kind) for kind in KINDS], GROUP, GROUP, count=min(READ_AT_ONCE, settings.batch)
        )
        self._floors = ReaderFloors(redis)
        self._clock = clock
        self._wall = wall

        self._gaps: list[EventRecord] = []  # to be written
        self._waiting: list[Delivery] = []  # read, and not written
        self._refused: list[tuple[Delivery, str]] = []  # to be set aside
        self._done: list[Delivery] = []  # to be acked
        self._ending = asyncio.Event()
        self._absence = Absence("the history", logger, clock)
        self._looked_at = -float("inf")
        self._held: frozenset[str] | None = None  # lines it is registered for; None: it has not looked since it began
        self._counts = {"written": 0, "refused": 0, "too_old": 0, "gaps": 0}
        self._behind: int | None = None
        self._behind_s = 0.0

    def status(self) -> CollectorStatus:
        """How it does now."""
        state = "waiting" if self._absence.lasts else "running"
        return CollectorStatus(state, behind=self._behind, behind_s=self._behind_s, **self._counts)

    async def run(self) -> None:
        """Collect until cancelled, or told to finish and done."""
        try:
            has_more = True
            while has_more or not self._ending.is_set():
                try:
                    has_more = await self.step()
                except (SinkUnavailable, HistoryUnavailable) as exc:
                    if await self._absence.wait(exc, self._ending):
                        return
        finally:
            await self._close()

    def finish(self) -> None:
        """Make `run` return once all is written that stands in Redis, or at once where one side is away."""
        self._ending.set()

    async def step(self) -> bool:
        """Write what there is now, waiting a moment for it; False if nothing came.

        Raises SinkUnavailable or HistoryUnavailable, and is to be called again then.
        """
        await self._settle()
        await self._look_after()
        if not self._waiting:
            self._waiting = await self._read()
        has_some = bool(self._waiting or self._gaps)
        await self._write()
        await self._settle()
        self._absence.is_over()
        return has_some

    async def _read(self) -> list[Delivery]:
        found = []
        for each in await self._reader.read():
            if isinstance(each, EntriesLost):
                self._gaps.append(gap_event(each))
                self._tell_gap(each)
            else:
                found.append(each)
        return found

    async def _write(self) -> None:
        now, later = self._waiting[: self._settings.batch], self._waiting[self._settings.batch :]
        if not now and not self._gaps:
            return
        # Cancelled here, it may be written all the same; then it is given again, and is known already.
        stored = await asyncio.to_thread(store, self._db, now, self._gaps, self._oldest_ms())
        self._gaps, self._waiting = [], later
        self._refused += stored.refused
        refused = {id(delivery) for delivery, _ in stored.refused}
        self._done += [delivery for delivery in now if id(delivery) not in refused]
        self._count(stored)

    def _oldest_ms(self) -> int:
        """Of what is kept. What is older was deleted, or would be; and a part told again would be counted again."""
        return int((self._wall() - self._settings.retention_days * 86_400) * 1000)

    async def _settle(self) -> None:
        """What is written, or set aside, is done with. Until that is known nothing more is written."""
        while self._refused:
            delivery, why = self._refused[0]
            letter = dead_letter(delivery, why, self._wall())
            dead = dead_key(delivery.stream, GROUP)
            await self._reader.bury(delivery, dead, self._settings.max_dead_letters, letter)
            self._refused.pop(0)
            self._counts["refused"] += 1
            logger.error("the history: message %s is set aside: %s", delivery.message_id, why)
        if self._done:
            await self._reader.ack(self._done)
            self._done = []

    async def _look_after(self) -> None:
        """Once a second, and at once where there is a new line: hold the lines' streams, and note how far it is."""
        holds_all = self._held is not None and self._its_lines() <= self._held
        if holds_all and self._clock() - self._looked_at < LOOK_AFTER_S:
            return
        self._looked_at = self._clock()
        await self._note()

    async def _note(self) -> None:
        lines = self._its_lines()
        await self._floors.register(sorted(lines), KINDS, GROUP)  # each time: Redis may have come back without it
        self._held = lines
        floors = await self._floors.note(self._reader.streams, GROUP)
        counts = [floor.behind for floor in floors]
        self._behind = None if None in counts else sum(count or 0 for count in counts)
        self._behind_s = max((floor.behind_s for floor in floors), default=0.0)

    def _its_lines(self) -> frozenset[str]:
        return self._lines.union(line_and_stream(stream)[0] for stream in self._reader.streams)

    async def _close(self) -> None:
        async with AsyncExitStack() as opened:  # closed from the last on, whatever the good-bye or one of them raises
            for each in (self._floors, self._reader):
                opened.push_async_callback(each.close)
            with suppress(SinkUnavailable, TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._settle()
                    await self._note()

    def _count(self, stored: Stored) -> None:
        self._counts["written"] += stored.new
        if stored.too_old:
            if not self._counts["too_old"]:
                days = self._settings.retention_days
                logger.warning("the history: messages of over %g days ago are passed over (retention_days)", days)
            self._counts["too_old"] += stored.too_old

    def _tell_gap(self, lost: EntriesLost) -> None:
        self._counts["gaps"] += 1
        logger.error(
            "the history: entries of %s between %s and %s were gone unread; raise redis.maxlen_* or maxlen_hard_factor",
            lost.stream, lost.after, lost.before,
        )  # fmt: skip


def gap_event(lost: EntriesLost) -> EventRecord:
    """What the history tells of messages that were gone before it read them; the same for the same loss."""
    line, name = line_and_stream(lost.stream)
    kind, _, camera = name.partition(":")
    after_ms, before_ms = (int(each.partition("-")[0]) for each in (lost.after, lost.before))
    return EventRecord(
        {
            "id": f"{GAP}/{line}/{name}/{lost.after}/{lost.before}",
            "line": line,
            "camera": camera,
            "kind": GAP,
            "at_ms": before_ms,
            "recipe": None,
            "data": {"stream": kind, "after": lost.after, "before": lost.before, "since_ms": after_ms},
        }
    )
