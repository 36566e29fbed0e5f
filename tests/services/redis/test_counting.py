"""A part counter is held against what was inspected, and whoever comes later counts on."""

import asyncio
import http.server
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pipeline.config import RaylineConfig
from pipeline.orchestrate.counting import Counting
from pipeline.orchestrate.line_count import CountStore, LineCount
from pipeline.orchestrate.part_counter import PartCounterSettings
from pipeline.sinks.keys import camera_keys, count_key
from pipeline.sinks.redis_client import RedisSettings, connect
from stages.results.messages import inspection_message, message_id_of, uninspected_message
from stages.values import CameraId
from tests.redis_server import redis_server
from tests.stopwatch import Stopwatch
from tests.unit.config.site import SITE, config_from
from tests.unit.results import builders as b

pytestmark = pytest.mark.services

CAMERA = CameraId("cam-1")


class Plc(http.server.BaseHTTPRequestHandler):
    """A counter that answers what it is told to."""

    answer = b"0"
    status = 200
    wait = threading.Event()
    asked: Mapping[str, str] = {}

    def do_GET(self) -> None:
        type(self).asked = dict(self.headers)
        self.wait.wait(60)
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """The test's output is no place for access logs."""


@pytest.fixture
def plc() -> Iterator[tuple[type[Plc], str]]:
    """The counter and its address, password and all."""
    handler = type("ThisPlc", (Plc,), {"wait": threading.Event()})
    handler.wait.set()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield handler, f"http://line:s3cret-plc@127.0.0.1:{server.server_port}/parts"
        handler.wait.set()
        server.shutdown()
        thread.join()


@pytest.fixture
async def redis(settings: RedisSettings) -> AsyncIterator[Redis]:
    async with connect(settings) as client:
        yield client


@pytest.fixture
async def counting(settings: RedisSettings) -> AsyncIterator[Counting]:
    made = Counting(connect(settings))
    yield made
    await made.close()


async def inspected(redis: Redis, line: str, *parts: int, camera: CameraId = CAMERA) -> None:
    """Verdicts of these parts, as the track stage writes them."""
    for part in parts:
        made = replace(b.INSPECTION, inspection_id=f"{camera}/1/{part}", camera_id=camera)
        await put(redis, line, inspection_message(made, b.result(), b.CONTEXT))


async def put(redis: Redis, line: str, message: bytes) -> None:
    fields = {"message_id": message_id_of(message), "data": message}
    await redis.xadd(camera_keys(line, CAMERA).inspections, fields)  # type: ignore[arg-type]


def figures(count: LineCount) -> tuple[int, int, int]:
    return count.counted, count.inspected, count.difference


async def test_entries_of_a_stream_and_verdicts_are_counted_from_the_first_look_on(
    counting: Counting, redis: Redis, line: str
) -> None:
    plc = PartCounterSettings(stream=f"plc-{line}")
    await redis.xadd(f"plc-{line}", {"any": "thing"})
    await inspected(redis, line, 1)
    assert figures(await counting.look(line, plc, CAMERA)) == (0, 0, 0)
    for fields in ({"any": "thing"}, {"count": "3"}, {"count": "0"}):
        await redis.xadd(f"plc-{line}", fields)  # type: ignore[arg-type]
    await inspected(redis, line, 2, 3)
    await inspected(redis, line, 9, camera=CameraId("cam-2"))  # a station that does not count
    assert figures(await counting.look(line, plc, CAMERA)) == (4, 2, 2)


async def test_another_supervisor_counts_on_and_another_counter_begins_anew(
    counting: Counting, settings: RedisSettings, redis: Redis, line: str
) -> None:
    plc = PartCounterSettings(stream=f"plc-{line}")
    since = (await counting.look(line, plc, CAMERA)).since
    await redis.xadd(f"plc-{line}", {"count": "5"})
    await inspected(redis, line, 1, 2)
    await counting.look(line, plc, CAMERA)
    await redis.xadd(f"plc-{line}", {"count": "2"})  # while no supervisor lived
    other = Counting(connect(settings))
    count = await other.look(line, plc, CAMERA)
    assert (figures(count), count.since) == ((7, 2, 5), since)
    assert figures(await other.look(line, plc, "")) == (7, 2, 5)  # the camera was taken away for a while
    assert figures(await other.look(line, plc, "cam-2")) == (0, 0, 0)
    assert figures(await other.look(line, PartCounterSettings(stream="other"), "cam-2")) == (0, 0, 0)
    await other.close()


