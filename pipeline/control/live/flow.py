"""How much of an answer is on its way, where the server before this app takes whatever it is given.

Serve's proxy hands an answer on as the client takes it, but what a replica sends is kept for it without a bound. So a
middleware in the proxy tells the app what has left, as a message of its own in the request's way back; an app that
waits for it has never more than so much under way. Under a server that makes `send` wait there is no such middleware,
and nothing to wait for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXTENSION = "rayline.sent"  # in the scope: what has left is told; and the type of the message that tells it
GONE = ("http.disconnect", "websocket.disconnect")


class TellWhatLeft:
    """Stands in Serve's proxy. Answers that say how long they are are left alone: they are there whole already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope.setdefault("extensions", {})[EXTENSION] = {}
        heard = _Heard(receive)
        comes_in_parts = scope["type"] == "websocket"

        async def tell(message: Message) -> None:
            nonlocal comes_in_parts
            if message["type"] == "http.response.start":
                comes_in_parts = all(name.lower() != b"content-length" for name, _ in message["headers"])
            try:
                await send(message)  # waits while the client does not take it
            except OSError:
                # So ASGI says that the client has left. Serve hears it as its next message too and ends the answer by
                # that; raised here, it would leave Serve's generator where it is: a traceback in the log for each.
                return
            if comes_in_parts:
                heard.left(_length(message))

        try:
            await self._app(scope, heard.receive, tell)
        finally:
            heard.close()


class _Heard:
    """What the client sends, and between it what has left."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._asked: asyncio.Future[Message] | None = None
        self._left = 0
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def left(self, length: int) -> None:
        self._left += length
        if self._left and not self._news.done():
            self._news.set_result(None)

    async def receive(self) -> Message:
        self._asked = self._asked or asyncio.ensure_future(self._receive())
        waiting: list[asyncio.Future[Any]] = [self._asked, self._news]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self._asked.done():
            asked, self._asked = self._asked, None
            return asked.result()
        left, self._left = self._left, 0
        self._news = asyncio.get_running_loop().create_future()
        return {"type": EXTENSION, "bytes": left}

    def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()


class Flow:
    """The app's side: one answer's `send` that waits while `most_bytes` are under way. `listen` must run beside it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._is_told = EXTENSION in scope.get("extensions", {})
        self._most_bytes = most_bytes
        self._under_way = 0
        self._moved = asyncio.Event()

    async def send(self, message: Message) -> None:
        """Send it, once there is room."""
        length = _length(message)
        while self._is_told and self._under_way and self._under_way + length > self._most_bytes:
            self._moved.clear()
            await self._moved.wait()
        self._under_way += length
        await self._send(message)

    async def listen(self) -> Message:
        """The next message of the client's own. What has left is taken note of."""
        while True:
            message = await self._receive()
            if message["type"] != EXTENSION:
                return message
            self._under_way = max(0, self._under_way - int(message["bytes"]))
            self._moved.set()

    async def until_gone(self) -> None:
        """Wait for the client to leave."""
        while (await self.listen())["type"] not in GONE:
            pass


def _length(message: Message) -> int:
    if message["type"] == "http.response.body":
        return len(message.get("body", b""))
    if message["type"] == "websocket.send":
        return len(message.get("bytes") or b"") + len((message.get("text") or "").encode())
    return 0
