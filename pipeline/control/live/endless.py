"""An answer that goes on as long as it is listened to, at the pace of who listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from pipeline.control.live.flow import Flow

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

STALLED_S = 30.0  # who takes nothing for so long is let go
MOST_UNDER_WAY = 400_000  # bytes: two or three pictures


class EndlessResponse(Response):
    """Sends parts as they come; the next is asked for when the client has taken the one before.

    What the first part raises is answered as an error. Ends after `longest_s`, with the parts, or when the client
    leaves or stops taking anything; the parts are closed then.
    """

    def __init__(self, parts: AsyncGenerator[bytes, None], media_type: str, longest_s: float) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.body = b""
        self._parts = parts
        self._longest_s = longest_s
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The whole answer."""
        flow = Flow(scope, receive, send, MOST_UNDER_WAY)
        async with aclosing(self._parts) as parts:
            first = await anext(parts)
            await flow.send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await first_of(self._send(first, parts, flow), flow.until_gone())

    async def _send(self, part: bytes | None, parts: AsyncGenerator[bytes, None], flow: Flow) -> None:
        end_at = time.monotonic() + self._longest_s
        while part is not None:
            try:
                async with asyncio.timeout(STALLED_S):
                    await flow.send({"type": "http.response.body", "body": part, "more_body": True})
            except OSError:  # uvicorn's for a client that left; TimeoutError, for one that stalled, is one too
                return
            part = await anext(parts, None) if time.monotonic() < end_at else None
        await flow.send({"type": "http.response.body", "body": b"", "more_body": False})


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Until the first is done; the others are cancelled. Raises what that one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
