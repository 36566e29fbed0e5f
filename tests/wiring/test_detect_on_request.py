"""Pictures of requests and cameras' frames go to the model in one batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import ray
from ray import serve

from pipeline.deployments.api import ServeDetector
from pipeline.deployments.detect import BATCHES_AT_ONCE
from pipeline.deployments.serve_graph import APP, DetectRoad, detect_deployment
from stages.detect.settings import ModelSettings
from stages.values import CameraId, Clock, Frame, FrameBatch, Picture, PixelFormat, Position
from tests.wiring.counting_detect import CountingFused, Doors

pytestmark = pytest.mark.ray

STALL_TIMEOUT_S = 60.0  # the test holds the model up
PICTURE = Picture(np.zeros((48, 64), np.uint8), PixelFormat.GRAY8, 64, 48)


async def test_requests_merge_with_each_other_and_with_cameras(local_ray: None, workshop: Path) -> None:
    model = ModelSettings(weights=str(workshop), image_size=(64, 64), max_batch=8)
    doors = Doors(workshop)
    stage = serve.deployment(CountingFused, name=detect_deployment("counter"), max_ongoing_requests=16)
    bound = stage.options(ray_actor_options={"num_cpus": 0.1}).bind("counter", model, STALL_TIMEOUT_S)
    serve.run(bound, name=APP, route_prefix=None)
    try:
        detector, road = ServeDetector({"counter": model}, fused=True), DetectRoad("counter", fused=True)
        assert await detector.is_ready()
        await detector.detect("counter", [PICTURE])  # finds the replica
        # These take every batch there may be at once; what comes meanwhile must wait, and then goes together.
        doors.shut()
        first = []
        for number in range(BATCHES_AT_ONCE):
            first.append(asyncio.create_task(detector.detect("counter", [PICTURE])))
            await _until(lambda: doors.noted("batch") == 1 + number + 1)  # noqa: B023 - called at once
        later = [asyncio.create_task(detector.detect("counter", [PICTURE] * 2)) for _ in range(2)]
        later.append(asyncio.create_task(road.detect(ray.put(_cameras_batch()), {})))
        await _until(lambda: doors.noted("call") == 1 + len(first) + len(later))
        doors.open()
        answers = await asyncio.gather(*first, *later)
    finally:
        doors.open()
        serve.delete(APP)
    assert [len(answer.detections) for answer in answers] == [1] * BATCHES_AT_ONCE + [2, 2, 3]
    assert [answer.model.version for answer in answers] == ["1"] * BATCHES_AT_ONCE + ["3"] * 3


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)


def _cameras_batch() -> FrameBatch:
    now = time.time()
    frames = (Frame(CameraId("a"), n, now, Clock.ARRIVAL, Position("live", 1, n), PICTURE) for n in range(3))
    return FrameBatch("shard-1", 7, tuple(frames))
