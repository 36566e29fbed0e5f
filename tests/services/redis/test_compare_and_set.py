"""Each frame once in the streams, whoever writes, however often, in whatever order."""

import asyncio

import pytest

from pipeline.sinks.errors import KeyRefused
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import (
    CameraWrite,
    RedisSettings,
    RedisStreams,
    Stored,
    WriteOutcome,
    WriteStatus,
)
from tests.services.redis.writes import EPOCH, file, kafka, live, message, stored_ids, write

pytestmark = pytest.mark.services

WRITTEN, ALREADY, CONFLICT, REFUSED, _ = WriteStatus  # in the order they are written down


async def _statuses(streams: RedisStreams, *writes: CameraWrite) -> list[WriteStatus]:
    """One after another, each its own call."""
    return [(await streams.write([each]))[0].status for each in writes]


async def test_a_first_write_stores_everything_together(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    outcome = await streams.write([write(line, None, live(8), events=["e"], inspections=["i"], checkpoint=b"\x00\xff")])
    assert outcome == [WriteOutcome(WRITTEN, live(8))]
    assert await streams.load("cam", line) == Stored(live(8), b"\x00\xff", live(8))
    assert await stored_ids(settings, line) == ([live(8)], ["e"], ["i"])


async def test_a_camera_nobody_wrote_for_has_nothing_stored(streams: RedisStreams, line: str) -> None:
    assert await streams.load("cam", line) == Stored(None, None, None)


async def test_writes_that_follow_each_other_are_all_written(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    cursors = [live(8), live(16), live(17, EPOCH + 5), live(3, EPOCH + 9)]
    writes = [write(line, prev, new) for prev, new in zip([None, *cursors], cursors, strict=False)]
    assert await _statuses(streams, *writes) == [WRITTEN] * 4
    assert (await stored_ids(settings, line))[0] == cursors


async def test_a_lost_answer_is_asked_again_and_nothing_doubles(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    again = write(line, None, live(8), events=["e"], inspections=["i"], checkpoint=b"one")
    assert await _statuses(streams, again, again, again) == [WRITTEN, ALREADY, ALREADY]
    assert await stored_ids(settings, line) == ([live(8)], ["e"], ["i"])


@pytest.mark.parametrize(
    ("stored", "new"),
    [
        pytest.param(live(9), live(8), id="live, further in the same epoch"),
        pytest.param(kafka(100), kafka(99), id="kafka, a later offset"),
        pytest.param(file(5, loop=2), file(90, loop=1), id="a file, a later loop"),
        pytest.param(file(5), file(5), id="a file, the same frame"),
    ],
)
async def test_what_an_earlier_attempt_wrote_is_not_written_again(
    streams: RedisStreams, settings: RedisSettings, line: str, stored: str, new: str
) -> None:
    await streams.write([write(line, None, stored)])
    assert await streams.write([write(line, None, new)]) == [WriteOutcome(ALREADY, stored)]
    assert (await stored_ids(settings, line))[0] == [stored]


@pytest.mark.parametrize(
    ("stored", "prev", "new"),
    [
        pytest.param(live(8), None, live(16), id="a writer that knows of nothing"),
        pytest.param(live(8), live(4), live(16), id="a writer that is behind"),
        pytest.param(live(8), live(12), live(16), id="a server that lost its tail"),
        pytest.param(kafka(8), kafka(8, partition=1), kafka(9, partition=1), id="a camera in two partitions"),
        pytest.param(file(8), file(8, run="other"), file(9, run="other"), id="another run of the file"),
        pytest.param(live(8), kafka(1), kafka(2), id="another kind of source"),
        pytest.param("not a cursor", live(1), live(2), id="a cursor written by hand"),
    ],
)
async def test_a_writer_built_on_something_else_is_told_what_is_stored(
    streams: RedisStreams, settings: RedisSettings, line: str, stored: str, prev: str | None, new: str
) -> None:
    client = connect(settings)
    await client.hset(camera_keys(line, "cam").cursor, "cursor", stored)  # type: ignore[misc]
    await client.aclose()
    lost = write(line, prev, new, events=["e"], inspections=["i"], checkpoint=b"x")
    assert await streams.write([lost]) == [WriteOutcome(CONFLICT, stored)]
    assert await streams.load("cam", line) == Stored(stored, None, None)
    assert await stored_ids(settings, line) == ([], [], [])


async def test_a_writer_of_a_wiped_server_learns_that_nothing_is_stored(streams: RedisStreams, line: str) -> None:
    assert await streams.write([write(line, live(8), live(16))]) == [WriteOutcome(CONFLICT, None)]


async def test_a_lower_epoch_is_refused_even_where_its_cursor_is_behind(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    """The fence: the answer must not be `already`, or a replaced writer would go on as if its results stood."""
    await streams.write([write(line, None, live(1, EPOCH + 1))])
    replaced = write(line, live(90, EPOCH), live(98, EPOCH))
    assert await streams.write([replaced]) == [WriteOutcome(CONFLICT, live(1, EPOCH + 1))]
    assert (await stored_ids(settings, line))[0] == [live(1, EPOCH + 1)]


async def test_a_cursor_never_goes_back_even_for_a_writer_built_on_it(streams: RedisStreams, line: str) -> None:
    await streams.write([write(line, None, live(5, EPOCH + 1)), write(line, None, kafka(5), camera="other")])
    back = [write(line, live(5, EPOCH + 1), live(9, EPOCH)), write(line, kafka(5), kafka(4), camera="other")]
    assert [outcome.status for outcome in await streams.write(back)] == [CONFLICT, ALREADY]


async def test_a_new_source_takes_over_where_the_writer_knows_the_old_one(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    cursors = [file(8), live(1), kafka(0), kafka(0, partition=1), file(0, run="again")]
    writes = [write(line, prev, new) for prev, new in zip([None, *cursors], cursors, strict=False)]
    assert await _statuses(streams, *writes) == [WRITTEN] * 5
    assert (await stored_ids(settings, line))[0] == cursors


async def test_of_two_writers_at_once_one_is_refused(settings: RedisSettings, line: str) -> None:
    async with RedisStreams(settings) as one, RedisStreams(settings) as other:
        await one.write([write(line, None, live(8))])
        outcomes = await asyncio.gather(
            one.write([write(line, live(8), live(16))]), other.write([write(line, live(8), live(24))])
        )
    statuses = sorted(outcome[0].status for outcome in outcomes)
    # Whoever came second: behind what is stored, or not built on it.
    assert statuses in ([CONFLICT, WRITTEN], [ALREADY, WRITTEN])
    assert len((await stored_ids(settings, line))[0]) == 2


async def test_a_shard_that_moves_away_and_back_must_load_what_was_written_meanwhile(
    settings: RedisSettings, line: str
) -> None:
    async with RedisStreams(settings) as a, RedisStreams(settings) as b:
        assert await _statuses(a, write(line, None, live(8), checkpoint=b"a8")) == [WRITTEN]
        moved = await b.load("cam", line)
        assert (moved.cursor, moved.checkpoint) == (live(8), b"a8")
        assert await _statuses(b, write(line, live(8), live(16), checkpoint=b"b16")) == [WRITTEN]
        assert await a.write([write(line, live(8), live(24))]) == [WriteOutcome(CONFLICT, live(16))]
        back = await a.load("cam", line)
        assert (back.cursor, back.checkpoint, back.checkpoint_at) == (live(16), b"b16", live(16))
        assert await _statuses(a, write(line, live(16), live(24))) == [WRITTEN]
    assert (await stored_ids(settings, line))[0] == [live(8), live(16), live(24)]


async def test_a_batch_sent_to_both_replicas_is_written_once(settings: RedisSettings, line: str) -> None:
    async with RedisStreams(settings) as a, RedisStreams(settings) as b:
        await a.write([write(line, None, live(8))])
        same = write(line, live(8), live(16), inspections=["part"])
        statuses = [await _statuses(each, same) for each in (b, a, b)]
    assert statuses == [[WRITTEN], [ALREADY], [ALREADY]]
    assert (await stored_ids(settings, line))[2] == ["part"]


async def test_no_checkpoint_keeps_the_old_one_and_tells_which_cursor_it_belongs_to(
    streams: RedisStreams, line: str
) -> None:
    await streams.write([write(line, None, live(8), checkpoint=b"at 8")])
    await streams.write([write(line, live(8), live(16))])
    assert await streams.load("cam", line) == Stored(live(16), b"at 8", live(8))


async def test_an_empty_checkpoint_replaces_the_old_one(streams: RedisStreams, line: str) -> None:
    await streams.write([write(line, None, live(8), checkpoint=b"at 8")])
    await streams.write([write(line, live(8), live(16), checkpoint=b"")])
    assert await streams.load("cam", line) == Stored(live(16), b"", live(16))


async def test_two_writes_of_one_camera_in_one_call_follow_each_other(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    outcomes = await streams.write([write(line, None, live(8)), write(line, live(8), live(16))])
    assert [outcome.status for outcome in outcomes] == [WRITTEN, WRITTEN]
    assert (await stored_ids(settings, line))[0] == [live(8), live(16)]


async def test_one_cameras_conflict_leaves_the_others_written(streams: RedisStreams, line: str) -> None:
    await streams.write([write(line, None, live(8), camera="b")])
    outcomes = await streams.write([write(line, None, live(9), camera=camera) for camera in "abc"])
    assert [outcome.status for outcome in outcomes] == [WRITTEN, CONFLICT, WRITTEN]


@pytest.mark.parametrize("kind", ["cursor", "detections", "events", "inspections"])
async def test_a_key_of_the_wrong_type_stops_the_write_before_anything_is_written(
    streams: RedisStreams, settings: RedisSettings, line: str, kind: str
) -> None:
    """A script is not rolled back: half a write would be doubled by the next attempt."""
    client = connect(settings)
    keys = camera_keys(line, "cam")
    await client.set(getattr(keys, kind), "someone else's")
    (outcome,) = await streams.write([write(line, None, live(8), events=["e"], inspections=["i"])])
    assert (outcome.status, outcome.stored) == (REFUSED, None)
    assert "holds a string" in (outcome.error or "")
    await client.delete(getattr(keys, kind))
    assert await client.exists(*keys) == 0
    await client.aclose()


async def test_one_cameras_refusal_leaves_the_others_written(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    client = connect(settings)
    await client.set(camera_keys(line, "b").detections, "someone else's")
    outcomes = await streams.write([write(line, None, live(9), camera=camera) for camera in "abc"])
    assert [outcome.status for outcome in outcomes] == [WRITTEN, REFUSED, WRITTEN]
    assert [outcome.stored for outcome in outcomes] == [live(9), None, live(9)]
    await client.delete(camera_keys(line, "b").detections)
    assert await _statuses(streams, write(line, None, live(9), camera="b")) == [WRITTEN]
    await client.aclose()


async def test_a_cursor_that_is_none_is_refused(streams: RedisStreams, line: str) -> None:
    (outcome,) = await streams.write([write(line, None, "live|x|y")])
    assert outcome.status is REFUSED
    assert "cursor is not" in (outcome.error or "")


async def test_messages_no_frame_stands_behind_leave_the_cursor_alone(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    await streams.write([write(line, None, live(8))])
    await streams.append("cam", line, events=[b'{"message_id":"lost"}'], inspections=[b'{"message_id":"blind"}'])
    assert await stored_ids(settings, line) == ([live(8)], ["lost"], ["blind"])
    assert (await streams.load("cam", line)).cursor == live(8)


async def test_a_checkpoint_without_a_frame_replaces_the_one_of_the_same_cursor(
    streams: RedisStreams, line: str
) -> None:
    await streams.write([write(line, None, live(8), checkpoint=b"at 8")])
    await streams.append("cam", line, checkpoint=(live(8), b"after the end"))
    assert await streams.load("cam", line) == Stored(live(8), b"after the end", live(8))


async def test_a_checkpoint_without_a_frame_is_nothing_where_somebody_has_written_since(
    streams: RedisStreams, line: str
) -> None:
    await streams.write([write(line, None, live(16), checkpoint=b"at 16")])
    await streams.append("cam", line, checkpoint=(live(8), b"after the end"))
    assert await streams.load("cam", line) == Stored(live(16), b"at 16", live(16))


@pytest.mark.parametrize("kind", ["cursor", "events", "inspections"])
async def test_of_messages_one_key_refuses_the_others_are_written(
    streams: RedisStreams, settings: RedisSettings, line: str, kind: str
) -> None:
    client = connect(settings)
    keys = camera_keys(line, "cam")
    await client.set(getattr(keys, kind), "someone else's")
    with pytest.raises(KeyRefused):
        await streams.append("cam", line, [message("lost")], [message("blind")], (live(8), b"after the end"))
    await client.delete(getattr(keys, kind))
    await client.aclose()
    _, events, inspections = await stored_ids(settings, line)
    assert events == ([] if kind == "events" else ["lost"])
    assert inspections == ([] if kind == "inspections" else ["blind"])


async def test_a_cursor_key_of_another_type_is_refused_when_it_is_loaded(
    streams: RedisStreams, settings: RedisSettings, line: str
) -> None:
    client = connect(settings)
    await client.set(camera_keys(line, "cam").cursor, "someone else's")
    with pytest.raises(KeyRefused, match="wrong kind of value"):
        await streams.load("cam", line)
    await client.aclose()


async def test_an_empty_batch_asks_nothing_of_the_server(streams: RedisStreams) -> None:
    assert await streams.write([]) == []
