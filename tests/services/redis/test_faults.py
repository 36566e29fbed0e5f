"""Redis slow, frozen, killed, full, locked or forgetful: what a writer is told, how soon, and what stands after."""

import asyncio
import traceback
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pipeline.sinks.errors import SinkRefused, SinkUnavailable
from pipeline.sinks.keys import camera_keys
from pipeline.sinks.reader import StreamReader
from pipeline.sinks.redis_client import connect
from pipeline.sinks.redis_streams import CameraWrite, RedisSettings, RedisStreams, WriteStatus
from tests.redis_server import BINARIES, RedisServer, redis_server
from tests.services.redis.gate import gate
from tests.services.redis.writes import live, message, stored_ids, write
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.services, pytest.mark.parametrize("version", list(BINARIES))]

WRITTEN, ALREADY, CONFLICT, _, AWAY = WriteStatus
SECRET = "pa55-w0rd"


def _hasty(server: RedisServer, **changes: float) -> RedisSettings:
    values = {"connect_timeout_s": 1.0, "answer_timeout_s": 1.0, "retries": 1, "deadline_s": 3.0} | changes
    return RedisSettings(url=server.url, **values)  # type: ignore[arg-type]


async def _one(streams: RedisStreams, each: CameraWrite) -> WriteStatus:
    return (await streams.write([each]))[0].status


async def test_killed_redis_is_told_within_the_deadline_and_works_again_after_its_restart(
    version: str, tmp_path: Path, stopwatch: Stopwatch
) -> None:
    with redis_server(tmp_path, version, keep=True) as server:
        settings = _hasty(server)
        async with RedisStreams(settings) as streams:
            assert await _one(streams, write("l", None, live(8))) is WRITTEN
            server.kill()
            stopwatch.restart()
            with pytest.raises(SinkUnavailable, match=f"127.0.0.1:{server.port}"):
                await streams.write([write("l", live(8), live(16))])
            assert stopwatch.seconds < settings.deadline_s + 0.5
            server.start()  # it knows no scripts now, and kept its data
            assert await _one(streams, write("l", live(8), live(16))) is WRITTEN
        assert (await stored_ids(settings, "l"))[0] == [live(8), live(16)]


async def test_a_short_restart_is_not_even_noticed(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version, keep=True) as server:
        async with RedisStreams(RedisSettings(url=server.url)) as streams:
            assert await _one(streams, write("l", None, live(8))) is WRITTEN
            server.restart()
            assert await _one(streams, write("l", live(8), live(16))) is WRITTEN


async def test_frozen_redis_is_told_within_the_deadline_and_what_it_did_after_all_is_not_doubled(
    version: str, tmp_path: Path, stopwatch: Stopwatch
) -> None:
    with redis_server(tmp_path, version) as server:
        settings = _hasty(server)
        async with RedisStreams(settings) as streams:
            assert await _one(streams, write("l", None, live(8))) is WRITTEN
            server.freeze()
            stopwatch.restart()
            with pytest.raises(SinkUnavailable):
                await streams.write([write("l", live(8), live(16))])
            assert stopwatch.seconds < settings.deadline_s + 0.5
            server.thaw()  # and now it reads the requests that lie in its socket
            assert await _one(streams, write("l", live(8), live(16))) in (WRITTEN, ALREADY)
            assert await _one(streams, write("l", live(16), live(24))) is WRITTEN
        assert (await stored_ids(settings, "l"))[0] == [live(8), live(16), live(24)]


