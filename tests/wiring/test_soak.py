"""A line whose camera keeps going away neither grows nor stops: `make drill`."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.rtsp_server import RtspServer
from tests.numbered import numbered_picture
from tests.redis_server import redis_server
from tests.wiring.processes import processes_called
from tests.wiring.running_line import numbered_config, running_line

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.services, pytest.mark.timeout(900)]

MINUTES = 9
WARM_UP_S = 240  # from minute 1 on, all processes together still grew by some 4 MB a minute
MOST_MB_PER_MIN = 2.0


def test_minutes_of_a_flapping_camera_leave_memory_and_the_other_camera_alone(local_ray: None, workshop: Path) -> None:
    with RtspServer() as server, redis_server(workshop) as redis:
        cameras = {}
        for name in ("flaps", "stays"):
            settings = StreamSettings(fps=10, width=320, height=192, keyframe_s=0.5)
            server.add_stream(name, settings, lambda n: numbered_picture(n % 60_000, 320, 192))
            cameras[name] = {"url": server.url(name), "first_backoff_s": 0.2, "max_backoff_s": 1}
        config = numbered_config(redis.url, workshop, cameras)
        config["redis"]["maxlen_detections"] = 1000
        with running_line(config) as line:
            line.wait_for("both cameras", lambda: all(len(line.detections(c)) > 5 for c in cameras))
            grown = _flap(server, MINUTES * 60)
            before = len(line.detections("stays"))
            line.wait_for("the steady camera", lambda: len(line.detections("stays")) != before)
            epochs = {m["source"]["position"].split("|")[1] for m in line.detections("stays")}
    assert len(epochs) == 1, "the steady camera never reconnected"
    assert grown < MOST_MB_PER_MIN, f"{grown:.2f} MB a minute"


def _flap(server: RtspServer, seconds: float) -> float:
    """Kicks the camera every two seconds; MB per minute that all of Ray's processes grew by after the warm-up."""
    began, first = time.monotonic(), 0.0
    while (passed := time.monotonic() - began) < seconds:
        server.kick("flaps")
        time.sleep(2)
        if not first and passed > WARM_UP_S:
            first = _held_mb()
    return (_held_mb() - first) / ((seconds - WARM_UP_S) / 60)


def _held_mb() -> float:
    held = 0
    for worker in processes_called("ray::"):
        with suppress(psutil.NoSuchProcess):  # it ended while it was asked
            held += worker.memory_full_info().uss
    return held / 1e6
