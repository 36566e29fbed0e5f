"""The dead letters of a topic, in Kafka: read them, and send messages back to where they came from."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.ingest.kafka.dead_letters import DeadLetter, NotADeadLetter, parse, redriven
from pipeline.ingest.kafka.message import Refusal, raw_message
from pipeline.kafka_probe import told
from pipeline.kafka_settings import KafkaConnection
from stages.errors import RaylineError

ANSWER_S = 5.0  # longest wait for any one answer of the brokers
COMMIT_EVERY = 50
_CLOSE_S = 1.0
_SLOWEST_BYTES_PER_S = 1e6  # a large message is given longer
_POLL_MS = 500
_FETCH_WAIT_MS = 20  # whatever else is asked waits behind a fetch
_CODES = frozenset(code.value for code in Refusal)
_LARGEST_BYTES = 1 << 30  # of one record: what may be is the brokers' to say
_FETCH_BYTES = 32 * 2**20


class KafkaAway(RaylineError):
    """The brokers did not answer, or not well; the text says what was tried."""


class NoSuchTopic(RaylineError):
    """There is no such topic; of dead letters there is none before the first."""


@dataclass(frozen=True, slots=True)
class DeadLetterTopics:
    """A topic, where its dead letters go, and how to reach both."""

    topic: str
    dead_letter_topic: str
    group: str  # the consumer group that reads the topic
    connection: KafkaConnection

    def client(self) -> dict[str, Any]:
        """Arguments of aiokafka's clients; may hold a password. Raises KafkaMisconfigured."""
        return self.connection.client_arguments()

    def redrive_group(self, code: str | None) -> str:
        """The group that remembers how far messages were sent back: all of them, or those of one code."""
        return f"{self.group}-redrive" + (f".{code}" if code else "")


@dataclass(slots=True)
class Redriven:
    """What a redrive did."""

    sent: int = 0
    cut: int = 0  # whose bytes were not kept
    strange: int = 0  # that are no dead letters


async def newest(topics: DeadLetterTopics, limit: int) -> list[DeadLetter]:
    """The latest dead letters, latest last, without their messages' bytes. Raises KafkaAway or NoSuchTopic."""
    found: list[tuple[str, int, int, DeadLetter]] = []
    async with _consumer(topics) as consumer:
        for at in await _partitions(consumer, topics.dead_letter_topic):
            begin, end = await _ends(consumer, at)
            async for record in _records(consumer, at, max(begin, end - limit), end):
                letter = _letter(record)
                if letter is not None:
                    item = (letter.failed_at, letter.partition, letter.offset, letter.without_value())
                    (heapq.heappushpop if len(found) >= limit else heapq.heappush)(found, item)
    return [item[-1] for item in sorted(found, key=lambda item: item[:3])]


async def redrive(topics: DeadLetterTopics, code: str | None = None) -> Redriven:
    """Sends back what was not sent back yet, of one code or all. Raises KafkaAway or NoSuchTopic.

    How far it came is committed, for each code by itself and for all: a second run goes on behind it. Killed between a
    send and its commit, at most the last COMMIT_EVERY are sent twice.
    """
    done = Redriven()
    try:
        async with _consumer(topics, topics.redrive_group(code)) as consumer, _producer(topics) as producer:
            run = _Run(topics, consumer, producer, code, done)
            for at in await _partitions(consumer, topics.dead_letter_topic):
                await run.partition(at)
    except KafkaAway as exc:
        raise KafkaAway(f"{exc}; {done.sent} messages had been sent back") from None
    return done


async def redrive_these(topics: DeadLetterTopics, partition: int, offsets: Collection[int]) -> Redriven:
    """Sends these back, whether they were before or not; nothing is remembered. Raises KafkaAway or NoSuchTopic."""
    done = Redriven()
    async with _consumer(topics) as consumer, _producer(topics) as producer:
        at = TopicPartition(topics.dead_letter_topic, partition)
        if at not in await _partitions(consumer, topics.dead_letter_topic):
            raise NoSuchTopic(f"topic {topics.dead_letter_topic} has no partition {partition}")
        begin, end = await _ends(consumer, at)
        for offset in sorted(set(offsets)):
            if not begin <= offset < end:
                raise NoSuchTopic(f"{at.topic}/{partition} holds offsets {begin} to {end - 1}, and no {offset}")
            async for record in _records(consumer, at, offset, offset + 1):
                await _send_back(producer, _letter(record), done)
    return done


