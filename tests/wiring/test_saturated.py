"""Slow is healthy: a model that never catches up is left alone. `make drill`; the drill itself shows stuck ones."""

from __future__ import annotations

import functools
import itertools
import time
from pathlib import Path

import pytest

from bench.chaos.detect import SLOW, DrillFused
from pipeline.app import build_app
from pipeline.config import config_of_data
from pipeline.demo.encoder import StreamSettings
from pipeline.demo.rtsp_server import RtspServer
from pipeline.running import started
from tests.numbered import numbered_picture
from tests.redis_server import redis_server
from tests.wiring.processes import processes_called
from tests.wiring.running_line import Line, numbered_config

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(200)]

WATCHED_S = 60.0
STAGES = ("rayline:detect-numbers", "rayline:track", "ray::IngestActor")


def test_a_saturated_line_keeps_its_processes_for_a_minute(local_ray: None, workshop: Path) -> None:
    with RtspServer() as server, redis_server(workshop) as redis:
        server.add_stream("cam", StreamSettings(fps=25, width=320, height=192), lambda n: numbered_picture(n, 320, 192))
        config = config_of_data(numbered_config(redis.url, workshop, {"cam": {"url": server.url("cam")}}), "test")
        with started(config, build=functools.partial(build_app, fused_wrapper=DrillFused)) as rayline:
            line = Line(rayline)
            line.wait_for("frames", lambda: len(line.detections("cam")) > 10)
            (workshop / SLOW).touch()
            before, published = _pids(), len(line.detections("cam"))
            time.sleep(WATCHED_S)
            assert _pids() == before
            messages = line.detections("cam")[published:]
    assert len(messages) >= WATCHED_S / 2
    assert all(after["seq"] > before["seq"] for before, after in itertools.pairwise(messages))
    assert sum(m["dropped_since_last"].get("queue_full", 0) for m in messages) > WATCHED_S


def _pids() -> list[list[int]]:
    return [[process.pid for process in processes_called(stage)] for stage in STAGES]
