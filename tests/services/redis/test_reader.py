"""Following streams as they grow."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

import pytest

from pipeline.sinks.keys import camera_keys, stream_pattern
from pipeline.sinks.reader import CameraSeen, StreamReader
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import RedisSettings, RedisStreams
from tests.services.redis.writes import live, write

pytestmark = pytest.mark.services


async def _take(reader: StreamReader, count: int, *patterns: str, from_id: str = "0") -> list[tuple[str, str]]:
    taken: list[tuple[str, str]] = []
    async with aclosing(reader.tail(patterns, from_id, block_s=0.05, rescan_s=0.1)) as entries:
        while len(taken) < count:
            entry = await asyncio.wait_for(anext(entries), 60)
            taken.append((entry.stream, entry.message_id))
    return taken


async def _until_waiting(settings: RedisSettings) -> None:
    """Until a reader blocks in XREAD, which it does once it knows where its streams end."""
    client = connect(settings)
    while not any(each["cmd"] == "xread" for each in await client.client_list()):  # noqa: ASYNC110 - only it knows
        await asyncio.sleep(0.01)
    await client.aclose()


async def test_all_that_is_kept_comes_first_in_order(streams: RedisStreams, settings: RedisSettings, line: str) -> None:
    for seq in range(1, 6):
        await streams.write([write(line, live(seq - 1) if seq > 1 else None, live(seq), inspections=[f"part {seq}"])])
    keys = camera_keys(line, "cam")
    async with StreamReader(settings) as reader:
        taken = await _take(reader, 10, stream_pattern("detections", line), stream_pattern("inspections", line))
    assert [name for stream, name in taken if stream == keys.detections] == [live(seq) for seq in range(1, 6)]
    assert [name for stream, name in taken if stream == keys.inspections] == [f"part {seq}" for seq in range(1, 6)]


async def test_from_now_on_misses_nothing_and_repeats_nothing(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    await streams.write([write(line, None, live(1))])
    async with StreamReader(settings) as reader:
        following = asyncio.create_task(_take(reader, 30, stream_pattern("detections", line), from_id="$"))
        await _until_waiting(settings)
        for seq in range(2, 32):
            await streams.write([write(line, live(seq - 1), live(seq))])
        taken = await following
    assert [name for _, name in taken] == [live(seq) for seq in range(2, 32)]


async def test_a_camera_that_comes_later_is_followed_from_its_first_entry(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    async with StreamReader(settings) as reader:
        looked, places = asyncio.Event(), reader._places

        async def noted(patterns: Iterable[str], from_id: str) -> dict[str, str]:
            found = await places(patterns, from_id)
            looked.set()
            return found

        reader._places = noted  # type: ignore[method-assign]
        following = asyncio.create_task(_take(reader, 2, stream_pattern("detections", line), from_id="$"))
        await looked.wait()
        await streams.write([write(line, None, live(1), camera="new"), write(line, None, live(2), camera="newer")])
        taken = await following
    assert sorted(name for _, name in taken) == [live(1), live(2)]


async def test_waiting_longer_than_an_answer_may_take_is_no_error(settings: RedisSettings, line: str) -> None:
    short = settings.model_copy(update={"answer_timeout_s": 2.0})
    async with StreamReader(short) as reader, RedisStreams(settings) as streams:
        await streams.write([write(line, None, live(1))])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(reader.tail([stream_pattern("detections", line)], block_s=5)), 3.5)


@pytest.mark.parametrize("moment", range(0, 60, 3))
async def test_leaving_works_at_any_moment(settings: RedisSettings, line: str, moment: int) -> None:
    """redis-py on Python 3.11 loses a cancellation that comes just as a request has left."""
    async with StreamReader(settings) as reader:
        following = asyncio.create_task(_take(reader, 1, stream_pattern("detections", line)))
        for _ in range(moment):
            await asyncio.sleep(0)
        following.cancel()
        done, _ = await asyncio.wait([following], timeout=60)
    assert done
    assert following.cancelled()


async def test_cameras_are_listed_with_how_far_they_are(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    await streams.write([write(line, None, live(2), camera="b"), write(line, None, live(1), camera="a")])
    async with StreamReader(settings) as reader:
        seen = [each for each in await reader.cameras() if each.line == line]
    assert seen == [CameraSeen(line, "a", live(1)), CameraSeen(line, "b", live(2))]


async def test_other_keys_of_the_same_name_pattern_are_left_alone(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    client = connect(settings)
    await client.set(f"rayline:{{{line}}}:detections:notes", "no stream")
    await client.set(f"rayline:{{{line}}}:cursor:notes", "no hash")
    await client.aclose()
    await streams.write([write(line, None, live(1))])
    async with StreamReader(settings) as reader:
        assert await _take(reader, 1, stream_pattern("detections", line)) == [
            (camera_keys(line, "cam").detections, live(1))
        ]
        assert [each.camera for each in await reader.cameras() if each.line == line] == ["cam"]


async def test_a_page_at_a_time_can_be_read(streams: RedisStreams, settings: RedisSettings, line: str) -> None:
    for seq in range(1, 6):
        await streams.write([write(line, live(seq - 1) if seq > 1 else None, live(seq))])
    stream, names, after = camera_keys(line, "cam").detections, [], "0-0"
    async with StreamReader(settings) as reader:
        while page := await reader.read(stream, after, count=2):
            names += [entry.message_id for entry in page]
            after = page[-1].entry_id
    assert names == [live(seq) for seq in range(1, 6)]
