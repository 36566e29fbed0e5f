"""Dead letters wait for the brokers as long as it takes, and say so."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, TopicAuthorizationFailedError

from pipeline.ingest.kafka.cameras import TopicCameras
from pipeline.ingest.kafka.dead_letter_queue import DeadLetterQueue
from pipeline.ingest.kafka.message import MessageRefused, RawMessage
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.kafka_settings import KafkaMisconfigured
from stages.values import CameraId

MESSAGE = RawMessage("frames", 3, 17, b"a", b"no picture", (), 1_700_000_000_000)
WHY = MessageRefused("not_decodable", "a damaged jpeg")


class Producer:
    """Fails so often in these ways, then takes what comes."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.sent: list[bytes | None] = []

    async def send_and_wait(self, topic: str, value: bytes | None, **_: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(value)


class Queue(DeadLetterQueue):
    """With that producer."""

    def __init__(self, producer: Producer, cameras: TopicCameras) -> None:
        super().__init__("frames.dead-letters", TopicSettings(brokers=("nowhere:9092",)), cameras.held)
        self._with = producer

    async def _started(self) -> Any:
        return self._with


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> TopicCameras:
    monkeypatch.setattr("pipeline.ingest.kafka.dead_letter_queue.backoff_delays", lambda **_: itertools.repeat(0.0))
    cameras = TopicCameras(lambda *_: None)
    cameras.apply({CameraId("a"): False, CameraId("b"): False})
    cameras.seen_elsewhere(CameraId("a"), 3)
    cameras.seen_elsewhere(CameraId("b"), 4)
    return cameras


async def test_what_waiting_does_not_heal_is_an_error_said_again_and_its_partitions_cameras_say_it(
    cameras: TopicCameras, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipeline.ingest.kafka.dead_letter_queue.SAY_S", 0.0)
    producer = Producer(*[TopicAuthorizationFailedError("frames.dead-letters") for _ in range(2)])
    await Queue(producer, cameras).send(MESSAGE, WHY)
    assert producer.sent == [b"no picture"]
    told = [(r.levelname, r.message) for r in caplog.records if "frames/3 waits" in r.message]
    assert [level for level, _ in told] == ["ERROR", "ERROR"]
    assert cameras.status(CameraId("a")).last_error == told[0][1]
    assert cameras.status(CameraId("b")).last_error is None


@pytest.mark.parametrize(
    ("failure", "level"),
    [
        pytest.param(KafkaTimeoutError(), "WARNING", id="slow brokers"),
        pytest.param(TimeoutError(), "WARNING", id="the client's own time limit"),
        pytest.param(KafkaMisconfigured("password_file gone"), "ERROR", id="a password that cannot be read"),
    ],
)
async def test_whatever_keeps_a_dead_letter_it_is_sent_in_the_end(
    failure: Exception, level: str, cameras: TopicCameras, caplog: pytest.LogCaptureFixture
) -> None:
    producer = Producer(failure, failure)
    await Queue(producer, cameras).send(MESSAGE, WHY)
    assert producer.sent == [b"no picture"]
    assert [r.levelname for r in caplog.records if "frames/3 waits" in r.message] == [level]


async def test_a_topic_that_takes_not_even_a_cut_letter_is_waited_for(
    cameras: TopicCameras, caplog: pytest.LogCaptureFixture
) -> None:
    producer = Producer(MessageSizeTooLargeError(), MessageSizeTooLargeError())
    await Queue(producer, cameras).send(MESSAGE, WHY)
    assert len(producer.sent) == 1
    assert [r.levelname for r in caplog.records if "frames/3 waits" in r.message] == ["ERROR"]


async def test_an_error_of_ours_reaches_the_thread_that_waits_and_is_taken_for_no_wait(cameras: TopicCameras) -> None:
    class Odd(Queue):
        async def send(self, message: RawMessage, refused: MessageRefused) -> None:
            raise TimeoutError

    queue, given_up = Odd(Producer(), cameras), threading.Event()
    try:
        with pytest.raises(TimeoutError, match=r"^$"):
            await asyncio.wait_for(asyncio.to_thread(queue.put, MESSAGE, WHY, given_up), 60)
        assert not given_up.is_set()
    finally:
        given_up.set()
