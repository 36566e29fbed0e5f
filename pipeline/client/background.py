"""An event loop in a thread of its own, for callers that have none."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Awaitable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

_ENDING_S = 10.0


class Background:
    """Runs what is awaited while the caller waits; what was started meanwhile goes on between the calls."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon: who forgets to close must still be able to end.
        self._thread = threading.Thread(target=self._loop.run_forever, name="rayline-client", daemon=True)
        self._thread.start()
        atexit.register(
            self.close
        )  # later the thread is dead, and a loop somebody left open would wait for it for ever

    def run(self, work: Awaitable[T]) -> T:
        """Its answer. Interrupted by Ctrl-C, it is cancelled, and over when this raises."""
        ended: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(_awaited(work)))
            tasks[0].add_done_callback(partial(_hand_over, ended))

        self._loop.call_soon_threadsafe(start)
        try:
            return ended.result()
        except BaseException:
            if not ended.done():
                self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())
                with suppress(TimeoutError):
                    ended.exception(_ENDING_S)
            raise

    @property
    def closed(self) -> bool:
        """True once nothing runs any more, and nothing can be run."""
        return self._loop.is_closed()

    def close(self) -> None:
        """Cancel what still runs and end the thread; may be called more than once."""
        atexit.unregister(self.close)
        if self.closed:
            return
        asyncio.run_coroutine_threadsafe(self._wind_up(), self._loop).result(_ENDING_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ENDING_S)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _wind_up(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _hand_over(ended: Future[T], task: asyncio.Task[T]) -> None:
    if task.cancelled():
        ended.set_exception(asyncio.CancelledError())
    elif (exc := task.exception()) is not None:
        ended.set_exception(exc)
    else:
        ended.set_result(task.result())
