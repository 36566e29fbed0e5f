"""A TCP proxy between a client and Redis that counts, holds answers back, or cuts the line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Gate:
    """`hold_until(n, word)`: no answer passes before n requests with `word` came. `swallow`: answers get lost."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._word, self._wanted, self._seen = b"", 0, 0
        self._open = asyncio.Event()
        self._open.set()
        self._swallow_after: bytes | None = None
        self.port = 0

    def hold_until(self, count: int, word: bytes) -> None:
        self._word, self._wanted, self._seen = word, count, 0
        self._open.clear()

    def lose_the_answer_to(self, word: bytes) -> None:
        """The next request with `word` reaches the server; its answer does not come back, the line is cut."""
        self._swallow_after = word

    def lose_nothing(self) -> None:
        """What was to be lost and has not come yet will pass."""
        self._swallow_after = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        doomed = asyncio.Event()
        pumps = [
            asyncio.ensure_future(self._requests(reader, up_writer, doomed)),
            asyncio.ensure_future(self._answers(up_reader, writer, doomed)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*pumps, return_exceptions=True)
            writer.close()
            up_writer.close()

    async def _requests(self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if self._swallow_after is not None and self._swallow_after in data:
                self._swallow_after = None
                doomed.set()
            if self._word:
                self._seen += data.count(self._word)
                if self._seen >= self._wanted:
                    self._open.set()
            up.write(data)
            await up.drain()

    async def _answers(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await up.read(65536):
            if doomed.is_set():
                return
            await self._open.wait()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def gate(upstream_port: int) -> AsyncIterator[Gate]:
    """A listening gate on 127.0.0.1, closed with all its connections at the end."""
    proxy = Gate(upstream_port)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(proxy.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
