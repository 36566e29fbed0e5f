"""Feeds of the cameras a page shows: how long they are held, how many, and the first picture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from pipeline.control.live.pictures import FIRST_WITHIN_S
from pipeline.dashboard.cameras import held as held_module
from pipeline.dashboard.cameras.held import LINGER_S, Held
from pipeline.dashboard.cameras.pictures import Pictures
from pipeline.sinks.redis_client import RedisSettings
from tests.services.api.shown import report, shown

if TYPE_CHECKING:
    from pipeline.sinks.preview_reader import Preview

pytestmark = pytest.mark.services


class Clock:
    """Goes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def held(redis: RedisSettings, clock: Clock) -> AsyncIterator[Held]:
    found = Held(redis, clock)
    yield found
    await found.close()


def first_of(held: Held) -> Coroutine[Any, Any, Preview | None]:
    """Of camera a on line l1."""
    camera = SimpleNamespace(view=SimpleNamespace(line="l1", name="a"))
    return Pictures(held, cast("Any", None)).first(cast("Any", camera))


async def let_go(held: Held) -> None:
    async with asyncio.timeout(10):
        while held._tasks:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_who_waits_for_the_first_picture_holds_the_camera_longer_than_a_page_that_asks(
    held: Held, clock: Clock
) -> None:
    feed = await held.opened("l1", "a", 0.3)
    assert feed is not None
    assert held.feed("l1", "a", 0.05) is feed
    clock.now += 0.2
    await asyncio.sleep(0.4)
    assert held._feeds == {("l1", "a"): feed}
    clock.now += 0.11
    await let_go(held)
    assert not held._feeds


async def test_the_first_picture_is_the_first_to_come(redis: RedisSettings, held: Held) -> None:
    waits = asyncio.create_task(first_of(held))
    await asyncio.sleep(0.1)
    async with shown(redis, "l1", "a"):
        picture = await waits
    assert picture is not None
    assert picture.jpeg


@pytest.mark.parametrize(("line", "state"), [("l1", "paused"), ("l2", "running")], ids=["paused", "elsewhere"])
async def test_a_camera_that_will_show_nothing_is_not_waited_for(
    redis: RedisSettings, held: Held, line: str, state: str
) -> None:
    await report(redis, "a", line, state)
    began = time.monotonic()
    assert await first_of(held) is None
    assert time.monotonic() - began < FIRST_WITHIN_S


async def test_one_camera_too_many_is_told_once_and_shown_when_a_place_is_free(
    held: Held, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(held_module, "MOST", 2)
    for _ in range(3):
        for camera in ("a", "b", "c", "d"):
            held.feed("l1", camera, 0.2)
        await asyncio.sleep(0)
    assert {camera for _, camera in held._feeds} == {"a", "b"}
    assert len(held._tasks) == len(held._until) == 2
    assert len(caplog.records) == 1
    clock.now += LINGER_S
    await let_go(held)
    assert not held._until
    assert await held.opened("l1", "c", 0.2) is not None
    assert len(caplog.records) == 1
