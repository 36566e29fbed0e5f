"""Asks of many callers gathered into few calls: a call costs the line as much for one image as for several."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_WEIGHT = 0.2  # of the newest call in the mean


class _Waiter(Generic[Item, Answer]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class Gatherer(Generic[Item, Answer]):
    """Up to `max_batch` asks go into one call, up to `max_in_flight` calls are under way; the others wait in order.

    Who stops waiting is not worked on if its call has not begun, and does the others of its call no harm; a call that
    nobody waits for any longer is cancelled. What a call raises, each of its callers gets. While asks wait, a pause of
    `rest` times what the call took follows it.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        max_batch: int,
        max_in_flight: int,
        rest: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._call = call
        self._max_batch, self._max_in_flight, self._rest = max_batch, max_in_flight, rest
        self._clock, self._sleep = clock, sleep
        self._waiting: deque[_Waiter[Item, Answer]] = deque()
        self._runners: set[asyncio.Task[None] | None] = set()
        self._s_per_item = 0.0

    @property
    def s_per_item(self) -> float:
        """Seconds between two answers while it is busy, pauses included; 0 before the first."""
        return self._s_per_item / self._max_in_flight

    async def ask(self, item: Item) -> Answer:
        """The item's own answer. Raises what its call raised."""
        waiter: _Waiter[Item, Answer] = _Waiter(item)
        self._waiting.append(waiter)
        if len(self._runners) < self._max_in_flight:
            self._runners.add(asyncio.create_task(self._run()))
        try:
            return await waiter.answer
        finally:
            if waiter in self._waiting:  # it left: what it brought need not be held
                self._waiting.remove(waiter)

    def close(self) -> None:
        """Lets go of every call; who waits is cancelled."""
        for runner in filter(None, self._runners):
            runner.cancel()
        for waiter in self._waiting:
            waiter.answer.cancel()

    async def _run(self) -> None:
        try:
            while batch := self._next():
                started = self._clock()
                await self._answer(batch)
                if self._rest and self._waiting:
                    await self._sleep((self._clock() - started) * self._rest)
                took = (self._clock() - started) / len(batch)
                self._s_per_item += (took - self._s_per_item) * (_WEIGHT if self._s_per_item else 1.0)
        finally:  # here, not in a callback: an ask in between would find a runner that runs no more
            self._runners.discard(asyncio.current_task())

    def _next(self) -> list[_Waiter[Item, Answer]]:
        batch: list[_Waiter[Item, Answer]] = []
        while self._waiting and len(batch) < self._max_batch:
            waiter = self._waiting.popleft()
            if not waiter.answer.done():  # it was cancelled, and its own task has not run since
                batch.append(waiter)
        return batch

    async def _answer(self, batch: Sequence[_Waiter[Item, Answer]]) -> None:
        call = asyncio.ensure_future(self._call([waiter.item for waiter in batch]))

        def nobody_waits(_: asyncio.Future[Answer]) -> None:
            if all(waiter.answer.cancelled() for waiter in batch):
                call.cancel()

        for waiter in batch:
            waiter.answer.add_done_callback(nobody_waits)
        try:
            await asyncio.wait({call})  # unlike `await call`, this tells its cancelling from ours
        finally:
            call.cancel()  # nothing to one that is done
            _hand_out(batch, call)


def _hand_out(batch: Sequence[_Waiter[Item, Answer]], call: asyncio.Future[Sequence[Answer]]) -> None:
    still = [(number, waiter) for number, waiter in enumerate(batch) if not waiter.answer.done()]
    if not call.done() or call.cancelled():
        for _, waiter in still:
            waiter.answer.cancel()
    elif (exc := call.exception()) is not None:
        for _, waiter in still:
            waiter.answer.set_exception(exc)
    else:
        answers = call.result()
        for number, waiter in still:
            waiter.answer.set_result(answers[number])
