"""The drill's topic: numbered pictures sent to a Kafka broker at a steady pace, message n with the number n."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

import cv2
from aiokafka import AIOKafkaProducer

from tests.numbered import numbered_picture

TOPIC = "frames"
CAMERA = "topic"  # the key of its messages


class Sender:
    """Sends from a thread of its own inside the block; while the broker is cut off it waits and skips no number."""

    def __init__(self, address: str, fps: float) -> None:
        self._address = address
        self._every_s = 1 / fps
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send()), name="sender", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(10)

    async def _send(self) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._address, acks="all") as producer:
            number = 0
            while not self._stopped.is_set():
                picture = cv2.imencode(".jpg", numbered_picture(number, 320, 192))[1].tobytes()
                await producer.send_and_wait(TOPIC, picture, key=CAMERA.encode())
                number += 1
                await asyncio.sleep(self._every_s)
