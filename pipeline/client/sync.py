"""The client for programs without asyncio: the same functions as plain iterators and calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from types import TracebackType
from typing import Self, Unpack
from weakref import WeakSet

from pydantic import SecretStr

from pipeline.client import reading, subscription
from pipeline.client.background import Background
from pipeline.client.handling import Handler, Handling
from pipeline.client.inbox import Inbox, loop_left
from pipeline.client.messages import Message
from pipeline.client.settings import LOCAL, OnLost, Options, settings_of

__all__ = ["Subscription", "consume", "read", "subscribe"]


class Subscription:
    """As the one for asyncio. Messages stay fresh while the body works, however long that takes."""

    def __init__(self, inner: subscription.Subscription) -> None:
        self._inner = inner
        self._background: Background | None = None
        self._loops: WeakSet[Generator[Message, None, None]] = WeakSet()

    def __iter__(self) -> Generator[Message, None, None]:
        messages = self._messages()
        self._loops.add(messages)
        return messages

    def ack(self, message: Message) -> None:
        """It is done with, now: for a body about to leave the loop with success. Raises RuntimeError after that."""
        if self._background is not None:
            if self._background.closed:
                raise loop_left(message)
            self._background.run(self._inner.ack(message))

    def close(self) -> None:
        """End the loop and let go of the connection; may be called more than once."""
        for messages in list(self._loops):
            messages.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _messages(self) -> Generator[Message, None, None]:
        with Background() as self._background:
            yield from _each(self._background, self._inner.__aiter__)


def subscribe(*topics: str, group: str, **options: Unpack[Options]) -> Subscription:
    """See `pipeline.client.subscribe`; for `for`. `on_lost` is called in another thread."""
    return Subscription(subscription.subscribe(*topics, group=group, **options))


def consume(*topics: str, group: str, handler: Handler, **options: Unpack[Options]) -> None:
    """See `pipeline.client.consume`; until KeyboardInterrupt. The handler is called in this thread."""
    settings = settings_of(group, options)
    inbox = Inbox(topics, settings, options.get("on_lost"))
    handling = Handling(inbox, settings)
    with Background() as background:
        background.run(inbox.__aenter__())
        try:
            while True:
                message = background.run(handling.next())
                try:
                    handler(message)
                except Exception as exc:  # whatever a handler raises is its message's failure
                    background.run(handling.failed(message, exc))
                else:
                    background.run(handling.succeeded(message))
        finally:
            background.run(inbox.close())


def read(
    *topics: str,
    after: str | Mapping[str, str] = "0",
    line: str = "*",
    camera: str = "*",
    url: str | SecretStr = LOCAL,
    follow: bool = True,
    on_lost: OnLost | None = None,
) -> Generator[Message, None, None]:
    """See `pipeline.client.read`; for `for`. `on_lost` is called in another thread."""
    messages = reading.read(*topics, after=after, line=line, camera=camera, url=url, follow=follow, on_lost=on_lost)
    return _alone(messages)


def _alone(messages: AsyncGenerator[Message, None]) -> Generator[Message, None, None]:
    with Background() as background:
        yield from _each(background, lambda: messages)


def _each(background: Background, start: Callable[[], AsyncGenerator[Message, None]]) -> Generator[Message, None, None]:
    messages = start()
    try:
        while True:
            message = background.run(anext(messages, None))
            if message is None:
                return
            yield message
    finally:
        if not background.closed:
            background.run(messages.aclose())
