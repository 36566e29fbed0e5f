"""The topics as server-sent events: what comes, whose, and that coming again misses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from redis import Redis
from starlette.requests import HTTPConnection

from pipeline.config import RaylineConfig
from pipeline.control.access.roles import Principal, Role
from pipeline.control.limits.heads import MOST_TARGET_BYTES
from pipeline.control.live import bookmark, events
from pipeline.control.settings import ApiSettings
from pipeline.sinks.redis_client import RedisSettings
from tests.api_client import api_client
from tests.api_server import ApiServer, api_server
from tests.redis_server import RedisServer, redis_server
from tests.services.api.listening import Heard, Listener, until
from tests.services.client.publisher import Publisher

pytestmark = pytest.mark.services


class Viewer:
    """Authenticator: whoever comes may see line l1."""

    async def principal(self, connection: HTTPConnection) -> Principal:
        return Principal("visitor", Role.VIEWER, frozenset({"l1"}))


@pytest.fixture
def client(redis: RedisSettings) -> Iterator[Redis]:
    with Redis.from_url(redis.url.get_secret_value()) as client:
        yield client


@pytest.fixture
def publisher(client: Redis) -> Publisher:
    return Publisher(client, "l1")


@pytest.fixture
async def api(redis: RedisSettings, config: RaylineConfig) -> AsyncIterator[ApiServer]:
    async with api_server(redis, config) as running:
        yield running


def listener(api: ApiServer, topic: str, **query: str) -> Listener:
    return Listener(f"{api.http}/v1/stream/{topic}", **query)


async def take(heard: AsyncIterator[Heard], count: int) -> list[Heard]:
    async with asyncio.timeout(60):
        return [await anext(heard) for _ in range(count)]


async def pinned(subject: Listener, heard: AsyncIterator[Heard]) -> asyncio.Task[Heard]:
    """The next event, asked for by one who knows by now where it is."""
    following = asyncio.ensure_future(anext(heard))
    await until(lambda: subject.last_id != "")
    return following  # type: ignore[return-value]


async def test_parts_come_as_they_are_published_from_now_on(api: ApiServer, publisher: Publisher) -> None:
    publisher.parts(1, 2)
    subject = listener(api, "inspections", line="l1")
    async with subject.connected() as heard:
        following = await pinned(subject, heard)
        publisher.parts(3)
        publisher.gap(4)
        first, second = await following, (await take(heard, 1))[0]
    assert (first.kind, first.data["message_id"]) == ("inspection", "3")
    assert second.kind == "uninspected"
    assert subject.last_id == "4-0"


async def test_who_comes_again_with_the_last_id_misses_nothing(api: ApiServer, publisher: Publisher) -> None:
    publisher.parts(*range(1, 6))
    subject = listener(api, "inspections", line="l1", after="0")
    async with subject.connected() as heard:
        first = await take(heard, 3)
    assert subject.last_id == "3-0"
    publisher.parts(6, 7)
    async with subject.connected() as heard:
        then = await take(heard, 4)
    assert [each.data["message_id"] for each in first + then] == [str(n) for n in range(1, 8)]


async def test_of_several_streams_each_is_gone_on_with_where_it_was(api: ApiServer, publisher: Publisher) -> None:
    publisher.frames(1, 2, 3, camera="a")
    publisher.frames(1, 2, camera="b")
    subject = listener(api, "detections", line="l1", after="0")
    async with subject.connected() as heard:
        first = await take(heard, 5)
        following = await pinned(subject, heard)
        following.cancel()
    publisher.frames(4, camera="a")
    publisher.frames(1, camera="new")  # a stream nobody knew of
    async with subject.connected() as heard:
        then = await take(heard, 2)
    assert sorted((each.data["camera"], each.data["seq"]) for each in first) == [
        *(("a", n) for n in (1, 2, 3)),
        *(("b", n) for n in (1, 2)),
    ]
    assert sorted((each.data["camera"], each.data["seq"]) for each in then) == [("a", 4), ("new", 1)]


async def test_what_is_published_while_nobody_is_connected_comes_though_nothing_came_before(
    api: ApiServer, publisher: Publisher
) -> None:
    publisher.frames(1, camera="a")
    for query in ({"line": "l1", "camera": "a"}, {"line": "l1"}, {}):
        subject = listener(api, "detections", **query)
        async with subject.connected() as heard:
            (await pinned(subject, heard)).cancel()
        publisher.frames(number := 2 + int(publisher.client.xlen(publisher.detections("a"))), camera="a")
        async with subject.connected() as heard:
            (got,) = await take(heard, 1)
        assert got.data["seq"] == number


async def test_a_lines_inspections_of_one_camera(api: ApiServer, publisher: Publisher) -> None:
    publisher.parts(1, camera="a")
    publisher.parts(2, 3, camera="b")
    publisher.parts(4, camera="a")
    subject = listener(api, "inspections", camera="a", after="0")
    async with subject.connected() as heard:
        got = await take(heard, 2)
    assert [each.data["message_id"] for each in got] == ["1", "4"]


async def test_lost_and_unreadable_entries_are_told(api: ApiServer, publisher: Publisher) -> None:
    publisher.parts(*range(1, 7))
    publisher.client.xtrim(publisher.inspections, maxlen=2, approximate=False)
    publisher.client.xadd(publisher.inspections, {"message_id": "x", "data": "no json\nevent: inspection"}, id="9-0")
    subject = listener(api, "inspections", line="l1", after="2")
    async with subject.connected() as heard:
        lost, *parts, unreadable = await take(heard, 4)
    assert (lost.kind, lost.data["line"], lost.data["from"], lost.data["to"]) == ("lost", "l1", "2-0", "5-0")
    assert [each.data["message_id"] for each in parts] == ["5", "6"]
    assert (unreadable.kind, unreadable.data["entry_id"]) == ("unreadable", "9-0")


async def test_only_ones_own_lines_are_heard(redis: RedisSettings, config: RaylineConfig, publisher: Publisher) -> None:
    Publisher(publisher.client, "l2").frames(1, 2, camera="c")
    publisher.frames(1, camera="a")
    async with api_server(redis, config, authenticator=Viewer()) as api:
        subject = listener(api, "detections", after="0")
        async with subject.connected() as heard:
            (first,) = await take(heard, 1)
            following = await pinned(subject, heard)
            publisher.frames(2, camera="a")
            second = await following
        # An id made by hand that names another's stream opens nothing.
        subject.last_id = bookmark.bookmark({"rayline:{l2}:detections:c": "0-1", "rayline:{l1}:detections:a": "1-0"})
        async with subject.connected() as heard:
            (third,) = await take(heard, 1)
        async with httpx.AsyncClient(timeout=60) as asks:
            refused = [
                await asks.get(f"{api.http}/v1/stream/detections", params=query)
                for query in ({"line": "l2"}, {"camera": "c"}, {"line": "l1", "camera": "c"}, {"camera": "none"})
            ]
    assert [(each.data["line"], each.data["seq"]) for each in (first, second, third)] == [
        ("l1", 1),
        ("l1", 2),
        ("l1", 2),
    ]
    assert [each.status_code for each in refused] == [404] * 4


@pytest.mark.parametrize(
    "given",
    ["x", "1-", "-1", "99999999999999999999999", "p.", "p.AAAA", "p." + "A" * 9000, "1-1-1", "p.!!"],
    ids=lambda text: text[:8],
)
async def test_an_id_that_was_never_sent_is_refused(redis: RedisSettings, config: RaylineConfig, given: str) -> None:
    async with api_client(redis, config) as asks:
        by_header = await asks.get("/v1/stream/events", headers={"Last-Event-ID": given})
        by_query = await asks.get("/v1/stream/events", params={"after": given})
    # The whole target is looked at first: one that long is 414.
    assert (by_header.status_code, by_query.status_code) == (400, 414 if len(given) > MOST_TARGET_BYTES else 400)


async def test_listeners_are_counted_and_a_silent_stream_beats(
    redis: RedisSettings, config: RaylineConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BEAT_EVERY_S", 0.5)
    settings = ApiSettings(open_to_loopback=True, max_streams=1)
    async with api_server(redis, config, settings=settings) as api, httpx.AsyncClient(timeout=60) as asks:
        subject = listener(api, "events", camera="a")
        async with subject.connected() as heard:
            following = await pinned(subject, heard)
            refused = await asks.get(f"{api.http}/v1/stream/events")
            await until(lambda: subject.comments > 1)
            following.cancel()
        again = listener(api, "events", camera="a")
        async with again.connected() as heard:  # its place is free at once
            (await pinned(again, heard)).cancel()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")


async def test_a_redis_that_comes_back_is_gone_on_with_and_one_that_does_not_ends_the_stream(
    config: RaylineConfig, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_server(tmp_path, keep=True) as redis:
        settings = RedisSettings(url=redis.url, retries=0, deadline_s=1, answer_timeout_s=1)
        async with api_server(settings, config) as api:
            await _listen_through(redis, api, monkeypatch)


async def _listen_through(redis: RedisServer, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with Redis.from_url(redis.url) as client:
        publisher = Publisher(client, "l1")
        publisher.parts(1)
        subject = listener(api, "inspections", line="l1", after="0")
        async with subject.connected() as heard:
            await take(heard, 1)
            following = asyncio.ensure_future(anext(heard))
            redis.kill()
            await until(lambda: subject.comments > 0)
            redis.start()
            publisher.parts(2)
            assert (await following).data["message_id"] == "2"
            monkeypatch.setattr(events, "AWAY_S", 1.0)
            redis.kill()
            with pytest.raises(StopAsyncIteration):
                await take(heard, 1)
