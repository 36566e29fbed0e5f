"""Order and loss through the whole graph, proved by numbers in the pixels."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.rtsp_server import RtspServer
from pipeline.sinks.preview_reader import Preview, PreviewReader
from pipeline.sinks.redis_client import RedisSettings
from tests.numbered import numbered_picture
from tests.redis_server import redis_server
from tests.wiring.processes import processes_called
from tests.wiring.running_line import numbered_config, numbered_file, numbers, running_line

FRAMES = 240

pytestmark = [pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(120)]


@pytest.mark.parametrize("topology", ["split", "fused"])
def test_two_detect_replicas_of_different_speed_neither_lose_nor_reorder_a_file(
    local_ray, workshop: Path, topology: str
) -> None:
    clip = numbered_file(workshop / "numbers.mp4", FRAMES)
    with redis_server(workshop) as redis:
        graph = {"detect_replicas": 2, "max_in_flight": 4, "topology": topology}
        config = numbered_config(redis.url, workshop, {"file": {"url": str(clip)}}, **graph)
        with running_line(config) as line:
            line.wait_for("end of the file", line.rayline.all_ended)
            messages = line.detections("file")
    assert numbers(messages) == list(range(FRAMES))
    assert [m["seq"] for m in messages] == list(range(FRAMES))
    assert len({m["message_id"] for m in messages}) == FRAMES


def test_a_detect_replica_killed_in_mid_batch_costs_no_frame(local_ray, workshop: Path) -> None:
    clip = numbered_file(workshop / "numbers.mp4", FRAMES)
    with redis_server(workshop) as redis:
        config = numbered_config(redis.url, workshop, {"file": {"url": str(clip)}}, detect_replicas=2)
        with running_line(config) as line:
            line.wait_for("first frames", lambda: len(line.detections("file")) > 20)
            _kill_a_detect_replica()
            line.wait_for("end of the file", line.rayline.all_ended, 60)
            messages = line.detections("file")
    assert numbers(messages) == list(range(FRAMES))
    assert len({m["message_id"] for m in messages}) == FRAMES


def test_what_a_live_camera_loses_is_said_in_the_next_message(local_ray, workshop: Path) -> None:
    with RtspServer(user="viewer", password="s3cret-pw") as server, redis_server(workshop) as redis:
        server.add_stream("cam", StreamSettings(fps=25, width=320, height=192), lambda n: numbered_picture(n, 320, 192))
        cameras = {"live": {"url": server.url("cam")}}
        with running_line(numbered_config(redis.url, workshop, cameras, max_in_flight=1)) as line:
            # the one replica is the slow one: about 30 frames a second at most, in batches of four
            line.wait_for("a hundred frames", lambda: len(line.detections("live")) > 100)
            messages = line.detections("live")
            shown = asyncio.run(_picture(redis.url, "live"))
            states = [e["data"]["state"] for e in line.events("live") if e["kind"] == "camera_state"]
    seen = numbers(messages)
    assert seen == sorted(set(seen))
    assert sum(sum(m["dropped_since_last"].values()) for m in messages) > 0, "the slow detector must cost frames"
    for before, after in itertools.pairwise(messages):
        assert after["seq"] - before["seq"] - 1 == sum(after["dropped_since_last"].values())
    assert [b - a for a, b in itertools.pairwise(seen)] == [
        after["seq"] - before["seq"] for before, after in itertools.pairwise(messages)
    ]
    assert {m["clock"] for m in messages[-50:]} == {"rtcp"}
    assert "running" in states
    assert "s3cret-pw" not in str(messages)
    assert (shown.width, shown.height, shown.jpeg[:2]) == (320, 192, b"\xff\xd8")


async def _picture(redis_url: str, camera: str) -> Preview:
    """As somebody sees it who begins to watch."""
    async with PreviewReader(RedisSettings(url=SecretStr(redis_url)), camera, camera) as reader, asyncio.timeout(10):
        while (shown := await reader.next()) is None:
            pass
    return shown


def _kill_a_detect_replica() -> None:
    replicas = processes_called("rayline:detect-numbers")
    assert len(replicas) == 2
    replicas[0].kill()
