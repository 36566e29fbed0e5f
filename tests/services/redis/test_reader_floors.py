"""How far a registered group is, and who is registered at all."""

from collections.abc import AsyncIterator, Sequence

import pytest

from pipeline.sinks.group_reader import Delivery, GroupReader
from pipeline.sinks.keys import CameraKeys, camera_keys, readers_key
from pipeline.sinks.reader_floors import Floor, ReaderFloors
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from tests.services.redis.writes import message

pytestmark = pytest.mark.services

KINDS = ("detections", "events", "inspections")


@pytest.fixture
def group(line: str) -> str:
    return f"relay-{line}"


@pytest.fixture
def keys(line: str) -> CameraKeys:
    return camera_keys(line, "cam")


@pytest.fixture
async def floors(settings: RedisSettings) -> AsyncIterator[ReaderFloors]:
    opened = ReaderFloors(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def reader(settings: RedisSettings, keys: CameraKeys, group: str) -> AsyncIterator[GroupReader]:
    async with GroupReader(settings, [keys.events], group, group) as opened:
        yield opened


async def read(reader: GroupReader) -> Sequence[Delivery]:
    return [each for each in await reader.read() if isinstance(each, Delivery)]


async def one_read(streams: RedisStreams, reader: GroupReader, line: str) -> Delivery:
    """An event that the group is through with."""
    await streams.append("cam", line, events=[message("a")])
    (got,) = await read(reader)
    await reader.ack([got])
    return got


async def held(settings: RedisSettings, line: str) -> dict[str, str]:
    client = connect(settings)
    found = await client.hgetall(readers_key(line))
    await client.aclose()
    return {field.decode(): through.decode() for field, through in found.items()}


async def test_a_group_is_as_far_as_the_last_entry_up_to_which_all_are_acked(
    streams: RedisStreams, floors: ReaderFloors, reader: GroupReader, keys: CameraKeys, line: str, group: str
) -> None:
    async def floor() -> Floor:
        (found,) = await floors.note([keys.events], group)
        return found

    await streams.append("cam", line, events=[message(str(n)) for n in range(10)])
    assert await floors.note([keys.events], group) == []  # it has not looked
    got = await read(reader)
    assert (await floor()).through == "0-0"
    await reader.ack(got[1:4])
    assert (await floor()).through == "0-0"
    await reader.ack(got[:1])
    assert (await floor()).through == got[3].entry_id
    await reader.ack([each for each in got[4:] if each is not got[6]])
    at = await floor()
    assert (at.through, at.newest) == (got[5].entry_id, got[9].entry_id)
    await reader.ack([got[6]])
    at = await floor()
    assert (at.through, at.behind, at.behind_s) == (got[9].entry_id, 0, 0.0)


async def test_what_it_is_behind_is_told(
    streams: RedisStreams, floors: ReaderFloors, reader: GroupReader, keys: CameraKeys, line: str, group: str
) -> None:
    await streams.append("cam", line, events=[message(str(n)) for n in range(10)])
    got = await read(reader)
    (at,) = await floors.note([keys.events], group)
    assert at.behind == 10
    await reader.ack(got)
    await streams.append("cam", line, events=[message("more")])
    (at,) = await floors.note([keys.events], group)
    assert at.behind in (1, None)  # 6.2 does not count
    assert at.behind_s >= 0


async def test_registering_again_keeps_what_was_noted(
    streams: RedisStreams,
    settings: RedisSettings,
    floors: ReaderFloors,
    reader: GroupReader,
    keys: CameraKeys,
    line: str,
    group: str,
) -> None:
    await floors.register([line], KINDS, group)
    got = await one_read(streams, reader, line)
    await floors.note([keys.events], group)
    await floors.register([line], KINDS, group)
    assert await held(settings, line) == {
        **{f"{kind}|{group}": "0-0" for kind in KINDS},
        f"events:cam|{group}": got.entry_id,
    }


async def test_how_far_a_group_is_through_a_line_is_its_slowest_stream(
    streams: RedisStreams, floors: ReaderFloors, reader: GroupReader, keys: CameraKeys, line: str, group: str
) -> None:
    async def oldest() -> str:
        (found,) = [each for each in await floors.registered() if each.line == line]
        return found.oldest

    await floors.register([line], ["events"], group)
    assert await oldest() == "0-0"
    await streams.append("cam", line, events=[message("a")])
    got = await read(reader)
    await floors.note([keys.events], group)
    assert await oldest() == "0-0"
    await reader.ack(got)
    await floors.note([keys.events], group)
    assert await oldest() == got[0].entry_id
    await floors.register([line], ["inspections"], group)
    assert await oldest() == "0-0"


async def test_what_a_relay_reads_no_more_it_holds_no_more(
    settings: RedisSettings, floors: ReaderFloors, line: str, group: str
) -> None:
    await floors.register([line], KINDS, group)
    await floors.register([line], KINDS, "history")
    await floors.hold_only(None, ["events"], group)
    others = {f"{kind}|history" for kind in KINDS}
    assert (await held(settings, line)).keys() == {f"events|{group}"} | others
    await floors.hold_only(["another"], ["events"], group)
    assert (await held(settings, line)).keys() == others


async def test_a_group_that_is_forgotten_holds_nothing_and_begins_anew(
    streams: RedisStreams,
    settings: RedisSettings,
    floors: ReaderFloors,
    reader: GroupReader,
    keys: CameraKeys,
    line: str,
    group: str,
) -> None:
    await floors.register([line], KINDS, group)
    await one_read(streams, reader, line)
    assert await floors.forget(group) == 1
    assert await held(settings, line) == {}
    async with GroupReader(settings, [keys.events], group, group) as anew:
        assert [each.message_id for each in await read(anew)] == ["a"]
    assert await floors.forget(group) == 0


async def test_a_group_that_was_never_registered_is_not_touched(
    streams: RedisStreams, floors: ReaderFloors, reader: GroupReader, keys: CameraKeys, line: str, group: str
) -> None:
    await one_read(streams, reader, line)
    assert await floors.forget(group) == 0
    await streams.append("cam", line, events=[message("b")])
    assert [each.message_id for each in await read(reader)] == ["b"]


async def test_relays_that_left_the_configuration_are_forgotten_by_the_next_run_and_nobody_else_is(
    settings: RedisSettings, floors: ReaderFloors, line: str
) -> None:
    for group in ("relay-stays", "relay-leaves", "relay-alone", "history"):
        await floors.register([line], KINDS, group)
    await floors.replace_run({"relay-stays", "relay-leaves"})
    assert await floors.replace_run({"relay-stays"}) == ["relay-leaves"]
    kept = {field.partition("|")[2] for field in await held(settings, line)}
    assert kept == {"relay-stays", "relay-alone", "history"}
    assert await floors.replace_run(set()) == ["relay-stays"]
