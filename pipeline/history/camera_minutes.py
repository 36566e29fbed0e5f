"""The reports of the running system into the history: one row a camera and minute."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import select

from pipeline.absence import Absence
from pipeline.history.database import Database, HistoryUnavailable
from pipeline.history.minute_book import MinuteBook
from pipeline.history.tables import camera_minutes
from pipeline.history.writer import insert_into
from pipeline.orchestrate.state import StateStore
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_client import RedisLink, RedisSettings
from pipeline.waiting import is_set_within

logger = logging.getLogger(__name__)

LOOK_S = 2.0
SAVE_S = 10.0


class CameraMinutes:
    """Looks every 2 s and saves every 10 s. A time in which nothing reports has no rows.

    Several may run at once: each writes what all see.
    """

    def __init__(self, db: Database, redis: RedisSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._link = RedisLink(redis)
        self._clock = clock
        self._book = MinuteBook()
        self._has_begun = False  # it goes on from what stood there before
        self._saved_at = clock()
        self._lost = 0
        self._ending = asyncio.Event()
        self._absence = Absence("the history of the cameras", logger, clock)

    async def run(self) -> None:
        """Look and save until cancelled, or told to finish."""
        try:
            while not self._ending.is_set():
                try:
                    await self.step()
                except (SinkUnavailable, HistoryUnavailable) as exc:
                    await self._absence.wait(exc, self._ending)
                    continue
                self._absence.is_over()
                await is_set_within(self._ending, LOOK_S)
            with suppress(HistoryUnavailable):  # as told already
                await self.save()
        finally:
            await self._link.close()

    def finish(self) -> None:
        """Make `run` save what it has and return."""
        self._ending.set()

    async def step(self) -> None:
        """Look once, and save where that is due. Raises SinkUnavailable, HistoryUnavailable: to be called again."""
        async with self._link.use() as client:
            report = await StateStore(client).read()
        if report is not None:
            self._book.take(report)
            self._tell_lost()
        if self._clock() - self._saved_at >= SAVE_S:
            await self.save()
            self._saved_at = self._clock()

    async def save(self) -> None:
        """Write what is not saved yet. Raises HistoryUnavailable."""
        if not self._has_begun and (minutes := self._book.minutes()):
            self._book.go_on_from(await asyncio.to_thread(_stored, self._db, minutes))
            self._has_begun = True
        if rows := self._book.unsaved():
            await asyncio.to_thread(_save, self._db, rows)
            self._book.saved(rows)

    def _tell_lost(self) -> None:
        if self._book.lost and not self._lost:
            logger.error("the history of the cameras: the database is away for so long that minutes are lost")
        self._lost = self._book.lost


def _stored(db: Database, minutes: Sequence[int]) -> list[dict[str, Any]]:
    with db.read() as connection:
        found = connection.execute(select(camera_minutes).where(camera_minutes.c.minute.in_(minutes))).mappings()
        return [dict(row) for row in found]


def _save(db: Database, rows: Sequence[dict[str, Any]]) -> None:
    keys = [column.name for column in camera_minutes.primary_key.columns]
    with db.write() as connection:
        statement = insert_into(connection, camera_minutes)
        told = {each.name: statement.excluded[each.name] for each in camera_minutes.columns if each.name not in keys}
        upsert = statement.on_conflict_do_update(index_elements=keys, set_=told)
        connection.execute(upsert, sorted(rows, key=lambda row: (row["camera"], row["minute"])))
