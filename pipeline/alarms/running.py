"""The alarms of a running Rayline: looks, and tells, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection

from pipeline.alarms import notices, store
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

logger = logging.getLogger(__name__)

REST_S = 5.0  # after an error that nobody foresaw
FORGET_EVERY_S = 3600.0
NOTICES_KEPT_S = 7 * 86_400.0
FORGET_AT_ONCE = 1000  # rows: a longer transaction would hold others up
NOBODY_S = 15.0  # without a report before cameras count as unseen: a supervisor made anew takes some seconds


class Alarms:
    """Part of the history's process: the tables are there before it is started."""

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
        self._forget_at = 0.0

    async def run(self) -> None:
        """Until cancelled. An error that nobody foresaw costs one part a rest, and the others nothing."""
        parts = [self._looking, *(sender.run for sender in self._senders)]
        try:
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(_kept(part))
        finally:
            await self._link.close()

    async def look(self) -> None:
        """One look at everything. Raises HistoryUnavailable."""
        if await asyncio.to_thread(self._evaluator.look, await self._seen(), self._clock()):
            for sender in self._senders:
                sender.tell()

    async def _looking(self) -> None:
        is_begun = False
        while True:
            try:
                if not is_begun:
                    await asyncio.to_thread(self._give_up_others)
                    is_begun = True
                await self.look()
                await self._forget()
            except HistoryUnavailable as exc:
                logger.warning("no alarm can be raised now: %s", exc)
            await asyncio.sleep(self._settings.every_s)

    async def _seen(self) -> Sights | None:
        """What cameras see; None where Redis does not say, or nothing was reported since this began."""
        try:
            async with self._link.use() as client:
                report = await StateStore(client).read()
                desired = await DesiredStore(client, cache=self._cache).read()
        except (SinkUnavailable, ConfigError) as exc:
            logger.warning("what cameras see is not known now: %s", exc)
            return None
        except NothingDesired:
            return None
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
        now = self._clock()
        with self._database.write() as connection:
            gone = notices.forget(connection, int((now - NOTICES_KEPT_S) * 1e3), FORGET_AT_ONCE)
            gone += store.forget(connection, int((now - self._settings.keep_days * 86_400) * 1e3), FORGET_AT_ONCE)
        return gone >= FORGET_AT_ONCE


async def _kept(part: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await part()
        except Exception:  # the top of one part: told in full, and the others go on
            logger.exception("a part of the alarms broke, it begins anew in %.0f s", REST_S)
            await asyncio.sleep(REST_S)


def channels_of(settings: AlarmSettings) -> list[Channel]:
    """Everybody who is told, each with a name of its own."""
    page = None if settings.page_url is None else str(settings.page_url)
    found: list[Channel] = [Webhook(name, one, page) for name, one in settings.webhooks.items()]
    if settings.email is not None:
        found.append(Mail(EMAIL, settings.email, page))
    return found
