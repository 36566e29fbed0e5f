"""`consume`: a handler that is given every message, again where it fails, until it is one for the dead letters."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import logging
import time
from collections.abc import Callable
from itertools import count
from typing import Unpack

from pipeline.client.inbox import Inbox
from pipeline.client.messages import Message
from pipeline.client.settings import Options, SubscriberSettings, settings_of
from pipeline.masking import mask

logger = logging.getLogger(__name__)

Handler = Callable[[Message], object]

_LONGEST_DELAY_S = 60.0
_MOST_WAITING = 1000
_LOOK_S = 0.5


class Handling:
    """Messages for a handler: what failed comes again after a delay, others meanwhile."""

    def __init__(self, inbox: Inbox, settings: SubscriberSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._settings = settings
        self._clock = clock
        self._numbers = count()
        self._failed: list[tuple[float, int, Message]] = []

    async def next(self) -> Message:
        """The next message, however long that takes. Raises EntriesLostError, SinkRefused."""
        while True:
            if (message := await self._due() or await self._fresh()) is not None:
                return message

    async def _due(self) -> Message | None:
        if self._failed and self._failed[0][0] <= self._clock():
            return await self._inbox.again(heapq.heappop(self._failed)[2])
        return None

    async def _fresh(self) -> Message | None:
        if len(self._failed) < _MOST_WAITING:
            return await self._inbox.poll()
        await asyncio.sleep(_LOOK_S)
        return None

    async def succeeded(self, message: Message) -> None:
        """Nobody is given it again."""
        await self._inbox.done(message)

    async def failed(self, message: Message, exc: Exception) -> None:
        """It comes again later, or goes to the dead letters if this was the last try."""
        reason = mask(f"{type(exc).__name__}: {exc}")
        logger.debug("%s %s failed", message.stream, message.entry_id, exc_info=exc)
        if message.tries >= self._settings.max_tries:
            await self._inbox.bury(message, reason)
            return
        delay_s = min(_LONGEST_DELAY_S, self._settings.retry_delay_s * 2 ** (message.tries - 1))
        logger.warning(
            "%s %s failed in try %d of %d, again in %.1f s: %s",
            *(message.stream, message.entry_id, message.tries, self._settings.max_tries, delay_s, reason),
        )
        heapq.heappush(self._failed, (self._clock() + delay_s, next(self._numbers), message))


async def consume(*topics: str, group: str, handler: Handler, **options: Unpack[Options]) -> None:
    """Give every message to `handler`, one at a time, until cancelled; options as for `subscribe`.

    A plain function runs in a thread. An exception in it has the message delivered again after `retry_delay_s`, others
    meanwhile; after `max_tries` it goes to the stream `rayline:{LINE}:dead:GROUP`.
    """
    settings = settings_of(group, options)
    async with Inbox(topics, settings, options.get("on_lost")) as inbox:
        handling = Handling(inbox, settings)
        while True:
            message = await handling.next()
            try:
                await _call(handler, message)
            except Exception as exc:  # whatever a handler raises is its message's failure
                await handling.failed(message, exc)
            else:
                await handling.succeeded(message)


async def _call(handler: Handler, message: Message) -> None:
    if inspect.iscoroutinefunction(handler):
        await handler(message)
        return
    answer = await asyncio.to_thread(handler, message)
    if inspect.isawaitable(answer):
        await answer
