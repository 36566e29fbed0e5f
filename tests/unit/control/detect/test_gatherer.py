"""Asks of many become few calls, and nobody's leaving harms another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pipeline.control.detect.gatherer import Gatherer


class Scripted:
    """Calls that end when the test says so."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.cancelled: list[list[int]] = []
        self.open: list[asyncio.Future[None]] = []

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.open.append(asyncio.get_running_loop().create_future())
        try:
            await self.open[-1]
        except asyncio.CancelledError:
            self.cancelled.append(list(items))
            raise
        return [item * 10 for item in items]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def asks(gatherer: Gatherer[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(gatherer.ask(item)) for item in items]


async def test_what_waits_while_a_call_is_under_way_goes_together_in_order() -> None:
    model = Scripted()
    gatherer = Gatherer[int, int](model, max_batch=3, max_in_flight=1)
    first = asks(gatherer, 1)
    await settle()
    later = asks(gatherer, 2, 3, 4, 5)
    await settle()
    assert model.calls == [[1]]
    for _ in range(3):
        model.open[-1].set_result(None)
        await settle()
    assert model.calls == [[1], [2, 3, 4], [5]]
    assert [await task for task in first + later] == [10, 20, 30, 40, 50]


async def test_no_more_calls_are_under_way_than_may_be() -> None:
    model = Scripted()
    gatherer = Gatherer[int, int](model, max_batch=1, max_in_flight=2)
    tasks = asks(gatherer, 1, 2, 3)
    await settle()
    assert model.calls == [[1], [2]]
    model.open[0].set_result(None)
    await settle()
    assert model.calls == [[1], [2], [3]]
    for call in model.open[1:]:
        call.set_result(None)
    assert await asyncio.gather(*tasks) == [10, 20, 30]


async def test_who_left_before_dispatch_is_not_worked_on_and_the_others_are() -> None:
    model = Scripted()
    gatherer = Gatherer[int, int](model, max_batch=8, max_in_flight=1)
    tasks = asks(gatherer, 1)
    await settle()
    tasks += asks(gatherer, 2, 3, 4)
    await settle()
    tasks[2].cancel()
    model.open[0].set_result(None)
    await settle()
    assert model.calls[1] == [2, 4]
    model.open[1].set_result(None)
    assert [await task for task in (tasks[0], tasks[1], tasks[3])] == [10, 20, 40]
    assert tasks[2].cancelled()


async def test_a_call_goes_on_for_those_who_stay_and_ends_when_nobody_does() -> None:
    model = Scripted()
    gatherer = Gatherer[int, int](model, max_batch=2, max_in_flight=1)
    one, two = asks(gatherer, 1, 2)
    await settle()
    one.cancel()
    await settle()
    assert model.cancelled == []
    two.cancel()
    await settle()
    assert model.cancelled == [[1, 2]]
    (three,) = asks(gatherer, 3)  # and the next is served
    await settle()
    model.open[-1].set_result(None)
    assert await three == 30


async def test_what_a_call_raises_each_of_its_callers_gets_and_the_next_call_is_made() -> None:
    model = Scripted()
    gatherer = Gatherer[int, int](model, max_batch=2, max_in_flight=1)
    tasks = asks(gatherer, 1, 2, 3)
    await settle()
    model.open[0].set_exception(OSError("away"))
    await settle()
    model.open[1].set_result(None)
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(one) for one in found] == ["away", "away", "30"]


async def test_it_rests_between_calls_only_while_others_wait() -> None:
    now, slept = [0.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    model = Scripted()
    gatherer = Gatherer[int, int](model, 1, 1, rest=0.5, clock=lambda: now[0], sleep=sleep)
    tasks = asks(gatherer, 1, 2)
    await settle()
    now[0] += 4.0
    model.open[0].set_result(None)
    await settle()
    assert slept == [2.0]
    assert gatherer.s_per_item == 6.0
    model.open[1].set_result(None)
    await asyncio.gather(*tasks)
    await settle()
    assert slept == [2.0]


async def test_closing_lets_go_of_all() -> None:
    model = Scripted()
    gatherer = Gatherer[int, int](model, 1, 1)
    tasks = asks(gatherer, 1, 2)
    await settle()
    gatherer.close()
    await settle()
    assert all(task.cancelled() for task in tasks)
    assert model.cancelled == [[1]]
