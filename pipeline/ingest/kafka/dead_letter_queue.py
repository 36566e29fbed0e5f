"""Sends refused messages to the topic of dead letters; waits for the brokers as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import wait

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    MessageSizeTooLargeError,
    ProducerClosed,
)

from pipeline.ingest.backoff import backoff_delays
from pipeline.ingest.kafka.dead_letters import dead_letter
from pipeline.ingest.kafka.message import MessageRefused, RawMessage
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.kafka_probe import told
from pipeline.kafka_settings import KafkaMisconfigured

logger = logging.getLogger(__name__)

SAY_S = 60.0
_ROOM = 100_000  # bytes a request has beside the message
_SMALLEST = 1000
_LOOK_S = 0.2
_PASSING = (KafkaTimeoutError, KafkaUnavailableError, ProducerClosed)  # which aiokafka does not call retriable


class DeadLetterQueue:
    """One producer, made with the first message. All but `put` belongs to the loop it is made on.

    `on_waiting` hears which partition waits for its dead letter, and why; now and then, as long as it does.
    """

    def __init__(
        self,
        topic: str,
        settings: TopicSettings,
        on_waiting: Callable[[int, str], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._topic = topic
        self._settings = settings
        self._on_waiting = on_waiting
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._unsaid: Counter[str] = Counter()  # code -> dead letters since the log told
        self._say_from: dict[str, float] = {}
        self._say_waiting_from: dict[int, float] = {}  # by partition

    def put(self, message: RawMessage, refused: MessageRefused, given_up: threading.Event) -> bool:
        """From another thread: True once the brokers have it; False where `given_up` was set before."""
        sending = asyncio.run_coroutine_threadsafe(self.send(message, refused), self._loop)
        while not given_up.is_set():
            done, _ = wait([sending], _LOOK_S)
            if done:
                sending.result()
                return True
        sending.cancel()
        return False

    async def send(self, message: RawMessage, refused: MessageRefused) -> None:
        """Returns when the brokers have it, in as many attempts as that takes."""
        most_bytes = self._settings.dead_letter_max_bytes
        for delay_s in backoff_delays(first_s=0.2, most_s=5.0):
            try:
                producer = await self._started()
                key, value, headers = dead_letter(message, refused, self._wall(), most_bytes)
                await producer.send_and_wait(self._topic, value, key=key, headers=list(headers))
            except (KafkaError, KafkaMisconfigured, TimeoutError) as exc:
                if isinstance(exc, MessageSizeTooLargeError) and most_bytes > _SMALLEST:
                    most_bytes = _SMALLEST  # the topic takes less than its setting says: without its bytes then
                    continue
                await self._say_waiting(message, exc)
                await asyncio.sleep(delay_s)
            else:
                self._say_waiting_from.pop(message.partition, None)
                self._say(message, refused)
                return

    async def _say_waiting(self, message: RawMessage, exc: Exception) -> None:
        """At once, then each SAY_S: its partition waits with it."""
        now = time.monotonic()
        if now < self._say_waiting_from.get(message.partition, 0.0):
            return
        self._say_waiting_from[message.partition] = now + SAY_S
        why, helpless = await told(self._settings, exc)
        text = f"partition {message.topic}/{message.partition} waits, no dead letter can go to {self._topic}: {why}"
        logger.log(logging.ERROR if helpless or _is_lasting(exc) else logging.WARNING, "%s", text)
        self._on_waiting(message.partition, text)

    def _say(self, message: RawMessage, refused: MessageRefused) -> None:
        """The first of a kind at once, then once a minute with how many there were: a flood must not fill the log."""
        self._unsaid[refused.code] += 1
        now = time.monotonic()
        if now < self._say_from.get(refused.code, 0.0):
            return
        self._say_from[refused.code] = now + SAY_S
        where = f"{message.topic}/{message.partition} offset {message.offset}"
        count = self._unsaid.pop(refused.code)
        logger.warning("dead letters (%s): %d more, the last is %s: %s", refused.code, count, where, refused)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._settings.client_arguments(),
                    acks="all",
                    max_request_size=self._settings.dead_letter_max_bytes + _ROOM,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Lets go of the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()


def _is_lasting(exc: Exception) -> bool:
    """True for what the brokers refuse, and will again; being slow or away passes."""
    return isinstance(exc, KafkaError) and not exc.retriable and not isinstance(exc, _PASSING)
