"""Small pictures, each made once and kept in a bounded share of memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

MAX_BYTES = 32_000_000  # about a thousand
_THREADS = 2


class Thumbnails:
    """Belongs to one event loop. Two who ask for the same one wait for one making of it."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()  # the one asked for longest ago is first
        self._coming: dict[str, asyncio.Future[bytes]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "rayline-thumbnails")

    async def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The small picture of that name; raises what `make` raises, which is asked in a thread."""
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        coming = self._coming.get(key)
        if coming is None:
            coming = self._coming[key] = asyncio.get_running_loop().run_in_executor(self._threads, make)
            coming.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(coming)  # one who leaves does not take it from the others

    def close(self) -> None:
        """Waits for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _keep(self, key: str, done: asyncio.Future[bytes]) -> None:
        del self._coming[key]
        if done.cancelled() or done.exception() is not None:
            return
        self._kept[key] = done.result()
        self._bytes += len(done.result())
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.popitem(last=False)[1])
