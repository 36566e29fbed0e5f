"""Live pictures over a real Redis: none for nobody, so many a second for who watches, no harm where it is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.deployments.track import TrackDeployment
from pipeline.observe.metrics import Metrics, NullMeter
from pipeline.sinks.keys import preview_key, watch_key
from pipeline.sinks.preview_reader import Preview, PreviewReader
from pipeline.sinks.preview_settings import PreviewSettings
from pipeline.sinks.previews import Previews
from pipeline.sinks.redis_client import RedisSettings, connect
from stages.values import Frame
from tests.fakes import ManualClock
from tests.services.redis.test_track_replica import A, batch, jobs
from tests.unit.deployments.test_tracked_camera import seen
from tests.unit.results.builders import result

pytestmark = pytest.mark.services


def frame(number: int) -> Frame:
    return replace(seen(number).frame, camera_id=A)


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110 - a thread sets no event of this loop
            await asyncio.sleep(0.02)


async def picture(reader: PreviewReader) -> Preview:
    async with asyncio.timeout(60):
        while (found := await reader.next()) is None:
            pass
    return found


async def test_a_watched_camera_is_shown_by_the_track_stage_and_one_that_nobody_watches_is_not(
    settings: RedisSettings, line: str
) -> None:
    client = connect(settings)
    track = TrackDeployment(settings, None, 10.0, {}, metrics=Metrics(NullMeter()), previews=PreviewSettings(width=200))
    assert track._previews is not None
    for number in range(3):
        await track(*batch((A, seen(number))), jobs(line, A))
    assert (track._previews.made, await client.keys(f"rayline:{{{line}}}:preview:*")) == (0, [])
    async with PreviewReader(settings, line, A) as reader:
        watching = asyncio.create_task(picture(reader))
        number, left_ms = 3, -2
        while not watching.done() or left_ms < 0:  # a busy machine may come to look when it is over
            await track(*batch((A, seen(number))), jobs(line, A))
            number += 1
            await asyncio.sleep(0.05)
            left_ms = await client.pttl(preview_key(line, A))
        shown = watching.result()
        assert 0 < left_ms <= 2000
        assert 0 < await client.pttl(watch_key(line, A)) <= 5000
    assert shown.jpeg.startswith(b"\xff\xd8")
    assert (shown.width, shown.height, shown.captured_at) == (200, 100, seen(shown.seq).frame.captured_at)
    await track.close()
    await client.aclose()


async def test_of_many_frames_so_many_a_second_are_made_and_when_nobody_watches_any_more_none(
    settings: RedisSettings, line: str
) -> None:
    clock, client = ManualClock(1000.0), connect(settings)
    previews = Previews(settings, PreviewSettings(fps=4), clock=clock)
    await client.set(watch_key(line, A), 1, px=60_000)
    previews.offer(line, frame(0), result())
    await until(lambda: previews.watched)
    for number in range(1, 65):  # two seconds of a camera's time
        made = previews.made
        previews.offer(line, frame(number), result())
        if number % 8 == 1:
            await until(lambda made=made: previews.made > made)  # type: ignore[misc]
        clock.advance(1 / 32)
    assert previews.made == 8
    assert await client.xlen(preview_key(line, A)) <= 2
    await client.delete(watch_key(line, A))
    await until(lambda: not previews.watched)
    previews.offer(line, frame(100), result())
    await asyncio.to_thread(previews.close)
    assert previews.made == 8
    await client.aclose()


async def test_where_redis_is_away_frames_are_offered_all_the_same_at_no_cost() -> None:
    nowhere = RedisSettings(url="redis://127.0.0.1:1/0")
    previews = Previews(nowhere, PreviewSettings())
    one, its_result = frame(0), result()
    previews.offer("l", one, its_result)
    began = time.thread_time()
    for _ in range(1000):
        previews.offer("l", one, its_result)
    took_s = time.thread_time() - began
    await asyncio.to_thread(previews.close)
    assert (previews.made, took_s < 0.1) == (0, True)  # 1 ms, as a rule
    assert not previews.is_running


async def test_one_that_watches_again_sees_the_newest_and_waits_for_the_next(
    settings: RedisSettings, line: str
) -> None:
    previews = Previews(settings, PreviewSettings(fps=15))
    async with PreviewReader(settings, line, A) as reader:
        waiting = asyncio.create_task(picture(reader))
        previews.offer(line, frame(0), result())
        await until(lambda: previews.watched)
        previews.offer(line, frame(1), result())
        first = await waiting
        assert await reader.next(0.1) is None
    async with PreviewReader(settings, line, A) as another:
        assert await picture(another) == first
    await asyncio.to_thread(previews.close)
