"""Pictures of requests and cameras' frames go to the model in one batch."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
import ray
from ray import serve

from pipeline.deployments.api import ServeDetector
from pipeline.deployments.detect import BATCHES_AT_ONCE
from pipeline.deployments.serve_graph import APP, DetectRoad, detect_deployment
from stages.detect.settings import ModelSettings
from stages.values import CameraId, Clock, Frame, FrameBatch, Picture, PixelFormat, Position
from tests.wiring.counting_detect import CountingFused

pytestmark = pytest.mark.ray

MODEL = ModelSettings(weights="counter", image_size=(64, 64), max_batch=8)
PICTURE = Picture(np.zeros((48, 64), np.uint8), PixelFormat.GRAY8, 64, 48)


async def test_requests_merge_with_each_other_and_with_cameras(local_ray: None) -> None:
    stage = serve.deployment(CountingFused, name=detect_deployment("counter"), max_ongoing_requests=16)
    serve.run(
        stage.options(ray_actor_options={"num_cpus": 0.1}).bind("counter", MODEL, 5.0), name=APP, route_prefix=None
    )
    try:
        detector, road = ServeDetector({"counter": MODEL}, fused=True), DetectRoad("counter", fused=True)
        assert await detector.is_ready()
        await detector.detect("counter", [PICTURE])  # finds the replica
        # These take every batch there may be at once; what comes meanwhile must wait, and then goes together.
        first = []
        for _ in range(BATCHES_AT_ONCE):
            first.append(asyncio.create_task(detector.detect("counter", [PICTURE])))
            await asyncio.sleep(0.15)
        later = [asyncio.create_task(detector.detect("counter", [PICTURE] * 2)) for _ in range(2)]
        later.append(asyncio.create_task(road.detect(ray.put(_cameras_batch()), {})))
        answers = await asyncio.gather(*first, *later)
    finally:
        serve.delete(APP)
    assert [len(answer.detections) for answer in answers] == [1] * BATCHES_AT_ONCE + [2, 2, 3]
    assert [answer.model.version for answer in answers] == ["1"] * BATCHES_AT_ONCE + ["3"] * 3


def _cameras_batch() -> FrameBatch:
    now = time.time()
    frames = (Frame(CameraId("a"), n, now, Clock.ARRIVAL, Position("live", 1, n), PICTURE) for n in range(3))
    return FrameBatch("shard-1", 7, tuple(frames))
