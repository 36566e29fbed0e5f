"""Trimming: about `maxlen` where nobody is registered, never past a registered reader, and never without end."""

import logging
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from pipeline.sinks.keys import CameraKeys, camera_keys
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import CameraWrite, ReaderCut, RedisSettings, RedisStreams, WriteStatus
from tests.redis_server import RedisServer
from tests.services.redis.writes import live, message

pytestmark = pytest.mark.services

MAXLEN, HARD = 200, 800
NEAR = 100  # ~ keeps whole nodes


@pytest.fixture
def settings(server: RedisServer) -> RedisSettings:
    limits = {"maxlen_detections": MAXLEN, "maxlen_events": MAXLEN, "maxlen_inspections": MAXLEN}
    return RedisSettings(url=server.url, maxlen_hard_factor=HARD // MAXLEN, **limits)  # type: ignore[arg-type]


@pytest.fixture
async def client(settings: RedisSettings) -> AsyncIterator[Redis]:
    opened = connect(settings)
    yield opened
    await opened.aclose()


@pytest.fixture
def keys(line: str) -> CameraKeys:
    return camera_keys(line, "cam")


class Writer:
    """Fills all three streams of a camera, twenty entries a write."""

    def __init__(self, streams: RedisStreams, line: str) -> None:
        self._streams = streams
        self._line = line
        self._prev: str | None = None
        self._writes = 0

    async def fill(self, entries: int) -> list[ReaderCut]:
        """Write so many to each stream; what that cut."""
        cuts: list[ReaderCut] = []
        for _ in range(entries // 20):
            many = [message(f"{self._writes}-{i}") for i in range(20)]
            new = live(self._writes)
            (outcome,) = await self._streams.write([CameraWrite("cam", self._line, self._prev, new, many, many, many)])
            assert outcome.status is WriteStatus.WRITTEN
            self._prev, self._writes = new, self._writes + 1
            cuts += outcome.cut
        return cuts


@pytest.fixture
def writer(streams: RedisStreams, line: str) -> Writer:
    return Writer(streams, line)


async def test_what_a_registered_reader_has_not_read_is_kept(writer: Writer, client: Redis, keys: CameraKeys) -> None:
    await client.hset(keys.readers, "detections:cam|relay", "0-0")
    assert await writer.fill(600) == []
    assert await client.xlen(keys.detections) == 600
    for nobodys in (keys.events, keys.inspections):
        assert await client.xlen(nobodys) <= MAXLEN + NEAR


async def test_what_it_has_read_goes(writer: Writer, client: Redis, keys: CameraKeys) -> None:
    await client.hset(keys.readers, "detections:cam|relay", "0-0")
    await writer.fill(600)
    read = (await client.xrange(keys.detections, count=250))[-1][0]
    await client.hset(keys.readers, "detections:cam|relay", read)
    assert await writer.fill(20) == []
    kept = await client.xrange(keys.detections)
    assert 620 - 250 <= len(kept) <= 620 - 250 + NEAR
    assert read in [entry_id for entry_id, _ in kept] or kept[0][0] > read
    newest = kept[-1][0]
    await client.hset(keys.readers, "detections:cam|relay", newest)
    await writer.fill(20)
    assert MAXLEN <= await client.xlen(keys.detections) <= MAXLEN + NEAR


async def test_the_slowest_of_several_counts(writer: Writer, client: Redis, keys: CameraKeys) -> None:
    await client.hset(keys.readers, mapping={"inspections|fast": "9999999999999-0", "inspections|slow": "0-0"})
    assert await writer.fill(600) == []
    assert await client.xlen(keys.inspections) == 600
    await client.hdel(keys.readers, "inspections|slow")
    await writer.fill(20)
    assert await client.xlen(keys.inspections) <= MAXLEN + NEAR


async def test_a_reader_of_a_kind_holds_streams_it_has_not_found_yet(
    writer: Writer, client: Redis, keys: CameraKeys
) -> None:
    await client.hset(keys.readers, mapping={"detections|relay": "0-0", "detections:other|relay": "9999999999999-0"})
    await writer.fill(600)
    assert await client.xlen(keys.detections) == 600
    await client.hset(keys.readers, "detections:cam|relay", "9999999999999-0")
    await writer.fill(20)
    assert await client.xlen(keys.detections) <= MAXLEN + NEAR


async def test_at_the_hard_limit_the_oldest_go_and_it_is_said_whose_they_were(
    writer: Writer, client: Redis, keys: CameraKeys
) -> None:
    await client.hset(keys.readers, mapping={"events|relay": "0-0", "events|fast": "9999999999999-0"})
    assert await writer.fill(HARD) == []
    assert await client.xlen(keys.events) == HARD
    assert await writer.fill(20) == [ReaderCut(keys.events, "relay")]
    assert await client.xlen(keys.events) == HARD


async def test_at_the_hard_limit_nothing_is_said_of_what_was_read(
    writer: Writer, client: Redis, keys: CameraKeys
) -> None:
    """A reader that keeps up, far behind: what it has read stands before the rest until a whole node of it goes."""
    await client.hset(keys.readers, "events|relay", "0-0")
    await writer.fill(HARD)
    for _ in range(30):
        through, *_ = (await client.xrevrange(keys.events, count=HARD - 40 + 1))[-1]
        await client.hset(keys.readers, "events:cam|relay", through)
        assert await writer.fill(20) == []
        assert await client.xlen(keys.events) <= HARD
    assert await writer.fill(20) == []  # exactly as many unread as there may be
    assert await writer.fill(20) == [ReaderCut(keys.events, "relay")]
    (first, _), *_ = await client.xrange(keys.events, count=1)
    assert first > through


async def test_messages_without_a_frame_are_trimmed_alike_and_the_log_says_once_whose_they_were(
    streams: RedisStreams, client: Redis, keys: CameraKeys, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    await client.hset(keys.readers, "inspections|relay", "0-0")
    for batch in range(50):
        many = [message(f"{batch}-{i}") for i in range(20)]
        await streams.append("cam", line, many, many)
    assert await client.xlen(keys.events) <= MAXLEN + NEAR
    assert await client.xlen(keys.inspections) == HARD
    (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told == f"stream {keys.inspections} is full: entries that relay has not read are deleted"


@pytest.mark.parametrize("floor", ["", "nonsense", "12", "12-x"])
async def test_a_floor_that_is_none_holds_all(writer: Writer, client: Redis, keys: CameraKeys, floor: str) -> None:
    """A script is not rolled back: XTRIM with such an id would fail behind the entries."""
    await client.hset(keys.readers, "detections:cam|relay", floor)
    await writer.fill(600)
    assert await client.xlen(keys.detections) == 600


async def test_a_readers_key_of_another_type_stops_the_write_before_anything_is_written(
    streams: RedisStreams, client: Redis, keys: CameraKeys, line: str
) -> None:
    await client.set(keys.readers, "someone else's")
    (outcome,) = await streams.write([CameraWrite("cam", line, None, live(1), [message("m")])])
    assert outcome.status is WriteStatus.REFUSED
    assert "holds a string" in (outcome.error or "")
    assert await client.exists(keys.cursor, keys.detections) == 0
