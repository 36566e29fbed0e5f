"""Tells on one channel what waits for it, until it is told or given up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from pipeline.alarms import notices
from pipeline.alarms.channels import Channel, NotTaken, Refused
from pipeline.alarms.notices import Notice
from pipeline.history.database import Database, HistoryUnavailable
from pipeline.waiting import is_set_within

logger = logging.getLogger(__name__)

IDLE_S = 5.0  # another process may have written what waits
FIRST_REST_S, LONGEST_REST_S = 1.0, 300.0
SHORTEST_LEASE_S = 30.0


class Sender:
    """One channel's. What it is about to send is marked so in the database, and done only once it was taken."""

    def __init__(self, channel: Channel, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._channel = channel
        self._database = database
        self._clock = clock
        self._news = asyncio.Event()
        settings = channel.settings
        self._lease_s = max(SHORTEST_LEASE_S, 3 * settings.timeout_s)

    def tell(self) -> None:
        """There may be something new."""
        self._news.set()

    async def run(self) -> None:
        """For ever. A message under way when it is cancelled is sent again by the next."""
        try:
            while True:
                self._news.clear()
                try:
                    rest_s = await self.step()
                except HistoryUnavailable as exc:
                    logger.warning("alarms on %s wait: %s", self._channel.name, exc)
                    rest_s = IDLE_S
                await is_set_within(self._news, rest_s)
        finally:
            await self._channel.close()

    async def step(self) -> float:
        """Sends what is due, and says how many seconds the next may wait. Raises HistoryUnavailable."""
        taken = await asyncio.to_thread(self._take)
        if not taken:
            return IDLE_S
        try:
            await self._channel.send(taken)
        except Refused as exc:
            logger.error("alarms not told: %s", exc)  # noqa: TRY400 - the text says it all, a traceback nothing
            await asyncio.to_thread(self._give_up, taken, str(exc))
        except NotTaken as exc:
            return await self._try_again(taken, exc)
        else:
            await asyncio.to_thread(self._sent, taken)
        return 0.0

    async def _try_again(self, taken: Sequence[Notice], exc: NotTaken) -> float:
        """Those that had all their tries are given up, the others rest together: their order holds."""
        spent = [notice for notice in taken if notice.tries >= self._channel.settings.tries]
        left = [notice for notice in taken if notice not in spent]
        if spent:
            logger.error("%d alarms not told after %d tries: %s", len(spent), spent[0].tries, exc)
            await asyncio.to_thread(self._give_up, spent, str(exc))
        if not left:
            return 0.0
        rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** (left[0].tries - 1))
        logger.warning("alarms wait, tried again in %.0f s: %s", rest_s, exc)
        await asyncio.to_thread(self._later, left, self._now_ms() + int(rest_s * 1e3))
        return min(IDLE_S, rest_s)

    def _take(self) -> list[Notice]:
        with self._database.write() as connection:
            return notices.take(connection, self._channel.name, self._now_ms(), self._lease_s)

    def _sent(self, taken: Sequence[Notice]) -> None:
        with self._database.write() as connection:
            notices.sent(connection, taken, self._now_ms())

    def _give_up(self, taken: Sequence[Notice], why: str) -> None:
        with self._database.write() as connection:
            notices.give_up(connection, [notice.id for notice in taken], why, self._now_ms())

    def _later(self, taken: Sequence[Notice], next_ms: int) -> None:
        with self._database.write() as connection:
            notices.later(connection, taken, next_ms)

    def _now_ms(self) -> int:
        return int(self._clock() * 1e3)
