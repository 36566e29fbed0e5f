"""Partitions that come and go while others are read again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError

from pipeline.ingest.kafka.cameras import TopicCameras
from pipeline.ingest.kafka.consumer import TopicConsumer
from pipeline.ingest.kafka.marks import CameraMark, PartitionId, PartitionMark
from pipeline.ingest.kafka.message import RawMessage
from pipeline.ingest.kafka.partition import Partition
from pipeline.ingest.kafka.polling import Poll
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.kafka_settings import KafkaMisconfigured
from pipeline.sinks.errors import SinkRefused
from stages.values import CameraId, Position
from tests.stopwatch import Stopwatch


class Brokers:
    """What aiokafka's consumer knows of the assignment."""

    def __init__(self, *partitions: int) -> None:
        self.assigned = {TopicPartition("frames", number) for number in partitions}
        self.read: set[TopicPartition] = set()
        self.committed: dict[TopicPartition, int] = {}
        self.takes_commits = True
        self.asked: list[set[int]] = []
        self.begin = 0  # older messages are deleted
        self.sought: dict[int, int] = {}

    async def position(self, tp: TopicPartition) -> int:
        return 0

    async def getmany(self, *partitions: TopicPartition, timeout_ms: int, max_records: int) -> dict[Any, Any]:
        self.asked.append({tp.partition for tp in partitions})
        return {}

    def pause(self, tp: TopicPartition) -> None:
        self._check(tp)
        self.read.discard(tp)

    def resume(self, tp: TopicPartition) -> None:
        self._check(tp)
        self.read.add(tp)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._check(tp)
        self.sought[tp.partition] = offset

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.begin)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if not self.takes_commits:
            raise KafkaConnectionError
        self.committed |= offsets

    def _check(self, tp: TopicPartition) -> None:
        if tp not in self.assigned:
            raise IllegalStateError(f"no current assignment for {tp}")


class Marks:
    """Kept in memory."""

    def __init__(self) -> None:
        self.kept: dict[int, PartitionMark] = {}

    async def load(self) -> dict[int, PartitionMark]:
        return dict(self.kept)

    async def store(self, marks: Mapping[int, PartitionMark]) -> None:
        self.kept |= marks

    async def close(self) -> None:
        pass


class Subject:
    """A consumer that has these partitions; `on_close` hears of each that is closed."""

    def __init__(self, brokers: Brokers, **settings: Any) -> None:
        self.brokers = brokers
        self.on_close: Any = lambda partition: None
        self.opened: list[int] = []
        self.refuses = ""
        self.places: dict[CameraId, Position | None] = {}
        self.marks: Any = Marks()
        self.cameras = TopicCameras(lambda *_: None)
        self.consumer: Any = TopicConsumer(
            "frames", TopicSettings(brokers=("nowhere:9092",), **settings), self.cameras, self.marks,
            self._places, self._opened, lambda partition: self.on_close(partition), lambda partition: 0,
        )  # fmt: skip
        self.consumer._consumer = brokers

    def _opened(self, partition: Partition) -> None:
        self.opened.append(partition.identity.partition)

    async def _places(self) -> Mapping[CameraId, Position | None]:
        if self.refuses:
            raise SinkRefused(self.refuses)
        return self.places

    async def open(self) -> None:
        await self.consumer.on_partitions_assigned(self.brokers.assigned)
        await self.consumer._open_waiting(self.brokers)

    def numbers(self) -> list[int]:
        return sorted(partition.identity.partition for partition in self.consumer.partitions)


@pytest.fixture
async def subject() -> Any:
    made = Subject(Brokers(0, 1))
    await made.open()
    assert made.numbers() == [0, 1]
    yield made
    await made.consumer.hold(5.0)


@pytest.mark.parametrize("goes", [0, 1])
async def test_a_partition_that_is_revoked_while_it_is_to_be_read_again_is_let_go(subject: Subject, goes: int) -> None:
    consumer, revoking = subject.consumer, []
    tp = TopicPartition("frames", goes)

    def revoke(partition: Partition) -> None:
        subject.on_close = lambda _: None
        revoking.append(asyncio.ensure_future(consumer.on_partitions_revoked([tp])))

    subject.on_close = revoke
    for number in (0, 1):
        consumer.reread(number)
    await consumer._open_waiting(subject.brokers)
    await asyncio.gather(*revoking)
    subject.brokers.assigned.discard(tp)
    await consumer._open_waiting(subject.brokers)
    assert subject.numbers() == [1 - goes]
    assert consumer._to_open == {}


async def test_a_partition_that_comes_back_is_opened_once(subject: Subject) -> None:
    consumer, tp = subject.consumer, TopicPartition("frames", 1)
    consumer.reread(1)
    await consumer.on_partitions_revoked([tp])
    await consumer.on_partitions_assigned([tp])
    await consumer._open_waiting(subject.brokers)
    assert sorted(subject.opened) == [0, 1, 1]
    assert subject.numbers() == [0, 1]


async def test_a_redis_that_refuses_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    made = Subject(Brokers(0))
    made.refuses = "redis at nowhere: wrong password"
    for _ in range(3):
        await made.open()
    assert [record.levelname for record in caplog.records if "wait for Redis" in record.message] == ["WARNING"]
    made.refuses = ""
    await made.open()
    assert made.numbers() == [0]
    await made.consumer.hold(5.0)


async def test_a_commit_that_failed_is_tried_again_though_nothing_new_came(subject: Subject) -> None:
    subject.brokers.takes_commits = False
    await subject.consumer._keep(subject.consumer.partitions)
    subject.brokers.takes_commits = True
    await subject.consumer._keep(subject.consumer.partitions)
    assert subject.brokers.committed == {TopicPartition("frames", 0): 0, TopicPartition("frames", 1): 0}


