"""Calls that wait for the model go to it together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Wave:
    """Calls that were let through together."""

    def __init__(self) -> None:
        self.under_way = 0


class Turns:
    """At most `batches` waves of calls are under way; what comes meanwhile waits, and then goes as one wave.

    A wave is of at most `most` frames, or one call. Serve's batching alone does not do this: it takes what has come at
    the moment it looks, and looks at once, so what waits for a free place there waits as batches of one call each.
    """

    def __init__(self, batches: int, most: int) -> None:
        self._batches, self._most = batches, most
        self._waiting: deque[tuple[int, asyncio.Future[_Wave]]] = deque()
        self._waves = 0

    @asynccontextmanager
    async def turn(self, frames: int) -> AsyncIterator[None]:
        """Inside, the call is one of a wave; all of a wave come in before anything else runs."""
        loop = asyncio.get_running_loop()
        let_in: asyncio.Future[_Wave] = loop.create_future()
        self._waiting.append((frames, let_in))
        loop.call_soon(self._let_in)  # not now: what comes in this moment goes along
        try:
            wave = await let_in
        except asyncio.CancelledError:
            if not let_in.cancelled():  # it was let in, and cancelled before it could go
                self._left(let_in.result())
            raise
        try:
            yield
        finally:
            self._left(wave)

    def _let_in(self) -> None:
        while self._waiting and self._waves < self._batches:
            wave, room = _Wave(), self._most
            while self._waiting and (not wave.under_way or self._waiting[0][0] <= room):
                frames, let_in = self._waiting.popleft()
                if not let_in.done():  # else its caller has left
                    let_in.set_result(wave)
                    wave.under_way += 1
                    room -= frames
            self._waves += wave.under_way > 0

    def _left(self, wave: _Wave) -> None:
        wave.under_way -= 1
        if not wave.under_way:
            self._waves -= 1
            self._let_in()
