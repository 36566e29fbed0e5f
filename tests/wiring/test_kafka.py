"""A topic through the whole graph: once each, whichever process dies."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import pytest
from aiokafka import AIOKafkaProducer

from tests.kafka_broker import kafka_broker
from tests.numbered import numbered_picture
from tests.redis_server import redis_server
from tests.wiring.processes import processes_called
from tests.wiring.running_line import numbered_config, numbers, running_line

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(150)]

MESSAGES = 300


def test_a_topics_messages_are_published_once_though_its_reader_and_the_track_replica_die(
    local_ray: None, workshop: Path
) -> None:
    with kafka_broker() as broker, redis_server(workshop, keep=True) as redis:
        config = numbered_config(redis.url, workshop, {"a": {"url": "kafka:frames"}, "b": {"url": "kafka:frames"}})
        config["topics"] = {"frames": {"brokers": [broker.address]}}
        with running_line(config) as line:
            asyncio.run(_send(broker.address, 0, MESSAGES // 2))
            line.wait_for("frames", lambda: len(line.detections("a")) > 20)
            for name in ("rayline:track", "ray::IngestActor"):
                (found,) = processes_called(name)
                found.kill()
            asyncio.run(_send(broker.address, MESSAGES // 2, MESSAGES))
            for camera in ("a", "b"):
                line.wait_for(f"all of {camera}", lambda: len(line.detections(camera)) >= MESSAGES, 60)  # noqa: B023 - called at once
            for camera in ("a", "b"):
                assert numbers(line.detections(camera)) == list(range(MESSAGES))


async def _send(address: str, first: int, end: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    try:
        for number in range(first, end):
            picture = cv2.imencode(".jpg", numbered_picture(number, 320, 192))[1].tobytes()
            for camera in ("a", "b"):
                await producer.send("frames", picture, key=camera.encode())
        await producer.flush()
    finally:
        await producer.stop()
