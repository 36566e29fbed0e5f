"""The alarms of a running Rayline: looks, and tells, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from pipeline.absence import Absence
from pipeline.alarms import notices
from pipeline.alarms.channels import Channel
from pipeline.alarms.evaluator import Evaluator
from pipeline.alarms.mail import Mail
from pipeline.alarms.sending import Sender
from pipeline.alarms.settings import EMAIL, AlarmSettings
from pipeline.alarms.sight import Sights, sights
from pipeline.alarms.webhook import Webhook
from pipeline.config_errors import ConfigError
from pipeline.history.database import Database, HistoryUnavailable
from pipeline.history.plant import PlantSettings
from pipeline.orchestrate.desired_store import DesiredCache, DesiredStore, NothingDesired
from pipeline.orchestrate.state import StateStore
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_client import RedisLink, RedisSettings
from pipeline.waiting import is_set_within

logger = logging.getLogger(__name__)

FORGET_EVERY_S = 3600.0
NOTICES_KEPT_S = 7 * 86_400.0
FORGET_AT_ONCE = 1000  # rows: a longer transaction would hold others up
NOBODY_S = 15.0  # without a report before cameras count as unseen: a supervisor made anew takes some seconds


class Alarms:
    """A part of the history's process."""

    def __init__(
        self,
        settings: AlarmSettings,
        database: Database,
        redis: RedisSettings,
        lines: Collection[str],
        plant: PlantSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._database = database
        self._link = RedisLink(redis)
        self._clock = clock
        channels = channels_of(settings)
        self._names = [channel.name for channel in channels]
        told = {channel.name: channel.settings for channel in channels}
        self._evaluator = Evaluator(settings, database, lines, told, plant or PlantSettings())
        self._senders = [Sender(channel, database, clock) for channel in channels]
        self._cache = DesiredCache()
        self._reported_at: float | None = None
        self._is_known = True  # what cameras see
        self._forget_at = 0.0
        self._ending = asyncio.Event()
        self._absence = Absence("the alarms' look at the history", logger)

    async def run(self) -> None:
        """Look and tell until cancelled, or told to finish; what is not told by then is told by the next."""
        looking = asyncio.create_task(self._looking())
        telling = [asyncio.create_task(sender.run()) for sender in self._senders]
        try:
            done, _ = await asyncio.wait([looking, *telling], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what nobody foresaw
        finally:
            for task in (looking, *telling):
                task.cancel()
            await asyncio.gather(looking, *telling, return_exceptions=True)
            await self._link.close()

    def finish(self) -> None:
        """Make `run` return soon."""
        self._ending.set()

    async def look(self) -> None:
        """One look at everything. Raises HistoryUnavailable."""
        if await asyncio.to_thread(self._evaluator.look, await self._seen(), self._clock()):
            for sender in self._senders:
                sender.tell()

    async def _looking(self) -> None:
        is_begun = False
        while not self._ending.is_set():
            try:
                if not is_begun:
                    await asyncio.to_thread(self._give_up_others)
                    is_begun = True
                await self.look()
                await self._forget()
            except HistoryUnavailable as exc:
                await self._absence.wait(exc, self._ending)
                continue
            self._absence.is_over()
            await is_set_within(self._ending, self._settings.every_s)

    async def _seen(self) -> Sights | None:
        """What cameras see; None where Redis does not say, or nothing was reported since this began."""
        try:
            async with self._link.use() as client:
                report = await StateStore(client).read()
                desired = await DesiredStore(client, cache=self._cache).read()
        except (SinkUnavailable, ConfigError) as exc:
            if self._is_known:  # once: it is looked again in seconds
                logger.warning("what cameras see is not known now, their alarms stay as they are: %s", exc)
            self._is_known = False
            return None
        except NothingDesired:
            return None
        self._is_known = True
        now = self._clock()
        if report is not None:
            self._reported_at = now
        elif self._reported_at is None or now - self._reported_at < NOBODY_S:
            return None
        return sights(desired, report)

    def _give_up_others(self) -> None:
        with self._database.write() as connection:
            left = notices.give_up_others(connection, self._names, int(self._clock() * 1e3))
        if left:
            logger.warning("%d messages waited for who is not told any more: they are given up", left)

    async def _forget(self) -> None:
        if self._clock() < self._forget_at:
            return
        is_more = await asyncio.to_thread(self._forget_some)
        self._forget_at = self._clock() + (0.0 if is_more else FORGET_EVERY_S)

    def _forget_some(self) -> bool:
        with self._database.write() as connection:
            before_ms = int((self._clock() - NOTICES_KEPT_S) * 1e3)
            return notices.forget(connection, before_ms, FORGET_AT_ONCE) == FORGET_AT_ONCE


def channels_of(settings: AlarmSettings) -> list[Channel]:
    """Everybody who is told, each with a name of its own."""
    page = None if settings.page_url is None else str(settings.page_url)
    found: list[Channel] = [Webhook(name, one, page) for name, one in settings.webhooks.items()]
    if settings.email is not None:
        found.append(Mail(EMAIL, settings.email, page))
    return found
