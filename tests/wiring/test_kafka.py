"""A topic through the whole graph: once each, whichever process dies."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import cv2
import pytest
from aiokafka import AIOKafkaProducer

from pipeline.demo.rtsp_server import RtspServer
from tests.kafka_broker import kafka_broker
from tests.numbered import numbered_picture
from tests.redis_server import redis_server
from tests.wiring.processes import processes_called
from tests.wiring.running_line import Line, numbered_config, numbers, running_line
from tests.wiring.test_faults import cameras_of, lost_in

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


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_redis_away_for_a_minute_under_load_costs_a_topic_nothing_and_a_live_camera_only_what_is_told(
    local_ray: None, workshop: Path
) -> None:
    with kafka_broker() as broker, RtspServer() as server, redis_server(workshop, keep=True) as redis:
        cameras = {**cameras_of(server, "cam"), "a": {"url": "kafka:frames"}, "b": {"url": "kafka:frames"}}
        config = numbered_config(redis.url, workshop, cameras)
        config["topics"] = {"frames": {"brokers": [broker.address]}}
        with running_line(config) as line:
            asyncio.run(_send(broker.address, 0, 100))
            line.wait_for("frames", lambda: len(line.detections("a")) > 20 and len(line.detections("cam")) > 20)
            redis.kill()
            asyncio.run(_send(broker.address, 100, 600))
            time.sleep(60)
            redis.start()
            for camera in ("a", "b"):
                line.wait_for(f"all of {camera}", lambda: len(line.detections(camera)) >= 600, 60)  # noqa: B023 - called at once
                assert numbers(line.detections(camera)) == list(range(600))
            line.wait_for("the end of the spool", lambda: _drained(line), 60)
            drained = _drained(line)  # more than one, if a busy machine is late again just behind the first
            messages = line.detections("cam")
    assert sum(each["frames_waited"] for each in drained) > 400
    assert lost_in(messages) == 0
    assert [m["seq"] for m in messages] == sorted({m["seq"] for m in messages})


def _drained(line: Line) -> list[dict[str, Any]]:
    events = [e["data"] for e in line.events("cam") if e["kind"] == "system"]
    return [data for data in events if data["what"] == "spool_drained"]


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
