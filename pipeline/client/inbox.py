"""The messages of one subscriber: from the group to the body, and back as done, failed or dead."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import replace
from typing import Self

from pipeline.client.messages import Message, is_of, patterns_of
from pipeline.client.patience import until_there
from pipeline.client.settings import OnLost, SubscriberSettings, redis_settings_of, refuse
from pipeline.masking import mask
from pipeline.sinks.dead_letter import dead_letter
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.group_reader import Delivery, EntriesLost, GroupReader
from pipeline.sinks.keys import dead_key
from stages.results.models import MessageError, parse_message

logger = logging.getLogger(__name__)

_LEAVING_S = 1.0
_LONGEST_REASON = 2000


class Inbox:
    """One consumer's messages. What it has fetched stays its own, and fresh, until it is done, buried or released."""

    def __init__(self, topics: tuple[str, ...], settings: SubscriberSettings, on_lost: OnLost | None) -> None:
        self._settings = settings
        self._on_lost = on_lost or refuse
        self._reader = GroupReader(
            redis_settings_of(settings.url),
            patterns_of(topics, settings.line, settings.camera),
            settings.group,
            settings.named(),
            start=settings.start,
            claim_after_s=settings.claim_after_s,
            rescan_s=min(2.0, settings.claim_after_s),
            count=settings.prefetch,
            repeats=1,
        )
        self._waiting: deque[Delivery | EntriesLost] = deque()
        self._begun: dict[tuple[str, str], Delivery] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._keeper: asyncio.Task[None] | None = None
        self._closing = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep_fresh())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def next(self) -> Message:
        """The next message, however long that takes. Raises EntriesLostError, SinkRefused."""
        while (message := await self.poll()) is None:
            pass
        return message

    async def poll(self) -> Message | None:
        """The next message, or None if none came in half a second. Raises EntriesLostError, SinkRefused."""
        if not self._waiting:
            self._waiting += await until_there(self._reader.read)
        if not self._waiting:
            return None
        item = self._waiting.popleft()
        if isinstance(item, EntriesLost):
            await self._tell(item)
            return None
        self._begun[_key(item)] = item
        return await self._opened(item)

    async def done(self, message: Message) -> None:
        """It succeeded: nobody is given it again, in this process not even where Redis forgot that."""
        delivery = self._begun.get(_key(message))
        if delivery is None:
            if self._closed:
                raise loop_left(message)
            return  # was told so before
        self._remember(message.message_id)
        await self._ack(delivery)

    async def again(self, message: Message) -> Message | None:
        """The same message as one more try; None where another consumer has it now."""
        delivery = self._begun[_key(message)]
        repeated = await until_there(lambda: self._reader.again(delivery))
        if repeated is None:
            del self._begun[_key(message)]
            return None
        self._begun[_key(message)] = repeated
        return replace(message, tries=repeated.tries)

    async def bury(self, message: Message, reason: str) -> None:
        """To the dead letters with it."""
        await self._bury(self._begun[_key(message)], reason)

    async def close(self) -> None:
        """Leave what is not done to others, at once, and let go of the connection; may be called more than once."""
        async with self._closing:
            self._closed = True
            if self._keeper is not None:
                self._keeper.cancel()
                await asyncio.wait([self._keeper])
                self._keeper = None
            try:
                with suppress(SinkUnavailable, TimeoutError):
                    async with asyncio.timeout(_LEAVING_S):
                        await self._reader.release(list(self._begun.values()), self._not_begun())
            finally:
                self._waiting.clear()
                self._begun.clear()
                await self._reader.close()

    async def _tell(self, lost: EntriesLost) -> None:
        answer = self._on_lost(lost)
        if inspect.isawaitable(answer):
            await answer

    async def _opened(self, delivery: Delivery) -> Message | None:
        """The message in it, if it is for the body: else it is acked or buried here."""
        try:
            body = parse_message(delivery.data)
        except MessageError as exc:
            await self._bury(delivery, str(exc))
            return None
        if body.message_id in self._done or not is_of(body, self._settings.camera):
            await self._ack(delivery)
            return None
        if delivery.tries > self._settings.max_tries:
            await self._bury(delivery, f"given {delivery.tries - 1} times and never acked")
            return None
        return Message(body, body.message_id, delivery.stream, delivery.entry_id, delivery.tries, delivery.data)

    async def _ack(self, delivery: Delivery) -> None:
        await until_there(lambda: self._reader.ack([delivery]))
        self._begun.pop(_key(delivery), None)

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        dead = dead_key(delivery.stream, self._settings.group)
        reason = mask(reason)[:_LONGEST_REASON]
        letter = dead_letter(delivery, reason, time.time())
        buried = await until_there(lambda: self._reader.bury(delivery, dead, self._settings.maxlen_dead, letter))
        self._begun.pop(_key(delivery), None)
        if buried:
            logger.warning("%s %s goes to %s: %s", delivery.stream, delivery.entry_id, dead, reason)

    def _remember(self, message_id: str) -> None:
        if self._settings.dedupe:
            self._done[message_id] = None
            while len(self._done) > self._settings.dedupe:
                self._done.popitem(last=False)

    async def _keep_fresh(self) -> None:
        """So that others claim nothing from a consumer that is only slow."""
        while True:
            await asyncio.sleep(self._settings.claim_after_s / 3)
            with suppress(SinkUnavailable):
                await self._reader.keep([*self._begun.values(), *self._not_begun()])

    def _not_begun(self) -> list[Delivery]:
        return [each for each in self._waiting if isinstance(each, Delivery)]


def loop_left(message: Message) -> RuntimeError:
    """What an ack that comes too late is answered."""
    return RuntimeError(f"{message.stream} {message.entry_id}: the loop was left, ack before leaving it")


def _key(each: Message | Delivery) -> tuple[str, str]:
    return each.stream, each.entry_id