async def test_where_another_reader_saw_a_camera_is_heard_though_messages_come(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = CameraId("a")
    subject.marks.kept[7] = PartitionMark(5, 0, 0, {camera: CameraMark(4, 0, (), time.time())})
    monkeypatch.setattr("pipeline.ingest.kafka.consumer.LOOK_S", 0.0)
    await subject.consumer._look_after(subject.brokers, came=True)
    assert subject.cameras.seen_elsewhere(camera, 0) == 7


async def test_a_partition_that_has_its_share_waiting_is_not_asked_and_nothing_fetched_is_thrown_away(
    subject: Subject,
) -> None:
    subject.cameras.apply({CameraId("a"): True})  # paused: nothing is decoded
    full = subject.consumer._partitions[0]
    share = subject.consumer._settings.max_buffered_bytes // 4
    full.feed([RawMessage("frames", 0, n, b"a", bytes(share), (), 1_700_000_000_000) for n in range(2)])
    await subject.consumer._poll(subject.brokers, Poll(subject.brokers))
    assert subject.brokers.asked == [{1}]
    assert subject.brokers.read == subject.brokers.assigned


async def test_where_no_partition_has_room_the_reader_is_still_counted_as_alive(subject: Subject) -> None:
    subject.cameras.apply({CameraId("a"): True})
    share = subject.consumer._settings.max_buffered_bytes // 4
    for partition in subject.consumer.partitions:
        number = partition.identity.partition
        partition.feed([RawMessage("frames", number, n, b"a", bytes(share), (), 1_700_000_000_000) for n in range(2)])
    await subject.consumer._poll(subject.brokers, Poll(subject.brokers))
    assert len(subject.brokers.asked) == 1
    assert not subject.brokers.asked[0] & {0, 1}


@pytest.mark.parametrize(
    ("begin", "offset", "read_from", "cameras", "level"),
    [
        pytest.param(70, 100, 70, True, "WARNING", id="only what decoding begins with"),
        pytest.param(120, 120, 120, False, "ERROR", id="what is unread too"),
    ],
)
async def test_what_was_deleted_costs_no_more_than_it_held(
    begin: int, offset: int, read_from: int, cameras: bool, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    made, camera, tp = Subject(Brokers(0)), CameraId("a"), TopicPartition("frames", 0)
    made.marks.kept[0] = PartitionMark(100, 10, 0, {camera: CameraMark(99, 0, (40, 50), 1.0)})
    made.places[camera] = PartitionId("frames", 0).position(99, 0)
    await made.open()
    assert made.brokers.sought == {0: 50}
    made.brokers.begin = begin
    await made.consumer._out_of_range(made.brokers, {tp: 50})
    await made.consumer._open_waiting(made.brokers)
    mark = made.consumer.partitions[0].mark()
    assert (mark.offset, mark.began, made.brokers.sought[0]) == (offset, begin, read_from)
    assert (camera in mark.cameras) is cameras
    assert [r.levelname for r in caplog.records if "deleted" in r.message] == [level]
    await made.consumer.hold(5.0)


async def test_tries_come_quickly_again_once_the_brokers_were_reached(subject: Subject) -> None:
    delays = [next(subject.consumer._delays) for _ in range(8)]
    assert delays[-1] > 3
    await subject.consumer._look_after(subject.brokers, came=True)
    assert next(subject.consumer._delays) < 0.3


async def test_what_only_a_person_can_mend_is_an_error_and_the_cameras_say_it(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    secret = tmp_path / "gone"
    made = Subject(Brokers(0), security_protocol="SASL_SSL", sasl_mechanism="PLAIN", username="u", password_file=secret)
    made.cameras.apply({CameraId("a"): False})
    with pytest.raises(KafkaMisconfigured) as raised:
        made.consumer._settings.client_arguments()
    for _ in range(2):
        await made.consumer._tell_why(raised.value)
    assert [r.levelname for r in caplog.records if str(secret) in r.message] == ["ERROR"]
    assert str(secret) in (made.cameras.status(CameraId("a")).last_error or "")


async def test_partitions_are_closed_all_at_once(subject: Subject) -> None:
    ended: list[int] = []
    for partition in subject.consumer.partitions:
        join = partition.close
        partition.close = lambda timeout_s, join=join: (ended.append(_ended(subject)), join(timeout_s))
    await subject.consumer.hold(5.0)
    assert ended == [2, 2]


class Hanging:
    """A decoder whose call does not return before `go`."""

    holds_state = began = False

    def __init__(self) -> None:
        self.entered, self.go = threading.Event(), threading.Event()

    def decode(self, message: RawMessage) -> list[Any]:
        self.entered.set()
        self.go.wait(30)
        return []

    def close(self) -> None:
        pass


async def test_a_decoder_that_hangs_keeps_nobody_longer_than_is_waited_for_it(
    subject: Subject, stopwatch: Stopwatch
) -> None:
    camera, decoder, partition = CameraId("a"), Hanging(), subject.consumer._partitions[0]
    subject.cameras.apply({camera: False})
    partition._decoders[camera] = decoder
    partition.feed([RawMessage("frames", 0, 0, b"a", b"x", (), 1_700_000_000_000)])
    assert await asyncio.to_thread(decoder.entered.wait, 10)
    stopwatch.restart()
    await subject.consumer.hold(0.1)
    assert stopwatch.seconds < 2  # the decoder hangs for 30
    decoder.go.set()


def _ended(subject: Subject) -> int:
    return sum(partition._closed.is_set() for partition in subject.consumer.partitions)
