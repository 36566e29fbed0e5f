"""A consumer group: each entry to one of its consumers until it is acked, and what is lost is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.group_reader import Delivery, EntriesLost, GroupReader
from pipeline.sinks.keys import stream_pattern
from pipeline.sinks.redis_client import RedisSettings, connect
from tests.redis_server import BINARIES, RedisServer, redis_server
from tests.services.redis.gate import gate

pytestmark = pytest.mark.services

GROUP = "erp"


@pytest.fixture
async def client(settings: RedisSettings) -> AsyncIterator[Redis]:
    async with connect(settings) as opened:
        yield opened


@pytest.fixture
def stream(line: str) -> str:
    return f"rayline:{{{line}}}:detections:cam"


@pytest.fixture
def counts(server: RedisServer, request: pytest.FixtureRequest) -> bool:
    """Whether the server counts what it was given, and so can tell every loss from none."""
    return "7.0" in request.node.callspec.id


def group_reader(settings: RedisSettings, line: str, consumer: str = "one", **options: object) -> GroupReader:
    hasty = {"claim_after_s": 60.0, "rescan_s": 0.05, "block_s": 0.05} | options
    return GroupReader(settings, [stream_pattern("detections", line)], GROUP, consumer, **hasty)  # type: ignore[arg-type]


async def add(client: Redis, stream: str, *numbers: int) -> None:
    for number in numbers:
        await client.xadd(stream, {"message_id": str(number), "data": b"{}"}, id=f"{number}-0")


async def take(reader: GroupReader, until: int) -> list[Delivery | EntriesLost]:
    """The next `until` items."""
    taken: list[Delivery | EntriesLost] = []
    async with asyncio.timeout(60):
        while len(taken) < until:
            taken += await reader.read()
    return taken


async def nothing_more(reader: GroupReader, rounds: int = 4) -> None:
    for _ in range(rounds):
        assert await reader.read() == []


def told(items: list[Delivery | EntriesLost]) -> list[object]:
    """Deliveries by name, losses as (after, before)."""
    return [each.message_id if isinstance(each, Delivery) else (each.after, each.before) for each in items]


def deliveries(items: list[Delivery | EntriesLost]) -> list[Delivery]:
    return [each for each in items if isinstance(each, Delivery)]


async def pending(client: Redis, stream: str) -> int:
    return (await client.xpending(stream, GROUP))["pending"]  # type: ignore[no-any-return]


async def test_entries_come_once_in_order_and_are_gone_when_acked(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, *range(1, 8))
    async with group_reader(settings, line, count=3) as reader:
        taken = deliveries(await take(reader, 7))
        assert told([*taken]) == [str(number) for number in range(1, 8)]
        assert taken[0] == Delivery(stream, "1-0", "1", b"{}", 1)
        await nothing_more(reader)
        assert await pending(client, stream) == 7
        await reader.ack(taken)
        assert await pending(client, stream) == 0
        await add(client, stream, 8)
        assert told(await take(reader, 1)) == ["8"]


@pytest.mark.parametrize(
    ("start", "expected"), [("0", ["1", "2", "3", "4"]), ("$", ["4"]), ("1-0", ["2", "3", "4"]), ("2", ["3", "4"])]
)
async def test_the_first_look_begins_where_it_is_told_and_later_ones_go_on(
    settings: RedisSettings, client: Redis, line: str, stream: str, start: str, expected: list[str]
) -> None:
    await add(client, stream, 1, 2, 3)
    async with group_reader(settings, line, start=start) as reader:
        first = await reader.read()
        await add(client, stream, 4)
        taken = [*first, *await take(reader, len(expected) - len(first))]
        assert told(taken) == expected
        await reader.ack(deliveries(taken))
    await add(client, stream, 5)
    async with group_reader(settings, line, start="$") as reader:
        assert told(await take(reader, 1)) == ["5"]


async def test_a_stream_made_later_is_read_from_its_beginning_by_whoever_comes(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, 1)
    async with group_reader(settings, line, start="$") as reader:
        await nothing_more(reader, 1)
        await add(client, f"{stream}-2", 11, 12)
        assert told(await take(reader, 2)) == ["11", "12"]
    await add(client, f"{stream}-3", 21)
    async with group_reader(settings, line, "two", start="$") as reader:
        assert told(await take(reader, 1)) == ["21"]


async def test_consumers_of_a_group_share_the_entries(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    async with (
        group_reader(settings, line, "one", count=2) as one,
        group_reader(settings, line, "two", count=2) as two,
    ):
        await add(client, stream, *range(1, 41))
        taken: list[Delivery | EntriesLost] = []
        while len(taken) < 40:
            taken += chain.from_iterable(await asyncio.gather(one.read(), two.read()))
    assert sorted(map(int, map(str, told(taken)))) == list(range(1, 41))


async def test_after_a_restart_what_was_pending_comes_first_in_order_and_counted(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, *range(1, 6))
    async with group_reader(settings, line) as reader:
        taken = deliveries(await take(reader, 5))
        await reader.ack([taken[1]])
    await add(client, stream, 6)
    async with group_reader(settings, line, count=2) as reader:
        again = deliveries(await take(reader, 5))
        await nothing_more(reader)
    assert [(each.message_id, each.tries) for each in again] == [("1", 2), ("3", 2), ("4", 2), ("5", 2), ("6", 1)]


async def test_what_a_dead_consumer_left_is_claimed_after_its_time_and_not_before(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, *range(1, 8))
    dead = group_reader(settings, line, "dead")
    assert len(await take(dead, 7)) == 7
    async with group_reader(settings, line, "patient") as reader:
        await nothing_more(reader)
    async with group_reader(settings, line, "alive", claim_after_s=0.4, count=3) as reader:
        claimed = deliveries(await take(reader, 7))
        assert [(each.message_id, each.tries) for each in claimed] == [(str(number), 2) for number in range(1, 8)]
        await asyncio.sleep(0.5)
        await nothing_more(reader)  # its own are as old now, and in its hands
        await reader.ack(claimed)
    await dead.close()
    assert await pending(client, stream) == 0


async def test_what_is_kept_alive_is_not_claimed(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, 1)
    async with group_reader(settings, line, "slow") as slow, group_reader(settings, line, claim_after_s=1.5) as other:
        taken = deliveries(await take(slow, 1))
        for _ in range(8):
            await slow.keep(taken)
            assert await other.read() == []
            await asyncio.sleep(0.25)
        claimed = await take(other, 1)
        assert told(claimed) == ["1"]
        await slow.keep(taken)  # too late: it stays the other's
        assert await slow.again(taken[0]) is None
        assert [each["consumer"] for each in await client.xpending_range(stream, GROUP, "-", "+", 9)] == [b"one"]


async def test_an_entry_is_given_again_when_asked_and_counted(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, 1)
    async with group_reader(settings, line) as reader:
        (first,) = deliveries(await take(reader, 1))
        second = await reader.again(first)
        assert second is not None
        assert second.tries == 2
        await client.xtrim(stream, maxlen=0, approximate=False)
        await reader.keep([second])
        third = await reader.again(second)
        assert third is not None
        assert third.tries == 3  # it is in our hands, though no longer in the stream
        await nothing_more(reader)


async def test_entries_trimmed_unread_are_told_once_before_the_next_one(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, *range(1, 11))
    async with group_reader(settings, line, count=2) as reader:
        taken = await take(reader, 2)
        await client.xtrim(stream, maxlen=4, approximate=False)
        lost = await take(reader, 5)
        assert lost[0] == EntriesLost(stream, "2-0", "7-0")
        assert told(lost[1:]) == ["7", "8", "9", "10"]
        await nothing_more(reader)
        await add(client, stream, 11)
        last = await take(reader, 1)
        assert told(last) == ["11"]
        await reader.ack(deliveries([*taken, *lost, *last]))
    async with group_reader(settings, line, "two") as reader:
        await nothing_more(reader)


@pytest.mark.parametrize("taken", [False, True], ids=["unread", "pending"])
@pytest.mark.parametrize("emptied", [False, True], ids=["in part", "wholly"])
async def test_streams_that_lose_at_once_are_told_one_at_a_time(
    settings: RedisSettings, client: Redis, line: str, stream: str, taken: bool, emptied: bool
) -> None:
    """Who leaves at a loss has been told of that one only."""
    streams = [f"{stream}-{number}" for number in (1, 2, 3)]
    for each in streams:
        await add(client, each, 1)
    async with group_reader(settings, line) as reader:
        await reader.ack(deliveries(await take(reader, 3)))
    for each in streams:
        await add(client, each, 2, 3)
    if taken:
        dead = group_reader(settings, line)
        await take(dead, 6)
        await dead._link.close()
    for each in streams:
        await client.xtrim(each, maxlen=0 if emptied else 1, approximate=False)
    told_of: list[str] = []
    while set(told_of) != set(streams):
        async with group_reader(settings, line, repeats=1) as reader:
            items = await take(reader, 1)
            while not isinstance(items[0], EntriesLost):
                await reader.ack(deliveries(items))
                items = await take(reader, 1)
            told_of += [each.stream for each in items if isinstance(each, EntriesLost)][:1]
            await reader.release([], deliveries(items))


async def test_a_stream_emptied_unread_is_told_though_nothing_follows(
    settings: RedisSettings, client: Redis, line: str, stream: str, counts: bool
) -> None:
    await add(client, stream, 1, 2, 3)
    async with group_reader(settings, line, count=1) as reader:
        await take(reader, 1)
        await client.xtrim(stream, maxlen=0, approximate=False)
        assert told(await take(reader, 1)) == [("1-0", "3-1")]
        await nothing_more(reader)
        await add(client, stream, 4)
        expected: list[object] = ["4"] if counts else [("3-0", "4-0"), "4"]  # what 6.2 cannot know
        assert told(await take(reader, len(expected))) == expected


async def test_a_loss_while_nobody_read_is_told_to_one_of_those_who_come(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, 1)
    async with group_reader(settings, line) as reader:
        await reader.ack(deliveries(await take(reader, 1)))
    await add(client, stream, *range(2, 50))
    await client.xtrim(stream, maxlen=10, approximate=False)
    async with group_reader(settings, line, "one") as one, group_reader(settings, line, "two") as two:
        taken: list[Delivery | EntriesLost] = []
        while len(taken) < 11:
            taken += chain.from_iterable(await asyncio.gather(one.read(), two.read()))
        await asyncio.gather(nothing_more(one), nothing_more(two))
    assert [each for each in told(taken) if isinstance(each, tuple)] == [("1-0", "40-0")]


async def test_what_was_read_before_it_was_trimmed_is_no_loss(
    settings: RedisSettings, client: Redis, line: str, stream: str, counts: bool
) -> None:
    """6.2 knows that only while this reader has seen what follows."""
    await add(client, stream, *range(1, 11))
    async with group_reader(settings, line, count=3) as reader:
        await reader.ack(deliveries(await take(reader, 3)))
        await client.xtrim(stream, minid="4-0", approximate=False)
        taken = deliveries(await take(reader, 7))
        assert told([*taken]) == [str(number) for number in range(4, 11)]
        await reader.ack(taken)
    if counts:
        await client.xtrim(stream, maxlen=0, approximate=False)
        await add(client, stream, 21)
        async with group_reader(settings, line) as reader:
            assert told(await take(reader, 1)) == ["21"]


async def test_a_stream_trimmed_before_the_first_look_is_no_loss_and_what_follows_is(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, *range(1, 11))
    await client.xtrim(stream, maxlen=5, approximate=False)
    async with group_reader(settings, line, count=1) as reader:
        assert told(await take(reader, 1)) == ["6"]
        await client.xtrim(stream, maxlen=1, approximate=False)
        assert told(await take(reader, 2)) == [("6-0", "10-0"), "10"]


async def test_a_stream_made_and_trimmed_while_nobody_read_is_told_where_the_server_counts(
    settings: RedisSettings, client: Redis, line: str, stream: str, counts: bool
) -> None:
    await add(client, stream, 1)
    async with group_reader(settings, line) as reader:
        await reader.ack(deliveries(await take(reader, 1)))
    later = f"{stream}-2"
    await add(client, later, *range(11, 21))
    await client.xtrim(later, maxlen=2, approximate=False)
    async with group_reader(settings, line) as reader:
        expected: list[object] = [("0-0", "19-0")] if counts else []
        assert told(await take(reader, len(expected) + 2)) == [*expected, "19", "20"]
        await nothing_more(reader)


@pytest.mark.parametrize("consumer", ["one", "two"], ids=["its own", "another's"])
async def test_pending_entries_that_were_trimmed_are_told_once_and_acked_away(
    settings: RedisSettings, client: Redis, line: str, stream: str, consumer: str
) -> None:
    await add(client, stream, *range(1, 8))
    dead = group_reader(settings, line, "one")
    await take(dead, 7)
    await dead._link.close()
    await client.xtrim(stream, maxlen=2, approximate=False)
    async with group_reader(settings, line, consumer, claim_after_s=0.1) as reader:
        items = await take(reader, 3)
        assert told(items) == [("0-18446744073709551615", "5-1"), "6", "7"]
        await nothing_more(reader)
        await reader.ack(deliveries(items))
    assert await pending(client, stream) == 0


async def test_entries_trimmed_while_they_were_worked_on_are_told_when_they_are_left_to_others(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, 1, 2)
    async with group_reader(settings, line) as reader, group_reader(settings, line, "two", claim_after_s=0.2) as other:
        begun, not_begun = deliveries(await take(reader, 2))
        await client.xtrim(stream, maxlen=0, approximate=False)
        await reader.keep([begun, not_begun])
        await reader.release([begun], [not_begun])
        assert told(await take(other, 1)) == [("0-18446744073709551615", "2-1")]
        await nothing_more(other)
    assert await pending(client, stream) == 0


@pytest.mark.parametrize("gone", ["stream", "group"])
async def test_a_stream_or_group_that_vanished_is_made_again_without_repeats_or_alarm(
    settings: RedisSettings, client: Redis, line: str, stream: str, gone: str
) -> None:
    await add(client, stream, 1, 2, 3)
    async with group_reader(settings, line) as reader:
        await reader.ack(deliveries(await take(reader, 3)))
        if gone == "stream":
            await client.delete(stream)
        else:
            await client.xgroup_destroy(stream, GROUP)
        await add(client, stream, 4, 5)
        assert told(await take(reader, 2)) == ["4", "5"]
        await nothing_more(reader)


async def test_a_stream_that_began_anew_with_smaller_ids_is_read_from_its_beginning(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, 11, 12)
    async with group_reader(settings, line) as reader:
        await take(reader, 2)
        await client.delete(stream)
        await add(client, stream, 1, 2)
        assert told(await take(reader, 2)) == ["1", "2"]
        await nothing_more(reader)


@pytest.mark.parametrize("version", list(BINARIES))
async def test_a_redis_that_went_away_is_told_and_read_on_when_it_is_back(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version, keep=True) as server:
        settings = RedisSettings(url=server.url)  # type: ignore[arg-type]
        stream = "rayline:{l}:detections:cam"
        async with connect(settings) as client, group_reader(settings, "l") as reader:
            await add(client, stream, 1, 2)
            taken = deliveries(await take(reader, 2))
            server.kill()
            with pytest.raises(SinkUnavailable):
                await reader.read()
            server.start()
            await add(client, stream, 3)
            assert told(await take(reader, 1)) == ["3"]
            await reader.ack(taken)
            assert await pending(client, stream) == 1
            await nothing_more(reader)


@pytest.mark.parametrize("version", list(BINARIES))
async def test_a_redis_that_came_back_empty_is_read_from_its_new_beginning(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        settings = RedisSettings(url=server.url)  # type: ignore[arg-type]
        stream = "rayline:{l}:detections:cam"
        async with connect(settings) as client, group_reader(settings, "l", start="$") as reader:
            await add(client, stream, 1, 2)
            assert await reader.read() == []
            server.restart()
            await add(client, stream, 3, 4)
            with suppress(SinkUnavailable):  # whether redis-py sees the dead connection before it uses it is chance
                assert await reader.read() == []
            assert told(await take(reader, 2)) == ["3", "4"]
            await nothing_more(reader)


@pytest.mark.parametrize("version", list(BINARIES))
async def test_what_a_lost_answer_held_is_not_lost(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        settings = RedisSettings(url=server.url)  # type: ignore[arg-type]
        stream = "rayline:{l}:detections:cam"
        async with connect(settings) as client, gate(server.port) as proxy:
            await add(client, stream, 1)
            through = settings.at(f"redis://127.0.0.1:{proxy.port}")
            async with group_reader(through, "l") as reader:
                assert told(await take(reader, 1)) == ["1"]
                await add(client, stream, 2, 3)
                proxy.lose_the_answer_to(b"take")
                with pytest.raises(SinkUnavailable):
                    await take(reader, 1)
                again = deliveries(await take(reader, 2))
                await nothing_more(reader)
        assert [(each.message_id, each.tries) for each in again] == [("2", 2), ("3", 2)]


async def test_a_cancelled_read_loses_nothing(settings: RedisSettings, client: Redis, line: str, stream: str) -> None:
    async with group_reader(settings, line, count=1) as reader:
        taken: list[Delivery | EntriesLost] = []
        for number in range(1, 41):
            await add(client, stream, number)
            reading = asyncio.create_task(reader.read())
            for _ in range(number):
                await asyncio.sleep(0)
            reading.cancel()
            for each in await asyncio.gather(reading, return_exceptions=True):
                taken += each if isinstance(each, list) else []
        taken += await take(reader, 40 - len(taken))
        await nothing_more(reader)
    assert sorted(map(int, map(str, told(taken)))) == list(range(1, 41))


async def test_consumers_with_nothing_pending_are_forgotten_when_they_leave(
    settings: RedisSettings, client: Redis, line: str, stream: str
) -> None:
    await add(client, stream, 1)
    async with group_reader(settings, line, "done") as reader:
        await reader.ack(deliveries(await take(reader, 1)))
    await add(client, stream, 2)
    async with group_reader(settings, line, "undone") as reader:
        await take(reader, 1)
    assert [each["name"] for each in await client.xinfo_consumers(stream, GROUP)] == [b"undone"]