async def test_a_verdict_written_twice_is_one_part(counting: Counting, redis: Redis, line: str) -> None:
    plc = PartCounterSettings(stream=f"plc-{line}")
    await counting.look(line, plc, CAMERA)
    await inspected(redis, line, 1, 2)
    await counting.look(line, plc, CAMERA)
    await inspected(redis, line, 1, 2, 3, 3)
    assert figures(await counting.look(line, plc, CAMERA)) == (0, 3, -3)


async def test_stretches_not_inspected_are_counted_once_and_the_one_that_lasts_is_told(
    counting: Counting, redis: Redis, line: str
) -> None:
    plc = PartCounterSettings(stream=f"plc-{line}")
    await counting.look(line, plc, CAMERA)
    lasts = replace(b.UNINSPECTED, until=None)
    await put(redis, line, uninspected_message(lasts, b.result(), b.CONTEXT))
    count = await counting.look(line, plc, CAMERA)
    assert (count.uninspected, count.blind_since) == (1, b.UNINSPECTED.since)
    await put(redis, line, uninspected_message(b.UNINSPECTED, b.result(), b.CONTEXT))
    hole = replace(b.UNINSPECTED, interval_id="cam-1/1/uninspected/2")
    await put(redis, line, uninspected_message(hole, b.result(), b.CONTEXT))
    count = await counting.look(line, plc, CAMERA)
    assert (count.uninspected, count.blind_since) == (2, None)


async def test_a_total_counts_by_its_rise_and_from_nought_when_it_was_reset(
    counting: Counting, line: str, plc: tuple[type[Plc], str]
) -> None:
    handler, url = plc
    settings = PartCounterSettings(url=url)
    counted = []
    for answer in (b"1000", b"1003", b'{"count": 1010}', b"4", b"6.0"):
        handler.answer = answer
        counted.append((await counting.look(line, settings, CAMERA)).counted)
    assert counted == [0, 3, 10, 14, 16]
    assert handler.asked["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (503, b"17", "answered 503"),
        (200, b"soon", "answered no count"),
        (200, b'{"total": 1}', "answered no count"),
        (200, b"-4", "answered no count"),
        (200, b"1.5", "answered no count"),
        (200, b"true", "answered no count"),
        (200, b" " * 9000, "longer than 4096 bytes"),
    ],
)
async def test_an_answer_that_is_no_count_is_told_and_inspections_are_counted_on(
    counting: Counting, redis: Redis, line: str, plc: tuple[type[Plc], str], status: int, answer: bytes, told: str
) -> None:
    handler, url = plc
    settings = PartCounterSettings(url=url)
    await counting.look(line, settings, CAMERA)
    handler.status, handler.answer = status, answer
    await inspected(redis, line, 1)
    count = await counting.look(line, settings, CAMERA)
    assert told in (count.error or "")
    assert "s3cret-plc" not in repr(await redis.hgetall(count_key(line)))
    assert figures(count) == (0, 1, -1)
    handler.status, handler.answer = 200, b"2"
    count = await counting.look(line, settings, CAMERA)
    assert (figures(count), count.error) == ((2, 1, 1), None)


