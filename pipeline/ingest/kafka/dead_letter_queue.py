"""Sends refused messages to the topic of dead letters; waits for the brokers as long as it takes."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from pipeline.ingest.backoff import backoff_delays
from pipeline.ingest.kafka.dead_letters import dead_letter
from pipeline.ingest.kafka.message import MessageRefused, RawMessage
from pipeline.ingest.kafka.topic_settings import TopicSettings

logger = logging.getLogger(__name__)

_ROOM = 100_000  # bytes a request has beside the message
_SMALLEST = 1000
_LOOK_S = 0.2


class DeadLetterQueue:
    """One producer, made with the first message. All but `put` belongs to the loop it is made on."""

    def __init__(self, topic: str, settings: TopicSettings, wall: Callable[[], float] = time.time) -> None:
        self._topic = topic
        self._settings = settings
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    def put(self, message: RawMessage, refused: MessageRefused, given_up: threading.Event) -> bool:
        """From another thread: True once the brokers have it; False where `given_up` was set before."""
        sending = asyncio.run_coroutine_threadsafe(self.send(message, refused), self._loop)
        while not given_up.is_set():
            try:
                sending.result(_LOOK_S)
            except TimeoutError:
                continue
            return True
        sending.cancel()
        return False

    async def send(self, message: RawMessage, refused: MessageRefused) -> None:
        """Returns when the brokers have it, in as many attempts as that takes."""
        most_bytes = self._settings.dead_letter_max_bytes
        told = False
        for delay_s in backoff_delays(first_s=0.2, most_s=5.0):
            try:
                producer = await self._started()
                key, value, headers = dead_letter(message, refused, self._wall(), most_bytes)
                await producer.send_and_wait(self._topic, value, key=key, headers=list(headers))
            except MessageSizeTooLargeError:
                if most_bytes <= _SMALLEST:
                    raise
                most_bytes = _SMALLEST  # the topic takes less than its setting says: without its bytes then
            except KafkaError as exc:
                if not told:
                    told = True
                    logger.warning("topic %s: a dead letter waits: %s", self._topic, exc)
                await asyncio.sleep(delay_s)
            else:
                logger.info(
                    "%s/%d offset %d is a dead letter: %s", message.topic, message.partition, message.offset, refused
                )
                return

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
