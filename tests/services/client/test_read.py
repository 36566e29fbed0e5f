"""`read`: from an id on, without a group, and told where what followed the id is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from pipeline.client import EntriesLost, EntriesLostError, Message, UnreadableError, read
from tests.redis_server import RedisServer
from tests.services.client.publisher import Publisher

pytestmark = pytest.mark.services


def frames(server: RedisServer, line: str, **options: object) -> AsyncGenerator[Message, None]:
    return read("detections", url=server.url, line=line, **options)  # type: ignore[arg-type]


async def kept(server: RedisServer, line: str, **options: object) -> list[str]:
    return [message.entry_id async for message in frames(server, line, follow=False, **options)]


async def test_what_ended_a_loop_is_passed_over_by_who_goes_on_after_its_id(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    """Two losses, one of all that was kept."""
    publisher.frames(1, 2, 3)
    publisher.client.xtrim(publisher.detections(), maxlen=1, approximate=False)
    with pytest.raises(EntriesLostError) as raised:
        await kept(server, line, after="1-0")
    after = raised.value.entry_id
    assert await kept(server, line, after=after) == ["3-0"]
    publisher.client.xtrim(publisher.detections(), maxlen=0, approximate=False)
    with pytest.raises(EntriesLostError) as raised:
        await kept(server, line, after=after)
    after = raised.value.entry_id
    assert await kept(server, line, after=after) == []


@pytest.fixture
def counts(server: RedisServer, request: pytest.FixtureRequest) -> bool:
    """Whether the server counts what it was given."""
    return "7.0" in request.node.callspec.id


@pytest.mark.parametrize(
    ("after", "given"), [("0", [1, 2, 3]), ("2-0", [3]), ("2", [3]), ("3-0", []), ("$", []), ("9-0", [1, 2, 3])]
)
async def test_reading_goes_on_after_an_id(
    server: RedisServer, line: str, publisher: Publisher, after: str, given: list[int]
) -> None:
    """An id that the stream has not come to is of an earlier life of Redis."""
    publisher.frames(1, 2, 3)
    assert await kept(server, line, after=after) == [f"{number}-0" for number in given]


async def test_more_than_one_page_is_kept(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.frames(*range(1, 501))
    assert len(await kept(server, line)) == 500


async def test_what_comes_is_given_as_it_comes_from_streams_made_later_too(
    server: RedisServer, line: str, publisher: Publisher, is_waiting: asyncio.Event
) -> None:
    publisher.frames(1)
    async with asyncio.timeout(60), aclosing(frames(server, line, after="$")) as messages:
        coming = asyncio.ensure_future(anext(messages))
        await is_waiting.wait()
        publisher.frames(2)
        assert (await coming).entry_id == "2-0"
        publisher.frames(3, camera="new")
        assert (await anext(messages)).body.camera == "new"


async def test_streams_are_read_on_from_a_place_each(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.frames(1, 2, camera="a")
    publisher.frames(1, 2, camera="b")
    after = {publisher.detections("a"): "2-0"}
    assert await kept(server, line, after=after) == ["1-0", "2-0"]
    assert await kept(server, line, camera="a", after=after) == []


@pytest.mark.parametrize(("place", "given"), [("2", "3-0"), ("2-0", "3-0"), ("0", "1-0"), ("$", "1-0")])
async def test_a_place_counts_for_a_stream_that_is_not_there_yet(
    server: RedisServer, line: str, publisher: Publisher, is_waiting: asyncio.Event, place: str, given: str
) -> None:
    """As after a Redis that comes back only later."""
    async with asyncio.timeout(60):
        async with aclosing(frames(server, line, after={publisher.detections(): place})) as messages:
            coming = asyncio.ensure_future(anext(messages))
            await is_waiting.wait()
            publisher.frames(1, 2, 3)
            assert (await coming).entry_id == given


async def test_an_id_trimmed_away_with_others_is_told(server: RedisServer, line: str, publisher: Publisher) -> None:
    publisher.frames(*range(1, 10))
    publisher.client.xtrim(publisher.detections(), maxlen=2, approximate=False)
    with pytest.raises(EntriesLostError) as raised:
        await kept(server, line, after="3-0")
    assert raised.value.lost == EntriesLost(publisher.detections(), "3-0", "8-0")
    assert await kept(server, line, after={raised.value.stream: raised.value.entry_id}) == ["8-0", "9-0"]
    told: list[EntriesLost] = []
    assert await kept(server, line, after="3-0", on_lost=told.append) == ["8-0", "9-0"]
    assert told == [raised.value.lost]
    assert await kept(server, line, after="0") == ["8-0", "9-0"]


async def test_what_is_trimmed_while_reading_is_told_and_nothing_else(
    server: RedisServer, line: str, publisher: Publisher, counts: bool
) -> None:
    """6.2 cannot tell that trimming ended exactly behind what was read."""
    publisher.frames(1, 2)
    told: list[EntriesLost] = []
    async with asyncio.timeout(60), aclosing(frames(server, line, on_lost=told.append)) as messages:
        assert [(await anext(messages)).entry_id for _ in range(2)] == ["1-0", "2-0"]
        publisher.frames(*range(3, 9))
        publisher.client.xtrim(publisher.detections(), maxlen=1, approximate=False)
        assert (await anext(messages)).entry_id == "8-0"
        assert told == [EntriesLost(publisher.detections(), "2-0", "8-0")]
        publisher.client.xtrim(publisher.detections(), maxlen=0, approximate=False)
        publisher.frames(9)
        assert (await anext(messages)).entry_id == "9-0"
        assert (len(told) == 1) is counts


async def test_a_stream_that_began_later_than_the_id_lost_nothing_where_the_server_counts(
    server: RedisServer, line: str, publisher: Publisher, counts: bool
) -> None:
    publisher.frames(5, 6)
    told: list[EntriesLost] = []
    assert await kept(server, line, after="3-0", on_lost=told.append) == ["5-0", "6-0"]
    assert (not told) is counts


async def test_an_entry_that_is_no_message_is_raised_with_its_place(
    server: RedisServer, line: str, publisher: Publisher
) -> None:
    publisher.parts(1)
    publisher.rubbish(2)
    publisher.parts(3)
    with pytest.raises(UnreadableError, match=r"2-0: rayline\.inspection/1\.0") as raised:
        await _ids(read("inspections", url=server.url, line=line, follow=False))
    after = raised.value.entry_id
    assert await _ids(read("inspections", url=server.url, line=line, follow=False, after=after)) == ["3-0"]


async def _ids(messages: AsyncGenerator[Message, None]) -> list[str]:
    return [message.entry_id async for message in messages]