async def test_a_counter_that_is_gone_warns_once_and_counting_begins_when_it_is_there(
    counting: Counting, redis: Redis, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    gone = PartCounterSettings(url="http://line:s3cret-plc@127.0.0.1:1/parts")
    with caplog.at_level(logging.INFO, "pipeline.orchestrate.counting"):
        for _ in range(3):
            count = await counting.look(line, gone, CAMERA)
        await inspected(redis, line, 1)
        assert "127.0.0.1" in (count.error or "")
        assert figures(count) == (0, 0, 0)
    assert len(caplog.messages) == 1
    assert "s3cret-plc" not in caplog.text + (count.error or "")


async def test_a_key_that_is_no_stream_is_told(counting: Counting, redis: Redis, line: str) -> None:
    await redis.set(f"plc-{line}", "1")
    count = await counting.look(line, PartCounterSettings(stream=f"plc-{line}"), CAMERA)
    assert "WRONGTYPE" in (count.error or "")


async def test_an_entry_whose_count_is_none_is_one_part_and_told(counting: Counting, redis: Redis, line: str) -> None:
    plc = PartCounterSettings(stream=f"plc-{line}")
    await counting.look(line, plc, CAMERA)
    await redis.xadd(f"plc-{line}", {"count": "many"})
    count = await counting.look(line, plc, CAMERA)
    assert count.counted == 1
    assert "is no whole number, it counts as one" in (count.error or "")
    assert (await counting.look(line, plc, CAMERA)).error is None


def two_lines(url: str, stream: str) -> RaylineConfig:
    """`filling` is counted by a server, `packing` by a stream."""
    return config_from(
        SITE.replace("{recipe: check}", f"{{recipe: check, part_counter: {{url: '{url}', timeout_s: 60}}}}")
        .replace("cameras:", f"  packing: {{recipe: check, part_counter: {{stream: {stream}}}}}\ncameras:")
        .replace("    recipe: watch\n  gate", "    recipe: watch\n    line: packing\n  gate")
        .replace("    line: filling\n    recipe: watch", "    recipe: check")
    )


async def test_a_counter_that_hangs_holds_up_neither_the_caller_nor_another_line(
    settings: RedisSettings, redis: Redis, line: str, plc: tuple[type[Plc], str], stopwatch: Stopwatch
) -> None:
    handler, url = plc
    config = two_lines(url, f"plc-{line}")
    await redis.delete(count_key("filling"), count_key("packing"))
    counting, store = Counting(connect(settings)), CountStore(redis)
    handler.wait.clear()
    stopwatch.restart()
    counting.begin(config)
    assert stopwatch.seconds < 0.1
    await until_counted(counting, config, store, "packing")
    await redis.xadd(f"plc-{line}", {"count": "8"})
    await until_counted(counting, config, store, "packing", 8)
    assert await store.read(["filling"]) == []  # still being asked
    handler.wait.set()
    filling = await until_counted(counting, config, store, "filling")
    assert filling.error is None
    await counting.close()


async def test_a_counter_that_hangs_is_told(counting: Counting, line: str, plc: tuple[type[Plc], str]) -> None:
    handler, url = plc
    handler.wait.clear()
    count = await counting.look(line, PartCounterSettings(url=url, timeout_s=0.2), CAMERA)
    assert "gave no answer within 0.2 s" in (count.error or "")


async def until_counted(
    counting: Counting, config: RaylineConfig, store: CountStore, line: str, parts: int = 0
) -> LineCount:
    """What is kept of the line, once so many are counted."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        counting.begin(config)
        await asyncio.sleep(0.02)
        for found in await store.read([line]):
            if found.counted >= parts:
                return found
    raise TimeoutError(f"line {line} did not count {parts}")


async def test_redis_away_is_no_error_of_a_look_and_it_goes_on_behind_it(tmp_path: Path) -> None:
    with redis_server(tmp_path, keep=True) as server:
        settings = RedisSettings(url=server.url, retries=0)
        counting, client = Counting(connect(settings)), connect(settings)
        config = two_lines("http://127.0.0.1:1/", "plc")
        await until_counted(counting, config, CountStore(client), "packing")
        await client.xadd("plc", {"count": "6"})
        server.kill()
        counting.begin(config)
        await asyncio.sleep(0.1)
        server.start()
        packing = await until_counted(counting, config, CountStore(client), "packing", 6)
        assert packing.counted == 6
        await counting.close()
        await client.aclose()