class _Run:
    """One redrive of all, or of one code, that remembers how far it came."""

    def __init__(
        self, topics: DeadLetterTopics, consumer: Any, producer: Any, code: str | None, done: Redriven
    ) -> None:
        self._topics = topics
        self._consumer = consumer
        self._producer = producer
        self._code = code
        self._done = done
        self._others: dict[tuple[str | None, int], int] = {}

    async def partition(self, at: Any) -> None:
        begin, end = await _ends(self._consumer, at)
        begin = max(begin, await _committed(self._consumer, at))
        if self._code is not None:
            begin = max(begin, await self._other(None, at))
        position = committed = begin
        try:
            async for record in _records(self._consumer, at, begin, end):
                letter = _letter(record)
                if letter is None or await self._is_wanted(letter, at):
                    await _send_back(self._producer, letter, self._done)
                position = record.offset + 1
                if position - committed >= COMMIT_EVERY:
                    committed = await _commit(self._consumer, at, position, ANSWER_S)
        finally:
            if position > committed:
                await _commit(self._consumer, at, position, _CLOSE_S)

    async def _is_wanted(self, letter: DeadLetter, at: Any) -> bool:
        """False for one of another code, and where all are sent, for one that a redrive of its code came past."""
        if self._code is not None:
            return letter.code == self._code
        return letter.code not in _CODES or letter.offset >= await self._other(letter.code, at)

    async def _other(self, code: str | None, at: Any) -> int:
        """The first offset that redrives of all, or of another code, have not come to."""
        key = (code, at.partition)
        if key not in self._others:
            async with _consumer(self._topics, self._topics.redrive_group(code)) as consumer:
                self._others[key] = await _committed(consumer, at)
        return self._others[key]


async def _send_back(producer: Any, letter: DeadLetter | None, done: Redriven) -> None:
    if letter is None:
        done.strange += 1
        return
    if letter.is_cut:
        done.cut += 1
        return
    key, value, headers = redriven(letter)
    message = letter.message
    async with asyncio.timeout(ANSWER_S + len(value or b"") / _SLOWEST_BYTES_PER_S):
        # To its own partition: a camera whose messages stand in two has no order any more.
        known = await producer.partitions_for(message.topic)
        await producer.send_and_wait(
            message.topic,
            value,
            key,
            partition=message.partition if message.partition in known else None,
            timestamp_ms=message.timestamp_ms if message.timestamp_ms >= 0 else None,
            headers=list(headers),
        )
    done.sent += 1


# Kafka

_LIBRARY_ERRORS = (KafkaError, OSError, TimeoutError)


@asynccontextmanager
async def _consumer(topics: DeadLetterTopics, group: str | None = None) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        **topics.client(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    async with _started(consumer, topics) as started:
        yield started


@asynccontextmanager
async def _producer(topics: DeadLetterTopics) -> AsyncIterator[Any]:
    async with _started(
        AIOKafkaProducer(**topics.client(), acks="all", max_request_size=_LARGEST_BYTES), topics
    ) as one:
        yield one


@asynccontextmanager
async def _started(client: Any, topics: DeadLetterTopics) -> AsyncIterator[Any]:
    """Kafka's errors, in here, become KafkaAway."""
    try:
        async with asyncio.timeout(ANSWER_S):
            await client.start()
        yield client
    except _LIBRARY_ERRORS as exc:
        quick = min(ANSWER_S, topics.connection.request_timeout_s)
        why, _ = await told(topics.connection.model_copy(update={"request_timeout_s": quick}), exc)
        raise KafkaAway(f"Kafka at {topics.connection.address}: {why}") from None
    finally:
        await _stopped(client)


async def _stopped(client: Any) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await client.stop()
    except _LIBRARY_ERRORS:
        return  # it is away, which is told already where it matters


async def _partitions(consumer: Any, topic: str) -> list[Any]:
    async with asyncio.timeout(ANSWER_S):
        if topic not in await consumer.topics():
            raise NoSuchTopic(f"there is no topic {topic}: it is made with the first dead letter")
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


async def _ends(consumer: Any, at: Any) -> tuple[int, int]:
    """The first offset there is, and the one behind the last."""
    async with asyncio.timeout(ANSWER_S):
        begin, end = await consumer.beginning_offsets([at]), await consumer.end_offsets([at])
    return begin[at], end[at]


async def _committed(consumer: Any, at: Any) -> int:
    async with asyncio.timeout(ANSWER_S):
        return await consumer.committed(at) or 0


async def _records(consumer: Any, at: Any, begin: int, end: int) -> AsyncIterator[Any]:
    """Those of one partition from `begin` on and before `end`. Raises KafkaAway where nothing comes for ANSWER_S."""
    if begin >= end:
        return
    consumer.assign([at])
    consumer.seek(at, begin)
    waited_s = 0.0
    while await consumer.position(at) < end:
        records: list[ConsumerRecord] = (await consumer.getmany(at, timeout_ms=_POLL_MS)).get(at, [])
        for record in records:
            if record.offset < end:
                yield record
        waited_s = 0.0 if records else waited_s + _POLL_MS / 1000
        if waited_s >= ANSWER_S:
            raise TimeoutError


async def _commit(consumer: Any, at: Any, position: int, timeout_s: float) -> int:
    async with asyncio.timeout(timeout_s):
        await consumer.commit({at: position})
    return position


def _letter(record: Any) -> DeadLetter | None:
    """None for what is none."""
    try:
        return parse(raw_message(record))
    except NotADeadLetter:
        return None
