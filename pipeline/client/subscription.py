"""`subscribe`: the messages of a group as an `async for`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import AsyncGeneratorType, TracebackType
from typing import Self, Unpack
from weakref import WeakSet

from pipeline.client.inbox import Inbox
from pipeline.client.messages import Message, patterns_of
from pipeline.client.settings import OnLost, Options, SubscriberSettings, redis_settings_of, settings_of


class Subscription:
    """Messages as they come, for ever. Each is acked when the body comes back for the next one, so once it succeeded.

    A body that raises, or leaves the loop, has not acked its message: it is delivered again, to whoever reads next.
    Raises EntriesLostError where messages were trimmed unread, and SinkRefused where a person must act.
    """

    def __init__(self, topics: tuple[str, ...], settings: SubscriberSettings, on_lost: OnLost | None) -> None:
        redis_settings_of(settings.url)
        patterns_of(topics, settings.line, settings.camera)  # now, not at the first message
        self._topics = topics
        self._settings = settings
        self._on_lost = on_lost
        self._inbox: Inbox | None = None
        self._loops: WeakSet[AsyncGenerator[Message, None]] = WeakSet()  # weak: a loop that is left must be able to end

    def __aiter__(self) -> AsyncGenerator[Message, None]:
        messages = self._messages()
        self._loops.add(messages)
        return messages

    async def ack(self, message: Message) -> None:
        """It is done with, now: for a body about to leave the loop with success. Raises RuntimeError after that."""
        if self._inbox is not None:
            await self._inbox.done(message)

    async def aclose(self) -> None:
        """End the loop and let go of the connection; may be called more than once.

        By the task that reads: while it waits for a message, another can only cancel it. Raises RuntimeError then.
        """
        loops = list(self._loops)
        if any(isinstance(messages, AsyncGeneratorType) and messages.ag_running for messages in loops):
            raise RuntimeError("a task is waiting for the next message: cancel that task to end its loop")
        for messages in loops:
            await messages.aclose()
        if self._inbox is not None:  # a loop that was left may be about to close it
            await self._inbox.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _messages(self) -> AsyncGenerator[Message, None]:
        async with Inbox(self._topics, self._settings, self._on_lost) as inbox:
            self._inbox = inbox
            while True:
                message = await inbox.next()
                yield message
                await inbox.done(message)


def subscribe(*topics: str, group: str, **options: Unpack[Options]) -> Subscription:
    """Messages of one or more topics ("detections", "events", "inspections"), as one consumer of `group`.

    Options are the fields of SubscriberSettings, and `on_lost(lost)`, called with each EntriesLost instead of raising.
    Raises ValueError for what cannot be meant.
    """
    return Subscription(topics, settings_of(group, options), options.get("on_lost"))
