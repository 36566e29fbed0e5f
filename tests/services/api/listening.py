"""A client of server-sent events that keeps to the standard: ids stick, and a block without data is no event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson


async def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait for it. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Heard:
    """One event."""

    kind: str
    data: dict[str, Any]


class Listener:
    """Remembers its last id over connections."""

    def __init__(self, url: str, **query: str) -> None:
        self._url, self._query = url, query
        self.last_id = ""
        self.comments = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AsyncIterator[Heard]]:
        """Inside, the events as they come."""
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("GET", self._url, params=self._query, headers=headers) as answer,
        ):
            answer.raise_for_status()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield self._events(answer)

    async def _events(self, answer: httpx.Response) -> AsyncIterator[Heard]:
        kind, data = "message", []
        async for line in answer.aiter_lines():
            if not line:
                if data:
                    yield Heard(kind, orjson.loads("\n".join(data)))
                kind, data = "message", []
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data.append(value)