async def test_a_write_given_up_does_not_leave_its_answer_to_the_next_one(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        async with RedisStreams(_hasty(server, deadline_s=2, answer_timeout_s=30)) as streams:
            assert await _one(streams, write("l", None, live(8))) is WRITTEN
            server.freeze()
            with pytest.raises(SinkUnavailable, match="within 2 s"):
                await streams.write([write("l", None, live(16))])  # would be answered CONFLICT
            server.thaw()
            assert await _one(streams, write("l", live(8), live(16))) is WRITTEN
            assert (await streams.load("cam", "l")).cursor == live(16)


async def test_an_answer_lost_on_the_way_is_retried_without_doubling(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        direct = RedisSettings(url=server.url)
        async with gate(server.port) as proxy, RedisStreams(direct.at(f"redis://127.0.0.1:{proxy.port}")) as streams:
            assert await _one(streams, write("l", None, live(8))) is WRITTEN
            proxy.lose_the_answer_to(b"EVALSHA")
            assert await _one(streams, write("l", live(8), live(16), inspections=["part"])) is ALREADY
        assert await stored_ids(direct, "l") == ([live(8), live(16)], [], ["part"])


async def test_all_cameras_of_a_batch_take_one_round_trip(version: str, tmp_path: Path) -> None:
    """The proxy lets no answer pass before all four requests are there: asked one by one, this would never end."""
    with redis_server(tmp_path, version) as server:
        direct = RedisSettings(url=server.url)
        async with gate(server.port) as proxy, RedisStreams(direct.at(f"redis://127.0.0.1:{proxy.port}")) as streams:
            proxy.hold_until(4, b"EVALSHA")
            outcomes = await streams.write([write("l", None, live(8), camera=camera) for camera in "abcd"])
        assert [outcome.status for outcome in outcomes] == [WRITTEN] * 4


async def test_a_server_that_forgot_the_script_is_given_it_again(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        settings = RedisSettings(url=server.url)
        client = connect(settings)
        async with RedisStreams(settings) as streams:
            await client.script_flush()
            outcomes = await streams.write([write("l", None, live(8), camera=camera) for camera in "abcd"])
            assert [outcome.status for outcome in outcomes] == [WRITTEN] * 4
        await client.aclose()


async def test_a_rolled_back_server_gets_the_lost_frames_again_with_their_ids(version: str, tmp_path: Path) -> None:
    """What a failover or a lost tail looks like: cursor, checkpoint and entries of an earlier moment."""
    with redis_server(tmp_path, version) as server:
        settings = RedisSettings(url=server.url)
        client = connect(settings)
        keys = camera_keys("l", "cam")
        async with RedisStreams(settings) as streams:
            await streams.write([write("l", None, live(8), checkpoint=b"8")])
            before = {key: await client.dump(key) for key in (keys.cursor, keys.detections)}
            await streams.write([write("l", live(8), live(16), checkpoint=b"16")])
            for key, dump in before.items():
                await client.restore(key, 0, dump, replace=True)
            assert await _one(streams, write("l", live(16), live(24))) is CONFLICT
            back = await streams.load("cam", "l")
            assert (back.cursor, back.checkpoint) == (live(8), b"8")
            for prev, new in ((live(8), live(16)), (live(16), live(24))):
                assert await _one(streams, write("l", prev, new)) is WRITTEN
        await client.aclose()
        assert (await stored_ids(settings, "l"))[0] == [live(8), live(16), live(24)]


async def test_streams_stay_bounded(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        limits = {"maxlen_detections": 500, "maxlen_events": 300, "maxlen_inspections": 400}
        settings = RedisSettings(url=server.url, **limits)  # type: ignore[arg-type]
        client = connect(settings)
        async with RedisStreams(settings) as streams:
            prev = None
            for batch in range(200):
                many = [message(f"{batch}-{i}") for i in range(20)]
                await streams.write([CameraWrite("cam", "l", prev, live(batch), many, many, many)])
                prev = live(batch)
        lengths = [await client.xlen(key) for key in camera_keys("l", "cam")[1:4]]
        await client.aclose()
        slack = 100  # ~ keeps whole nodes, of 100 entries at most
        for length, limit in zip(lengths, limits.values(), strict=True):
            assert limit <= length <= limit + slack


async def test_a_full_server_takes_nothing_or_all(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version, maxmemory_policy="noeviction") as server:
        settings = RedisSettings(url=server.url)
        client = connect(settings)
        async with RedisStreams(settings) as streams:
            await streams.write([write("l", None, live(8))])
            await client.config_set("maxmemory", "1")
            with pytest.raises(SinkUnavailable, match="maxmemory") as failed:
                await streams.write([write("l", live(8), live(16))])
            assert not isinstance(failed.value, SinkRefused)  # it may pass
            await client.config_set("maxmemory", "0")
            assert await _one(streams, write("l", live(8), live(16))) is WRITTEN
        await client.aclose()
        assert (await stored_ids(settings, "l"))[0] == [live(8), live(16)]


async def test_what_passes_for_one_camera_leaves_the_others_outcomes_as_they_are(version: str, tmp_path: Path) -> None:
    """A cluster that serves only some of its slots: one line's keys are away, the other's are there."""
    options = {"cluster_enabled": "yes", "cluster_require_full_coverage": "no"}
    with redis_server(tmp_path, version, **options) as server:
        settings = RedisSettings(url=server.url)
        client = connect(settings)
        served, away = [await client.execute_command("CLUSTER", "KEYSLOT", f"{{{line}}}") for line in ("a", "b")]
        assert served != away
        await client.execute_command("CLUSTER", "ADDSLOTS", served)
        batch = [write(line, None, live(8), camera=f"cam-{line}") for line in "ab"]
        await _cluster_up(client)
        async with RedisStreams(settings) as streams:
            assert [outcome.status for outcome in await streams.write(batch)] == [WRITTEN, AWAY]
            await client.execute_command("CLUSTER", "ADDSLOTS", away)
            assert [outcome.status for outcome in await streams.write(batch)] == [ALREADY, WRITTEN]
        await client.aclose()


async def _cluster_up(client: Redis) -> None:
    for _ in range(1200):  # a node takes two seconds to believe in its slots
        if b"cluster_state:ok" in await client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the cluster is not up within 60 s")


async def test_a_replica_that_cannot_write_is_unavailable_not_refused(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        client = connect(RedisSettings(url=server.url))
        async with RedisStreams(RedisSettings(url=server.url)) as streams:
            await client.execute_command("REPLICAOF", "127.0.0.1", str(server.port))
            with pytest.raises(SinkUnavailable) as failed:
                await streams.write([write("l", None, live(8))])
            assert not isinstance(failed.value, SinkRefused)
            await client.execute_command("REPLICAOF", "NO", "ONE")
            assert await _one(streams, write("l", None, live(8))) is WRITTEN
        await client.aclose()


async def test_the_right_password_opens(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version, password=SECRET) as server:
        async with RedisStreams(RedisSettings(url=server.url)) as streams:
            assert await _one(streams, write("l", None, live(8))) is WRITTEN


@pytest.mark.parametrize("user", ["", "someone"])
async def test_a_wrong_password_is_refused_and_stands_in_no_text(
    version: str, tmp_path: Path, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with redis_server(tmp_path, version, password="another") as server:
        settings = RedisSettings(url=f"redis://{user}:{SECRET}@127.0.0.1:{server.port}/0")
        with pytest.raises(SinkRefused) as failed:
            await RedisStreams(settings).open()
        told = "".join(traceback.format_exception(failed.value)) + caplog.text + repr(settings) + str(settings)
        assert SECRET not in told
        assert f"127.0.0.1:{server.port}" in str(failed.value)


async def test_a_dead_server_with_a_password_keeps_it_out_of_every_text(
    version: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with redis_server(tmp_path, version, password=SECRET) as server:
        settings = _hasty(server)
        streams = RedisStreams(settings)
        server.freeze()
        with pytest.raises(SinkUnavailable) as frozen:
            await streams.load("cam", "l")
        server.kill()
        with pytest.raises(SinkUnavailable) as killed:
            await streams.load("cam", "l")
        await streams.close()
        told = "".join(traceback.format_exception(frozen.value) + traceback.format_exception(killed.value))
        assert SECRET not in told + caplog.text


async def test_opening_may_be_tried_until_the_server_is_there(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        server.kill()
        streams = RedisStreams(_hasty(server))
        with pytest.raises(SinkUnavailable):
            await streams.open()
        server.start()
        await streams.open()
        assert await _one(streams, write("l", None, live(8))) is WRITTEN
        await streams.close()
        await streams.close()


async def test_many_writers_at_once_share_the_client(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        async with RedisStreams(RedisSettings(url=server.url)) as streams:
            shards = [streams.write([write(f"l{shard}", None, live(8))]) for shard in range(40)]
            outcomes = await asyncio.gather(*shards)
        assert {outcome[0].status for outcome in outcomes} == {WRITTEN}


async def test_the_reader_tells_a_dead_server_too(version: str, tmp_path: Path) -> None:
    with redis_server(tmp_path, version) as server:
        async with StreamReader(_hasty(server)) as reader:
            assert await reader.cameras() == []
            server.kill()
            with pytest.raises(SinkUnavailable, match=str(server.port)):
                await reader.cameras()
            with pytest.raises(SinkUnavailable):
                await anext(reader.tail(["rayline:*"]))
