"""What is older than it is to be kept goes, in steps so small that nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, and_, delete, exists, func, select

from pipeline.absence import Absence
from pipeline.history.database import Database, HistoryUnavailable
from pipeline.history.lines import lines_in
from pipeline.history.records import MINUTE_MS
from pipeline.history.settings import HistorySettings
from pipeline.history.tables import (
    alarms,
    camera_minutes,
    defect_minutes,
    events,
    inspections,
    part_minutes,
    reviews,
    uninspected,
)
from pipeline.waiting import is_set_within

logger = logging.getLogger(__name__)

FIRST_S = 30.0  # after the start
EVERY_S = 3600.0
PAUSE_S = 0.05  # between steps
STEP = 500  # rows
_STEP_MINUTES = 360
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class _Old:
    """Rows of a table that are to go."""

    table: Table
    condition: ColumnElement[bool]


class Retention:
    """Deletes what is too old, once an hour. Parts that somebody reviewed stay, with their reviews."""

    def __init__(
        self,
        db: Database,
        settings: HistorySettings,
        *,
        wall: Callable[[], float] = time.time,
        first_s: float = FIRST_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._db = db
        self._settings = settings
        self._wall = wall
        self._first_s = first_s
        self._pause_s = pause_s
        self._ending = asyncio.Event()
        self._absence = Absence("the history's retention", logger)

    async def run(self) -> None:
        """Delete until cancelled, or told to finish."""
        if await self._ends_within(self._first_s):
            return
        while not self._ending.is_set():
            try:
                await self.sweep()
            except HistoryUnavailable as exc:
                await self._absence.wait(exc, self._ending)
                continue
            self._absence.is_over()
            await self._ends_within(EVERY_S)

    def finish(self) -> None:
        """Make `run` return before its next step."""
        self._ending.set()

    async def sweep(self) -> int:
        """Delete all that is too old now; how many rows, those that hang on others not counted.

        Raises HistoryUnavailable.
        """
        steps, gone = self._steps(), 0
        while (deleted := await asyncio.to_thread(next, steps, None)) is not None:
            gone += deleted
            if await self._ends_within(self._pause_s):
                break
        if gone:
            logger.info("the history: %d rows of before what is kept are deleted", gone)
        return gone

    async def _ends_within(self, seconds: float) -> bool:
        return await is_set_within(self._ending, seconds)

    def _steps(self) -> Iterator[int]:
        """Each deletes some, in a transaction of its own."""
        now_ms = int(self._wall() * 1000)
        oldest_ms = now_ms - int(self._settings.retention_days * _DAY_MS)
        yield from self._parts(oldest_ms)
        for old in (
            _Old(events, events.c.at_ms < oldest_ms),
            _Old(uninspected, and_(uninspected.c.since_ms < oldest_ms, uninspected.c.until_ms < oldest_ms)),  # by index
            _Old(alarms, alarms.c.cleared_ms < oldest_ms),
        ):
            yield from self._rows(old)
        oldest = (now_ms - int(self._settings.minutes_retention_days * _DAY_MS)) // MINUTE_MS
        for table in (part_minutes, defect_minutes, camera_minutes):
            yield from self._minutes(table, oldest)

    def _parts(self, oldest_ms: int) -> Iterator[int]:
        """By time, and on from where the step before ended: those that stay are not passed over again and again."""
        reached = -1
        is_reviewed = exists().where(reviews.c.inspection_id == inspections.c.id)
        while True:
            which = (
                select(inspections.c.id)
                .where(inspections.c.captured_ms.between(reached, oldest_ms - 1), ~is_reviewed)
                .order_by(inspections.c.captured_ms)
                .limit(STEP)
            )
            statement = delete(inspections).where(inspections.c.id.in_(which)).returning(inspections.c.captured_ms)
            with self._db.write() as connection:
                gone = list(connection.execute(statement).scalars())
            yield len(gone)
            if len(gone) < STEP:
                return
            reached = max(gone)

    def _rows(self, old: _Old) -> Iterator[int]:
        table = old.table
        for line in self._lines(table):
            which = select(table.c.id).where(table.c.line == line, old.condition).limit(STEP)
            statement = delete(table).where(table.c.id.in_(which))
            gone = STEP
            while gone == STEP:
                with self._db.write() as connection:
                    gone = connection.execute(statement).rowcount
                yield gone

    def _minutes(self, table: Table, oldest: int) -> Iterator[int]:
        for line in self._lines(table):
            while True:
                with self._db.write() as connection:
                    first = connection.execute(select(func.min(table.c.minute)).where(table.c.line == line)).scalar()
                    if first is None or first >= oldest:
                        break
                    until = min(first + _STEP_MINUTES, oldest)
                    its = and_(table.c.line == line, table.c.minute < until)
                    gone = connection.execute(delete(table).where(its)).rowcount
                yield gone

    def _lines(self, table: Table) -> list[str]:
        with self._db.read() as connection:
            return lines_in(connection, table)
