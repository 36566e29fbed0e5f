"""A proxy in front of the broker that refuses batches by their size, or loses the answers to some."""

from __future__ import annotations

import asyncio
import io
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiokafka.protocol import produce
from aiokafka.record.util import calc_crc32c

from tests.kafka_broker import KafkaBroker, kafka_broker
from tests.redis_server import free_port

PRODUCE, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE = 0, 17, 18, 22, 36
WITHOUT_LOGIN = (API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE)
MESSAGE_TOO_LARGE, OUT_OF_ORDER, DUPLICATE, AUTHENTICATION_FAILED = 10, 45, 46, 58
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ProduceGate:
    """`largest` is what the broker's `message.max.bytes` would be; `loses(n)` tells whether answer n gets lost.

    `idempotent`: gives producers an id and keeps what it promises, as a broker does that knows them: a batch that was
    stored is not stored again, and one that comes too early is refused. `login`: whom SASL PLAIN lets in;
    who asks for more without it is hung up on.
    """

    def __init__(self, upstream: int) -> None:
        self.largest = 10**9
        self.loses: Callable[[int], bool] = lambda _: False
        self.idempotent = False
        self.login: tuple[str, str] | None = None
        self.refused: Counter[int] = Counter()  # batches by error
        self.lost = 0
        self.answers = 0  # to batches
        self.logins_refused = 0
        self._upstream = upstream
        self._producers = 0
        self._next: dict[tuple[int, str, int], int] = {}  # sequence number by producer, topic and partition

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, request by request: a client has one produce request under way."""
        upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        is_known = self.login is None
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while request := await _frame(reader):
                    (api,) = struct.unpack(">h", request[:2])
                    answer = await self._answer(upstream, request) if is_known or api in WITHOUT_LOGIN else None
                    if answer is None:
                        return
                    is_known = is_known or (api == SASL_AUTHENTICATE and self._lets_in(request))
                    writer.write(struct.pack(">i", len(answer)) + answer)
                    await writer.drain()
        finally:
            writer.close()
            upstream[1].close()

    async def _answer(self, upstream: _Streams, request: bytes) -> bytes | None:
        """None: it gets lost."""
        api, version, correlation, name = struct.unpack(">hhih", request[:10])
        if api == INIT_PRODUCER_ID and self.idempotent:
            self._producers += 1
            return struct.pack(">iihqh", correlation, 0, 0, self._producers, 0)
        if self.login is not None and api == SASL_HANDSHAKE:
            return struct.pack(">ihi", correlation, 0, 1) + _text(b"PLAIN")
        if self.login is not None and api == SASL_AUTHENTICATE:
            self.logins_refused += not self._lets_in(request)
            error = 0 if self._lets_in(request) else AUTHENTICATION_FAILED
            lifetime = struct.pack(">q", 0) if version else b""
            return struct.pack(">ih", correlation, error) + _text(b"no such user") + struct.pack(">i", 0) + lifetime
        if api != PRODUCE:
            return await _ask(upstream, request)
        header = 10 + max(0, name)
        asked, answers = (getattr(produce, f"Produce{kind}_v{version}").SCHEMA for kind in ("Request", "Response"))
        *how, topics = asked.decode(io.BytesIO(request[header:]))
        errors = {(t, p): self._error(t, p, records) for t, partitions in topics for p, records in partitions}
        taken = [(t, [(p, _of_nobody(records)) for p, records in parts if not errors[t, p]]) for t, parts in topics]
        taken = [(t, parts) for t, parts in taken if parts]
        told: list[tuple[str, list[tuple[int, ...]]]] = []
        if taken:
            stored = await _ask(upstream, request[:header] + asked.encode((*how, taken)))
            told = answers.decode(io.BytesIO(stored[4:]))[0]
        self.answers += 1
        if self.loses(self.answers):
            self.lost += 1
            return None
        rest = (-1, -1, -1) if version >= 5 else (-1, -1)
        told += [(topic, [(partition, error, *rest)]) for (topic, partition), error in errors.items() if error]
        self.refused.update(error for error in errors.values() if error)
        return struct.pack(">i", correlation) + answers.encode((told, 0))

    def _lets_in(self, request: bytes) -> bool:
        return request.endswith("\0".join(("", *(self.login or ()))).encode())

    def _error(self, topic: str, partition: int, records: bytes) -> int:
        """0: it is to be stored."""
        if len(records) > self.largest:
            return MESSAGE_TOO_LARGE
        producer, _, sequence, count = struct.unpack(">qhii", records[43:61])
        if producer < 0:
            return 0
        place = producer, topic, partition
        expected = self._next.get(place, 0)
        if sequence != expected:
            return DUPLICATE if sequence < expected else OUT_OF_ORDER
        self._next[place] = expected + count
        return 0


def _text(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value


def _of_nobody(records: bytes) -> bytes:
    """The batch without its producer's id and sequence number, which the broker behind does not know."""
    body = records[21:43] + struct.pack(">qhi", -1, -1, -1) + records[57:]
    return records[:17] + struct.pack(">I", calc_crc32c(body)) + body


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


async def _ask(upstream: _Streams, request: bytes) -> bytes:
    reader, writer = upstream
    writer.write(struct.pack(">i", len(request)) + request)
    await writer.drain()
    return await _frame(reader)


@asynccontextmanager
async def gated_broker(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[ProduceGate, KafkaBroker, str]]:
    """A broker, the gate in front of it, and the gate's address, where clients are sent."""
    port = free_port()
    with kafka_broker(port) as broker:
        gate = ProduceGate(broker.port)
        async with await asyncio.start_server(gate.serve, "127.0.0.1", port, ssl=tls):
            yield gate, broker, f"127.0.0.1:{port}"
