"""A line that publishes, and a history that listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import orjson
from sqlalchemy import Connection

from pipeline.history.collector import Collector
from pipeline.history.database import Database
from pipeline.history.settings import GROUP, HistorySettings
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.redis_server import RedisServer
from tests.unit.history.messages import event, interval, part

CAMERA = "cam-1"


class Line:
    """Writes streams as Rayline does; entry ids may be given, to write the same ones again."""

    def __init__(self, server: RedisServer, name: str) -> None:
        self.name = name
        self.settings = RedisSettings(url=server.url, retries=0)
        self.keys = camera_keys(name, CAMERA)
        self._redis: Any = connect(self.settings)  # redis-py's types know no bytes

    async def publish(self, *messages: bytes, ids: Sequence[str] = ()) -> list[str]:
        """The entries' ids."""
        made = []
        for number, message in enumerate(messages):
            stream = self.keys.events if b'"rayline.event/' in message else self.keys.inspections
            name = orjson.loads(message)["message_id"] if message.startswith(b"{") else "?"
            entry = {"message_id": name, "data": message}
            made.append((await self._redis.xadd(stream, entry, id=ids[number] if ids else "*")).decode())
        return made

    def messages(self, count: int, first: int = 0) -> list[bytes]:
        """Parts with a defect every third, an event beside each, an interval that begins and one that ends."""
        now = time.time()
        told: list[bytes] = []
        for n in range(first, first + count):
            labels = ["dent"] if n % 3 == 0 else []
            verdict = "reject" if labels else "pass"
            told.append(part(f"{self.name}/{n}", at=now, verdict=verdict, labels=labels, line=self.name))
            told.append(event(f"{self.name}/e{n}", at=now, line=self.name))
        name = f"{self.name}/black/{first}"
        return [*told, interval(name, since=now, line=self.name), interval(name, now + 1, since=now, line=self.name)]

    async def pending(self) -> int:
        """Entries that the group was given and has not acked."""
        keys = [key for key in (self.keys.events, self.keys.inspections) if await self._redis.exists(key)]
        return sum([int((await self._redis.xpending(key, GROUP))["pending"]) for key in keys])

    async def dead(self) -> list[dict[bytes, bytes]]:
        """The dead letters."""
        return [fields for _, fields in await self._redis.xrange(f"rayline:{{{self.name}}}:dead:{GROUP}")]

    @property
    def redis(self) -> Any:
        return self._redis

    async def reconnect(self) -> None:
        """Behind a server that was away."""
        await self._redis.connection_pool.disconnect()

    async def close(self) -> None:
        await self._redis.aclose()


def collector_of(line: Line, db: Database, **settings: Any) -> Collector:
    """A collector, as `rayline history` makes it."""
    return Collector(db, HistorySettings(**settings), line.settings, [line.name])


@asynccontextmanager
async def running(collector: Collector) -> AsyncIterator[Collector]:
    """Until the end, where it has a moment to finish."""
    task = asyncio.create_task(collector.run())
    try:
        yield collector
        collector.finish()
        await asyncio.wait_for(task, 15)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def collect_all(collector: Collector) -> None:
    """What stands there now, and leave."""
    collector.finish()
    await asyncio.wait_for(collector.run(), 60)


async def eventually(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what is asked tells nobody
            await asyncio.sleep(0.05)


class Killed(BaseException):
    """The process is gone."""


class DiesAfterCommit(Database):
    """What is committed is kept, and nobody hears of it any more."""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with super().write() as connection:
            yield connection
        raise Killed
