"""Requests are counted by all replicas together, and by each for itself while Redis is away."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from pipeline.control.rates import counting
from pipeline.control.rates.counting import AWAY_S, MOST_HERE, PREFIX, Counting
from pipeline.control.rates.settings import Rate
from pipeline.sinks.redis_client import RedisSettings, connect
from pipeline.sinks.redis_pool import RedisPool
from tests.redis_server import redis_server
from tests.services.api.clock import Clock
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.services

HOURLY = Rate(10, 3600)


async def allowed(counting: Counting, times: int, who: str = "a", rate: Rate = HOURLY) -> int:
    return sum([(await counting.count(rate, "test", who)).allowed for _ in range(times)])


async def test_a_burst_gets_its_share_and_more_once_time_has_passed(pool: RedisPool) -> None:
    here = Counting(pool)
    quick = Rate(10, 1)
    began = time.monotonic()
    burst = await allowed(here, 30, rate=quick)
    assert 10 <= burst < 20 + 10 * int(time.monotonic() - began)  # a second may end in between
    await asyncio.sleep(2.0)
    assert await allowed(here, 10, rate=quick) == 10


async def test_replicas_count_together(redis: RedisSettings, pool: RedisPool) -> None:
    other = RedisPool(redis)
    assert await allowed(Counting(pool), 7) + await allowed(Counting(other), 7) == 10
    await other.close()


async def test_many_at_once_get_no_more(pool: RedisPool) -> None:
    here = Counting(pool)
    counted = await asyncio.gather(*(here.count(HOURLY, "test", "a") for _ in range(100)))
    assert sum(one.allowed for one in counted) == 10


async def test_callers_do_not_share(pool: RedisPool) -> None:
    here = Counting(pool)
    assert [await allowed(here, 11, who) for who in ("a", "b", "a/b")] == [10, 10, 10]


async def test_its_keys_are_under_one_name_and_end(redis: RedisSettings, pool: RedisPool) -> None:
    await allowed(Counting(pool), 1)
    client = connect(redis)
    keys: list[bytes] = await client.keys()  # type: ignore[assignment]
    ends = [await client.ttl(key) for key in keys]
    await client.aclose()
    assert keys
    assert all(key.startswith(PREFIX.encode()) for key in keys)
    assert all(0 < ttl <= 2 * 3600 for ttl in ends)


async def test_who_goes_away_while_counted_spoils_nobodys_count(pool: RedisPool) -> None:
    here = Counting(pool)
    for delay in range(20):
        task = asyncio.create_task(here.count(Rate(1000, 3600), "test", "a"))
        await asyncio.sleep(delay / 10_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        counted = await here.count(Rate(1000, 3600), "test", f"b{delay}")
        assert counted.remaining == 999


async def test_without_redis_each_counts_for_itself_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with redis_server(tmp_path, password="hush-hush") as server:
        pool = RedisPool(RedisSettings(url=server.url, retries=0))
        here = Counting(pool, clock)
        assert await allowed(here, 5) == 5
        server.kill()
        with caplog.at_level(logging.INFO):
            assert await allowed(here, 30) == 10  # never an error, never without a limit
            clock.now += AWAY_S
            assert await allowed(here, 5) == 0
            server.restart()
            clock.now += AWAY_S
            assert await allowed(here, 30) == 10  # it was emptied
        await pool.close()
    assert caplog.text.count("in each replica for itself") == 1
    assert "in Redis again" in caplog.text
    assert "hush-hush" not in caplog.text


async def test_a_redis_that_hangs_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopwatch: Stopwatch
) -> None:
    monkeypatch.setattr(counting, "ANSWER_S", 1.0)
    with redis_server(tmp_path) as server:
        pool = RedisPool(RedisSettings(url=server.url))
        here = Counting(pool)
        server.freeze()
        stopwatch.restart()
        assert await allowed(here, 20, rate=Rate(10, 3600)) == 10
        took_s = stopwatch.seconds
        server.thaw()
        await pool.close()
    assert took_s < 2  # once, not for each


async def test_strangers_without_number_share_one_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_HERE", 5)
    assert MOST_HERE == 10_000
    pool = RedisPool(RedisSettings(url="redis://127.0.0.1:1/0", retries=0))
    here = Counting(pool)
    counted = [await here.count(HOURLY, "test", f"stranger-{number}") for number in range(30)]
    await pool.close()
    assert sum(one.allowed for one in counted) == 5 + 10
