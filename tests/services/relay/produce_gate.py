"""A proxy in front of the broker that refuses batches by their size, or loses the answers to some."""

from __future__ import annotations

import asyncio
import io
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiokafka.protocol import produce

from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.redis_server import free_port

PRODUCE = 0
MESSAGE_TOO_LARGE = 10
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ProduceGate:
    """`largest` is what the broker's `message.max.bytes` would be; `loses(n)` tells whether answer n gets lost."""

    def __init__(self, upstream: int) -> None:
        self.largest = 10**9
        self.loses: Callable[[int], bool] = lambda _: False
        self.refused: list[int] = []  # sizes
        self.lost = 0
        self._upstream = upstream
        self._answers = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, request by request: a client has one produce request under way."""
        upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while request := await _frame(reader):
                    answer = self._refusal(request) or await _ask(upstream, request)
                    if request[:2] == struct.pack(">h", PRODUCE) and self._gets_lost():
                        return
                    writer.write(struct.pack(">i", len(answer)) + answer)
                    await writer.drain()
        finally:
            writer.close()
            upstream[1].close()

    def _gets_lost(self) -> bool:
        self._answers += 1
        self.lost += (is_lost := self.loses(self._answers))
        return is_lost

    def _refusal(self, request: bytes) -> bytes | None:
        api, version, correlation, name = struct.unpack(">hhih", request[:10])
        if api != PRODUCE:
            return None
        body = io.BytesIO(request[10 + max(0, name) :])
        *_, topics = getattr(produce, f"ProduceRequest_v{version}").SCHEMA.decode(body)
        sizes = [len(records) for _, partitions in topics for _, records in partitions]
        if max(sizes) <= self.largest:
            return None
        self.refused += sizes
        refusal = (MESSAGE_TOO_LARGE, -1, -1, -1) if version >= 5 else (MESSAGE_TOO_LARGE, -1, -1)
        told = [(topic, [(index, *refusal) for index, _ in partitions]) for topic, partitions in topics]
        response = getattr(produce, f"ProduceResponse_v{version}").SCHEMA.encode((told, 0))
        return struct.pack(">i", correlation) + response


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


async def _ask(upstream: _Streams, request: bytes) -> bytes:
    reader, writer = upstream
    writer.write(struct.pack(">i", len(request)) + request)
    await writer.drain()
    return await _frame(reader)


@asynccontextmanager
async def gated_broker() -> AsyncIterator[tuple[ProduceGate, KafkaBroker, str]]:
    """A broker, the gate in front of it, and the gate's address, where clients are sent."""
    port = free_port()
    with kafka_broker(port) as broker:
        gate = ProduceGate(broker.port)
        async with await asyncio.start_server(gate.serve, "127.0.0.1", port):
            yield gate, broker, f"127.0.0.1:{port}"
