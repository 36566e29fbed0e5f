"""Messages into Kafka topics: in order by key, stored on all replicas before they count as sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from pipeline.kafka_probe import needs_a_person, reason, told
from pipeline.kafka_settings import KafkaMisconfigured
from pipeline.relays.outgoing import STORED, Fate, OtherSideAway, Outgoing, Sent
from pipeline.relays.settings import Compression, KafkaRelaySettings, Topic

logger = logging.getLogger(__name__)

PATIENCE = 3  # request timeouts that a batch may take, the client's own attempts included
CLOSE_S = 3.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_PROBED_AGAIN_S = 30.0  # what no broker lets us in for is told as it was found, so long


@dataclass(frozen=True, slots=True)
class _Record:
    """A message as Kafka takes it."""

    topic: str
    key: bytes
    value: bytes
    at_ms: int
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def of(cls, message: Outgoing, topic: str) -> Self:
        name = topic.format(kind=message.topic, line=message.line)
        return cls(name, message.key.encode(), message.data, message.at_ms, _headers(message))


class KafkaSink:
    """One producer, made anew after any failure.

    A partition has one batch under way, which is stored as a whole or not at all, and the next is made when that one is
    answered: so nothing passes a batch that failed, with idempotence or without.
    """

    def __init__(self, settings: KafkaRelaySettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._most_records = settings.max_in_flight  # a batch; fewer while one that was too large is taken apart
        self._why: tuple[float, tuple[str, bool]] | None = None  # no broker lets us in, when that was found, and why

    @property
    def address(self) -> str:
        """The brokers."""
        return f"kafka at {self._settings.address}"

    async def send(self, messages: Sequence[Outgoing]) -> list[Sent]:
        """One fate per message. Raises OtherSideAway where no broker can be reached."""
        records = [_Record.of(message, self._settings.topic) for message in messages]
        fates: list[Sent | None] = [self._too_large(record) for record in records]
        self._most_records = min(self._settings.max_in_flight, 2 * self._most_records)  # large ones may be over
        while left := [
            i for i, fate in enumerate(fates) if fate is None
        ]:  # each attempt halves batches, or settles some
            answers = await self._attempt([records[i] for i in left])
            for i, answer in zip(left, answers, strict=True):
                fates[i] = answer
        return [fate for fate in fates if fate is not None]

    async def tick(self) -> None:
        """Nothing: what is sent is stored."""

    async def close(self) -> None:
        """Let go of the producer, and of what it had not sent."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        stopping = asyncio.ensure_future(producer.stop())
        done, _ = await asyncio.wait({stopping}, timeout=0.5)
        if not done:
            await _abort(producer, stopping)
        if stopping.done() and not stopping.cancelled() and stopping.exception() is not None:
            logger.debug("the producer did not stop cleanly: %s", type(stopping.exception()).__name__)

    def _too_large(self, record: _Record) -> Sent | None:
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, record.headers)
        if size <= self._settings.max_request_size:
            return None
        return Sent(Fate.REFUSED, f"message of {size} bytes, max_request_size is {self._settings.max_request_size}")

    async def _attempt(self, records: Sequence[_Record]) -> list[Sent | None]:
        """None: to be tried again at once."""
        producer = await self._open()
        fates: list[Sent | None] = [None] * len(records)
        try:
            partitions = await self._by_partition(producer, records)
            await asyncio.gather(
                *(self._send_in_order(producer, place, records, of, fates) for place, of in partitions.items())
            )
        except (KafkaError, TimeoutError, OSError) as exc:  # topics are not known: nothing was sent
            await self.close()
            raise _away(exc) from None
        except BaseException:
            await self.close()
            raise
        if any(fate is None or fate.fate is Fate.LEFT for fate in fates):
            await self.close()  # what it still holds must not come behind what is sent again
        return fates

    async def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            try:
                producer = AIOKafkaProducer(**producer_arguments(self._settings))
            except KafkaMisconfigured as exc:
                raise OtherSideAway(str(exc), needs_a_person=True) from None
            self._producer = producer
            try:
                async with asyncio.timeout(PATIENCE * self._settings.request_timeout_s):
                    await producer.start()
            except (KafkaError, TimeoutError, OSError) as exc:
                await self.close()
                raise await self._unreachable(exc) from None
            except BaseException:
                await self.close()
                raise
            self._why = None
        return self._producer

    async def _unreachable(self, exc: Exception) -> OtherSideAway:
        if isinstance(exc, KafkaConnectionError):
            if self._why is None or time.monotonic() - self._why[0] >= _PROBED_AGAIN_S:
                self._why = time.monotonic(), await told(self._settings, exc)
            text, helpless = self._why[1]
            return OtherSideAway(text, needs_a_person=helpless)
        if isinstance(exc, KafkaError) and self._settings.enable_idempotence:
            hint = "brokers that know no idempotent producer need `enable_idempotence: false`"
            return OtherSideAway(f"{reason(exc)}; {hint}", needs_a_person=True)
        return _away(exc)

    async def _by_partition(
        self, producer: AIOKafkaProducer, records: Sequence[_Record]
    ) -> dict[tuple[str, int], list[int]]:
        """Indexes of the records by (topic, partition): a key stays with its partition, as with every other client."""
        counts: dict[str, int] = {}
        by_partition: dict[tuple[str, int], list[int]] = {}
        for i, record in enumerate(records):
            if record.topic not in counts:
                counts[record.topic] = await self._partitions(producer, record.topic)
            partition = (murmur2(record.key) & 0x7FFFFFFF) % counts[record.topic]
            by_partition.setdefault((record.topic, partition), []).append(i)
        return by_partition

    async def _partitions(self, producer: AIOKafkaProducer, topic: str) -> int:
        try:
            return len(await producer.partitions_for(topic))
        except UnknownTopicOrPartitionError as exc:
            raise OtherSideAway(f"topic {topic} is not there, and is not made", needs_a_person=True) from exc

    async def _send_in_order(
        self,
        producer: AIOKafkaProducer,
        place: tuple[str, int],
        records: Sequence[_Record],
        of: Sequence[int],
        fates: list[Sent | None],
    ) -> None:
        """One partition's messages, batch behind batch; what follows one that failed is left too.

        What follows one the broker refused is for a new producer: an idempotent one counts the refused too.
        """
        at = 0
        while at < len(of):
            batch, taken = self._batch(producer, [records[i] for i in of[at:]])
            fate = await self._store(producer, batch, place, taken)
            failed = fate is not None and fate.fate is Fate.LEFT
            for i in of[at:] if failed else of[at : at + taken]:
                fates[i] = fate
            if fate is None or fate.fate is not Fate.STORED:
                return
            at += taken

    def _batch(self, producer: AIOKafkaProducer, records: Sequence[_Record]) -> tuple[BatchBuilder, int]:
        batch = producer.create_batch()
        taken = 0
        for record in records[: self._most_records]:
            added = batch.append(
                timestamp=record.at_ms, key=record.key, value=record.value, headers=list(record.headers)
            )
            if added is None:
                break
            taken += 1
        batch.close()
        return batch, taken

    async def _store(
        self, producer: AIOKafkaProducer, batch: BatchBuilder, place: tuple[str, int], records: int
    ) -> Sent | None:
        """The fate of all its records; None: it was too large and must be taken apart."""
        topic, partition = place
        try:
            async with asyncio.timeout(PATIENCE * self._settings.request_timeout_s):
                await (await producer.send_batch(batch, topic, partition=partition))
        except _TOO_LARGE as exc:
            if records > 1:
                self._most_records = max(1, min(self._most_records, records) // 2)
                return None
            self._most_records = self._settings.max_in_flight
            return Sent(Fate.REFUSED, f"the broker says {exc.message}")
        except (KafkaError, TimeoutError, OSError) as exc:
            return Sent(Fate.LEFT, reason(exc), needs_a_person=needs_a_person(exc))
        return STORED


def producer_arguments(settings: KafkaRelaySettings) -> dict[str, Any]:
    """What the producer is made with; holds the password. Raises KafkaMisconfigured."""
    return {
        **settings.client_arguments(),
        "acks": "all",
        "enable_idempotence": settings.enable_idempotence,
        "compression_type": None if settings.compression is Compression.NONE else settings.compression.value,
        "max_request_size": settings.max_request_size,
        "max_batch_size": settings.max_request_size,
    }


def _headers(message: Outgoing) -> list[tuple[str, bytes]]:
    schema, kind = _told_of(message.data, message.topic)
    named = {"message_id": message.message_id, "schema": schema, "kind": kind}
    return [(name, value.encode()) for name, value in named.items()]


def _told_of(data: bytes, topic: str) -> tuple[str, str]:
    """(schema, kind) as the message says; what somebody else wrote into our stream is relayed as it is."""
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        return "", topic
    kind = "detection" if topic == Topic.DETECTIONS else topic
    return str(message.get("schema", "")), str(message.get("kind", kind))


def _away(exc: BaseException) -> OtherSideAway:
    return OtherSideAway(reason(exc), needs_a_person=needs_a_person(exc))


async def _abort(producer: AIOKafkaProducer, stopping: asyncio.Future[None]) -> None:
    """End a producer that waits for brokers: its own `stop` would wait with it, without end where it is idempotent."""
    waiting = producer._message_accumulator
    for batch in [*waiting._pending_batches, *(batch for batches in waiting._batches.values() for batch in batches)]:
        batch.failure(ProducerClosed())
        for future in (batch.future, batch._drain_waiter):
            if future.done() and not future.cancelled():
                future.exception()  # else asyncio complains that nobody looked
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await producer.client.close()  # ends the requests the sender waits for
    await asyncio.wait({stopping}, timeout=CLOSE_S)
    if not stopping.done():
        stopping.cancel()
