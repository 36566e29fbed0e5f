"""Several connections for callers that come and go: each is used by one at a time, and dropped after any failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.redis_client import RedisLink, RedisSettings


class RedisPool:
    """At most `size` connections. One that a caller was cancelled on is never another's: see RedisLink."""

    def __init__(self, settings: RedisSettings, size: int = 16) -> None:
        self.settings = settings
        self._idle = [RedisLink(settings) for _ in range(size)]
        self._free = asyncio.Semaphore(size)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Redis]:
        """A client of one's own for what runs inside. Raises SinkUnavailable (no connection free too), SinkRefused."""
        try:
            async with asyncio.timeout(self.settings.deadline_s):
                await self._free.acquire()
        except TimeoutError:
            raise SinkUnavailable(
                f"redis at {self.settings.address}: no connection free for {self.settings.deadline_s:g} s"
            ) from None
        link = self._idle.pop()
        try:
            async with link.use() as client:
                yield client
        finally:
            self._idle.append(link)
            self._free.release()

    async def close(self) -> None:
        """Let go of the connections that are not in use; may be called more than once."""
        for link in self._idle:
            await link.close()
