"""A consumer of one topic: partitions come and go, each is read on from where Redis stands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError, KafkaError, OffsetOutOfRangeError

from pipeline.ingest.backoff import backoff_delays
from pipeline.ingest.kafka.cameras import TopicCameras
from pipeline.ingest.kafka.dead_letter_queue import DeadLetterQueue
from pipeline.ingest.kafka.marks import PartitionId, PartitionMark, Resume, TopicMarks, moved, resume
from pipeline.ingest.kafka.message import raw_message
from pipeline.ingest.kafka.partition import Partition
from pipeline.ingest.kafka.polling import Poll
from pipeline.ingest.kafka.topic_settings import StartAt, TopicSettings
from pipeline.kafka_probe import told
from pipeline.kafka_settings import KafkaMisconfigured
from pipeline.sinks.errors import SinkUnavailable
from stages.values import CameraId, Position

logger = logging.getLogger(__name__)

KEEP_S = 1.0  # between two times that marks and commits are written
LOOK_S = 5.0  # between two looks where other readers are, and, when nothing comes, whether the brokers answer
ANSWER_S = 3.0  # longest wait for that
ASKED_AGAIN_S = 30.0  # between two times that brokers are asked why they let nobody in: each is a login
REVOKED_S = 5.0  # longest wait for what is under way when partitions go
SESSION_S = 6.0  # a reader that died is missed so soon; the least that brokers allow by default
REBALANCE_S = 30.0  # a reader that is slower to give its partitions up is out; more than two REVOKED_S and ANSWER_S
_LEAST_FETCH = 2**20


class TopicConsumer(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Keeps a hand-over per partition filled. All methods run on one loop.

    `on_open` and `on_close` are told of a partition's hand-over; `in_flight` how many frames of a partition are in the
    graph. `places` gives how far Redis holds each camera of the topic, None: nothing; those it cannot ask are left out.
    """

    def __init__(
        self,
        topic: str,
        settings: TopicSettings,
        cameras: TopicCameras,
        marks: TopicMarks,
        places: Callable[[], Awaitable[Mapping[CameraId, Position | None]]],
        on_open: Callable[[Partition], None],
        on_close: Callable[[Partition], None],
        in_flight: Callable[[Partition], int],
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._cameras = cameras
        self._marks = marks
        self._places = places
        self._on_open = on_open
        self._on_close = on_close
        self._in_flight = in_flight
        self._partitions: dict[int, Partition] = {}
        self._to_reread: set[int] = set()
        self._leaving: set[int] = set()  # they were revoked, or are being so: nothing of them is opened any more
        self._to_open: dict[int, PartitionMark | None] = {}  # None: its mark is in Redis
        self._kept: dict[int, PartitionMark] = {}
        self._committed: dict[int, int] = {}
        self._kept_at = self._looked_at = self._heard_at = time.monotonic()
        self._dead_letters = DeadLetterQueue(settings.dead_letters_of(topic), settings, cameras.held)
        self._consumer: AIOKafkaConsumer | None = None
        self._delays = _fresh_delays()
        self._is_away = self._is_helpless = False
        self._why: tuple[float, tuple[str, bool]] | None = (
            None  # when the brokers themselves were asked, and the answer
        )
        self._waits_for = ""  # what was last told of Redis being away

    @property
    def partitions(self) -> list[Partition]:
        """Those this reader has now."""
        return list(self._partitions.values())

    async def run(self) -> None:
        """Reads until cancelled, through every absence of brokers and of Redis."""
        while True:
            try:
                await self._read()
            except (KafkaError, KafkaMisconfigured) as exc:
                await self._tell_why(exc)
            await asyncio.sleep(next(self._delays))

    async def hold(self, timeout_s: float) -> None:
        """Hands no more over; what is under way may land. Decoding that takes longer than that is left to itself."""
        await self._close_all(self.partitions, timeout_s)

    async def close(self) -> None:
        """Keeps where it stands and lets go of the brokers; behind `hold`, and once `run` has ended."""
        try:
            await self._dead_letters.close()
        finally:
            await self._marks.close()

    def reread(self, number: int) -> None:
        """Redis lost frames of this partition: it goes back to where that stands, before the next poll."""
        self._to_reread.add(number)

    # Partitions come and go; called by aiokafka

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing is fetched before it is known from where; that waits for Redis, and this must not."""
        if (consumer := self._consumer) is None:
            return
        for tp in assigned:
            consumer.seek(tp, 0)
            consumer.pause(tp)
            self._leaving.discard(tp.partition)
            self._to_open[tp.partition] = None

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Stop handing over, wait for what is under way, keep how far it came."""
        numbers = [tp.partition for tp in revoked]
        self._leaving.update(numbers)
        for number in numbers:
            self._to_open.pop(number, None)
        gone = [self._partitions[number] for number in numbers if number in self._partitions]
        await self._close_all(gone)
        await self._landed(gone)
        await self._keep(gone)
        for partition in gone:
            self._partitions.pop(partition.identity.partition, None)
            self._kept.pop(partition.identity.partition, None)
            self._committed.pop(partition.identity.partition, None)

    async def _landed(self, partitions: list[Partition]) -> None:
        deadline = time.monotonic() + REVOKED_S
        while any(map(self._in_flight, partitions)) and time.monotonic() < deadline:  # noqa: ASYNC110 - answers wake nobody
            await asyncio.sleep(0.02)

    async def _close(self, partition: Partition) -> None:
        await self._close_all([partition])

    async def _close_all(self, partitions: list[Partition], timeout_s: float = REVOKED_S) -> None:
        """All at once, within that time however many there are."""
        for partition in partitions:
            self._on_close(partition)
            partition.end()
        await asyncio.to_thread(_join, partitions, time.monotonic() + timeout_s)

    # Reading

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.client_arguments(),
            group_id=self._settings.group,
            enable_auto_commit=False,
            auto_offset_reset="none",  # never begins anywhere by itself
            session_timeout_ms=round(SESSION_S * 1000),
            rebalance_timeout_ms=round(REBALANCE_S * 1000),
            heartbeat_interval_ms=round(SESSION_S * 1000 / 3),
            fetch_max_bytes=max(_LEAST_FETCH, self._settings.max_buffered_bytes // 4),
            max_partition_fetch_bytes=max(_LEAST_FETCH, self._settings.max_buffered_bytes // 32),
        )
        self._consumer = consumer
        consumer.subscribe([self._topic], listener=self)
        try:
            await consumer.start()
            self._looked_at = time.monotonic()
            poll = Poll(consumer)
            while True:
                await self._poll(consumer, poll)
        finally:
            await self._let_go(consumer)

    async def _let_go(self, consumer: AIOKafkaConsumer) -> None:
        """Leaves the group; the marks of what it had are kept by `on_partitions_revoked`, or here."""
        rest = self.partitions
        await self._close_all(rest)
        try:
            await self._keep(rest)
        finally:
            self._partitions.clear()
            self._kept.clear()
            self._committed.clear()
            self._to_open.clear()
            self._to_reread.clear()
            self._leaving.clear()
            self._consumer = None
            await consumer.stop()

    async def _poll(self, consumer: AIOKafkaConsumer, poll: Poll) -> None:
        await self._open_waiting(consumer)
        try:
            records = await poll.take(self._with_room())
        except OffsetOutOfRangeError as exc:
            await self._out_of_range(consumer, exc.args[0])
            return
        for tp, found in records.items():
            partition = self._partitions.get(tp.partition)
            if partition is not None and tp.partition not in self._to_open:
                partition.feed([raw_message(record) for record in found])
        await self._look_after(consumer, came=bool(records))

    async def _open_waiting(self, consumer: AIOKafkaConsumer) -> None:
        """Partitions that were assigned, or are to be read again, begin; where Redis is away they wait."""
        while self._to_reread:
            number = self._to_reread.pop()
            if number in self._partitions:
                logger.warning("partition %s/%d: Redis lost frames of it; it is read again", self._topic, number)
                await self._take_back(consumer, number, lambda mark: mark)
        if not self._to_open:
            return
        try:
            places = await self._places()
            stored = await self._marks.load()
            # All of them before any is fetched from: brokers answer nothing else while they wait for messages.
            marks = {
                number: mark or stored.get(number) or await self._first(consumer, number, places)
                for number, mark in list(self._to_open.items())
            }
            gone = moved(stored | self._marks_here() | marks)
            begin = {n: resume(mark, self._identity(n, mark), places, gone[n]) for n, mark in marks.items()}
            await self._marks.store({number: its.mark for number, its in begin.items()})
        except SinkUnavailable as exc:
            if str(exc) != self._waits_for:  # once, for it is tried several times a second
                self._waits_for = str(exc)
                logger.warning("topic %s: its partitions wait for Redis: %s", self._topic, exc)
            return
        self._waits_for = ""
        for number, its in begin.items():
            self._open(consumer, number, its)

    def _marks_here(self) -> dict[int, PartitionMark]:
        """Of the partitions this reader has: newer than those in Redis."""
        return {number: partition.mark() for number, partition in self._partitions.items()}

    async def _take_back(
        self, consumer: AIOKafkaConsumer, number: int, onward: Callable[[PartitionMark], PartitionMark]
    ) -> None:
        """Hands no more of it over; it is opened anew `onward` of how far it came, unless it goes meanwhile."""
        partition = self._partitions[number]
        try:
            consumer.pause(self._tp(number))
        except IllegalStateError:
            return  # it is being revoked
        await self._close(partition)
        if self._partitions.get(number) is partition and number not in self._leaving:
            del self._partitions[number]
            self._to_open[number] = onward(partition.mark())

    def _open(self, consumer: AIOKafkaConsumer, number: int, begin: Resume) -> None:
        if number not in self._to_open or number in self._leaving:  # revoked meanwhile
            return
        del self._to_open[number]
        try:
            consumer.seek(self._tp(number), begin.read_from)
            consumer.resume(self._tp(number))
        except IllegalStateError:
            logger.debug("partition %d went before it was read", number)
            return
        identity = self._identity(number, begin.mark)
        partition = Partition(identity, self._settings, self._cameras, begin, self._dead_letters.put)
        self._partitions[number] = partition
        partition.start()
        self._on_open(partition)
        logger.info("partition %s is read from offset %d", identity.key, begin.read_from)

    def _identity(self, number: int, mark: PartitionMark) -> PartitionId:
        return PartitionId(self._topic, number, mark.generation)

    async def _first(
        self, consumer: AIOKafkaConsumer, number: int, places: Mapping[CameraId, Position | None]
    ) -> PartitionMark:
        """Of a partition that has no mark: where the settings say, or where its cameras stand, if they do."""
        tp, source = self._tp(number), PartitionId(self._topic, number).source
        if self._settings.start_at is StartAt.EARLIEST:
            offset = (await consumer.beginning_offsets([tp]))[tp]
        else:
            stand = [place.major for place in places.values() if place is not None and place.source == source]
            offset = min(stand, default=(await consumer.end_offsets([tp]))[tp])
        return PartitionMark(offset, offset)

    async def _out_of_range(self, consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
        """What is to be read is not there: it was deleted before we came to it, or the topic was made anew."""
        begins = await consumer.beginning_offsets(list(offsets))
        for tp, wanted in offsets.items():
            if tp.partition not in self._partitions:
                continue
            begin, here = begins[tp], self._partitions[tp.partition]
            onward = partial(_from_the_beginning, begin, 0)
            if wanted < begin <= here.mark().offset:
                logger.warning(
                    "partition %s/%d: messages %d to %d were deleted, with which decoding would begin: coded video may "
                    "be refused up to its next keyframe", self._topic, tp.partition, wanted, begin - 1,
                )  # fmt: skip
                onward = partial(_without_what_is_before, begin)
            elif wanted < begin:
                logger.error(
                    "partition %s/%d: messages %d to %d were deleted before they were read: keep them longer",
                    self._topic, tp.partition, wanted, begin - 1,
                )  # fmt: skip
            else:
                logger.error(
                    "partition %s/%d: it has no message %d any more: the topic was made anew, or its log was cut short "
                    "(an unclean election of a leader); it is read afresh", self._topic, tp.partition, wanted,
                )  # fmt: skip
                onward = partial(_from_the_beginning, begin, 1)
            await self._take_back(consumer, tp.partition, onward)

    def _with_room(self) -> list[TopicPartition]:
        """Those that have less than their share of bytes waiting. What was fetched of others stays with the client.

        Together they hold half of what may be; the client holds at most one fetch of each beside it.
        """
        share = self._settings.max_buffered_bytes / 2 / max(1, len(self._partitions))
        return [self._tp(number) for number, one in self._partitions.items() if one.queued_bytes < share]

    # What is done now and then

    async def _look_after(self, consumer: AIOKafkaConsumer, *, came: bool) -> None:
        now = time.monotonic()
        for partition in self.partitions:
            if partition.error is not None:
                raise partition.error
        if came:
            self._looked_at = now
            self._back()
        elif now - self._looked_at >= LOOK_S:
            await self._look(consumer)
            self._looked_at = time.monotonic()
        if now - self._heard_at >= LOOK_S:
            self._heard_at = now
            await self._hear_of_others()
        if now - self._kept_at >= KEEP_S:
            self._kept_at = now
            await self._keep(self.partitions)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                topics = await consumer.topics()
        except (KafkaError, TimeoutError) as exc:
            await self._tell_why(exc)
            return
        if self._topic not in topics:
            self._away(f"{self._settings.address} has no topic {self._topic!r}")
            return
        self._back()

    async def _hear_of_others(self) -> None:
        """Which cameras other readers saw, and where."""
        try:
            for number, mark in (await self._marks.load()).items():
                if number not in self._partitions:
                    for camera_id, its in mark.cameras.items():
                        self._cameras.note_place(camera_id, number, its.seen_at)
        except SinkUnavailable:
            logger.debug("where others read is not known: Redis is away")

    async def _keep(self, partitions: list[Partition]) -> None:
        """Marks to Redis, and offsets to Kafka, where they only show how far behind we are."""
        marks = {partition.identity.partition: partition.mark() for partition in partitions}
        news = {number: mark for number, mark in marks.items() if self._kept.get(number) != mark}
        try:
            await self._marks.store(news)
        except SinkUnavailable as exc:
            logger.debug("topic %s: its marks wait for Redis: %s", self._topic, exc)
            return
        self._kept |= news
        offsets = {n: mark.offset for n, mark in marks.items() if self._committed.get(n) != mark.offset}
        if (consumer := self._consumer) is None or not offsets:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                await consumer.commit({self._tp(n): offset for n, offset in offsets.items()})
        except (KafkaError, TimeoutError) as exc:
            logger.debug("topic %s: not committed, which is for show: %s", self._topic, exc)
            return
        self._committed |= offsets

    async def _tell_why(self, exc: BaseException) -> None:
        """Why nothing can be read; where the client does not know, the brokers are asked, but not at each try."""
        quick = self._settings.model_copy(update={"request_timeout_s": min(ANSWER_S, self._settings.request_timeout_s)})
        if not isinstance(exc, KafkaConnectionError):
            why, helpless = await told(quick, exc)
        else:
            if self._why is None or time.monotonic() - self._why[0] >= ASKED_AGAIN_S:
                self._why = time.monotonic(), await told(quick, exc)
            why, helpless = self._why[1]
        self._away(f"{self._settings.address}: {why}", helpless=helpless)

    def _away(self, why: str, *, helpless: bool = False) -> None:
        """`helpless`: a person must act."""
        if not self._is_away or (helpless and not self._is_helpless):
            level = logging.ERROR if helpless else logging.WARNING
            logger.log(level, "topic %s cannot be read, it is tried again until it can: %s", self._topic, why)
        self._is_away, self._is_helpless = True, helpless or self._is_helpless
        self._cameras.away(why)

    def _back(self) -> None:
        self._delays, self._why = _fresh_delays(), None
        if self._is_away:
            self._is_away = self._is_helpless = False
            logger.warning("topic %s is read again", self._topic)
        self._cameras.back()

    def _tp(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)


def _fresh_delays() -> Iterator[float]:
    return backoff_delays(first_s=0.2, most_s=5.0)


def _from_the_beginning(begin: int, made_anew: int, mark: PartitionMark) -> PartitionMark:
    return PartitionMark(begin, begin, mark.generation + made_anew)


def _without_what_is_before(begin: int, mark: PartitionMark) -> PartitionMark:
    """As far as before; decoding that would begin earlier begins there."""
    cameras = {
        camera_id: replace(its, keyframes=tuple(sorted({max(k, begin) for k in its.keyframes})))
        for camera_id, its in mark.cameras.items()
    }
    return replace(mark, began=max(mark.began, begin), cameras=cameras)


def _join(partitions: list[Partition], deadline: float) -> None:
    for partition in partitions:
        partition.close(max(0.0, deadline - time.monotonic()))
