"""Looking into the streams without a consumer group: for the command line and for tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis

from pipeline.sinks.keys import cursor_owner
from pipeline.sinks.redis_client import RedisLink, RedisSettings

_START = "0-0"


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry. `data` is the message, for `stages.results.parse_message`."""

    stream: str
    entry_id: str
    message_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CameraSeen:
    """A camera that has published, and how far it has come."""

    line: str
    camera: str
    cursor: str | None


class StreamReader:
    """Follows streams by name pattern; keeps nothing on the server."""

    def __init__(self, settings: RedisSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._link = RedisLink(settings)

    async def close(self) -> None:
        """Let go of the connection; may be called more than once."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def cameras(self) -> list[CameraSeen]:
        """All that ever published and were not removed, by line and name. Raises SinkUnavailable."""
        async with self._link.use() as client:
            keys = sorted(await _scan(client, "rayline:{*}:cursor:*", "hash"))
            async with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hget(key, "cursor")
                cursors = await pipe.execute() if keys else []
        return [
            CameraSeen(*cursor_owner(key), None if cursor is None else cursor.decode())
            for key, cursor in zip(keys, cursors, strict=True)
        ]

    async def read(self, stream: str, after: str = _START, count: int = 1000) -> list[Entry]:
        """At most `count` entries after an id, oldest first. Raises SinkUnavailable."""
        async with self._link.use() as client:
            found: Any = await client.xrange(stream, min=f"({after}", count=count)
        return [_entry(stream, entry_id, fields) for entry_id, fields in found]

    async def tail(
        self,
        patterns: Sequence[str],
        from_id: str = "$",
        *,
        block_s: float = 0.5,
        rescan_s: float = 2.0,
        count: int = 200,
    ) -> AsyncIterator[Entry]:
        """Entries as they come, for ever, of all streams that match, those made later included.

        `from_id` is "$" for what comes from now on, "0" for all that is kept, or an entry id. `block_s` bounds one
        wait, and so how long leaving takes; `count` bounds what one answer may hold per stream. Raises
        SinkUnavailable.
        """
        settings = self._settings
        block_s = min(block_s, settings.answer_timeout_s / 2)  # redis-py hangs up on an answer later than its timeout
        places = await self._places(patterns, from_id)
        scanned_at = self._clock()
        while True:
            if self._clock() - scanned_at >= rescan_s:
                known, places = places, await self._places(patterns, _START)
                places |= {stream: last for stream, last in known.items() if stream in places}
                scanned_at = self._clock()
            if not places:
                await asyncio.sleep(block_s)
                continue
            for entry in await self._read_once(places, block_s, count):
                places[entry.stream] = entry.entry_id
                yield entry

    async def follow(self, stream: str, *, block_s: float = 0.5, count: int = 200) -> AsyncIterator[Entry]:
        """Entries of one stream that come from now on, for ever; it need not be there yet. Raises SinkUnavailable."""
        block_s = min(block_s, self._settings.answer_timeout_s / 2)
        async with self._link.use() as client:
            newest: Any = await client.xrevrange(stream, count=1)
        places = {stream: newest[0][0].decode() if newest else _START}
        while True:
            for entry in await self._read_once(places, block_s, count):
                places[stream] = entry.entry_id
                yield entry

    async def _read_once(self, places: dict[str, str], block_s: float, count: int) -> list[Entry]:
        streams: Any = dict(places)
        async with self._link.use(extra_s=block_s) as client:
            answer: Any = await client.xread(streams, count=count, block=max(1, int(block_s * 1000)))
        return [_entry(stream.decode(), entry_id, fields) for stream, found in answer for entry_id, fields in found]

    async def _places(self, patterns: Iterable[str], from_id: str) -> dict[str, str]:
        """Where to read on, by stream; "$" becomes the id that is the last one now, so that nothing falls between."""
        async with self._link.use() as client:
            streams = sorted({stream for pattern in patterns for stream in await _scan(client, pattern, "stream")})
            if from_id != "$":
                return dict.fromkeys(streams, from_id)
            async with client.pipeline(transaction=False) as pipe:
                for stream in streams:
                    pipe.xrevrange(stream, count=1)
                newest = await pipe.execute() if streams else []
        return {stream: last[0][0].decode() if last else _START for stream, last in zip(streams, newest, strict=True)}


async def _scan(client: Redis, pattern: str, kind: str) -> set[str]:
    return {key.decode() async for key in client.scan_iter(match=pattern, count=1000, _type=kind)}


def _entry(stream: str, entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    return Entry(stream, entry_id.decode(), fields.get(b"message_id", b"").decode(), fields.get(b"data", b""))
