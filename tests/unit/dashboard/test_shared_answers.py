"""What many pages want is asked once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pipeline.config import RaylineConfig
from pipeline.dashboard.services import Services
from pipeline.dashboard.settings import DashboardSettings


class Away(Exception):
    pass


class Asked:
    """Counts; answers once it may."""

    def __init__(self) -> None:
        self.times = 0
        self.may_answer = asyncio.Event()
        self.fails = False

    async def __call__(self) -> int:
        self.times += 1
        times = self.times
        await self.may_answer.wait()
        if self.fails:
            raise Away
        return times


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    made = Services(RaylineConfig(), DashboardSettings())
    yield made
    await made.close()


async def three(services: Services, asked: Asked) -> list[asyncio.Task[int]]:
    """Who wait for the same answer."""
    waiting = [asyncio.create_task(services.shared("key", 60.0, asked)) for _ in range(3)]
    await asyncio.sleep(0)
    return waiting


async def test_all_who_wait_get_one_answer_and_so_do_others_while_it_is_fresh(services: Services) -> None:
    asked = Asked()
    waiting = await three(services, asked)
    asked.may_answer.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    assert await services.shared("key", 60.0, asked) == 1
    assert await services.shared("key", 0.0, asked) == 2


async def test_all_who_wait_get_one_error_and_the_next_asks_anew(services: Services) -> None:
    asked = Asked()
    asked.fails = True
    waiting = await three(services, asked)
    asked.may_answer.set()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in told] == [Away, Away, Away]
    assert asked.times == 1
    asked.fails = False
    assert await services.shared("key", 60.0, asked) == 2


async def test_who_goes_away_takes_the_answer_from_nobody(services: Services) -> None:
    asked = Asked()
    first, *others = await three(services, asked)
    first.cancel()
    asked.may_answer.set()
    assert await asyncio.gather(*others) == [1, 1]
    assert first.cancelled()
    assert asked.times == 1


async def test_what_somebody_changed_is_asked_anew_even_while_it_is_asked(services: Services) -> None:
    asked = Asked()
    waiting = await three(services, asked)
    services.forget("key")
    after = asyncio.create_task(services.shared("key", 60.0, asked))
    asked.may_answer.set()
    assert await asyncio.gather(*waiting, after) == [1, 1, 1, 2]
