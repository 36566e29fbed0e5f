"""A shard carries a folder of pictures through a scripted graph, and tells what came of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import cv2
import numpy as np

from pipeline.answers import BatchAnswer, CameraAnswer, Outcome
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.carrier import CarrierSettings
from pipeline.ingest.shard import CameraFigures, CameraTask, Shard
from pipeline.observe.metrics import Metrics
from stages.values import CameraId, Detected, Detections, FrameBatch, FrameFailed, ModelInfo, Position
from tests.fakes import RecordingMeter

CAM = CameraId("cam-1")
PICTURES = 5


class Graph:
    """Publishes every frame; each is a part that passes, seen by a camera that is blurred."""

    async def detect(self, batch: FrameBatch) -> Detected:
        nothing = (Detections.empty(),) * len(batch)
        return Detected(nothing, (FrameFailed("no stats"),) * len(batch), ModelInfo("m", "1", "", ()))

    async def track(self, batch: FrameBatch, detected: Detected | None) -> BatchAnswer:
        frames = len(batch)
        health = "blurred" if frames else None
        return BatchAnswer(
            {CAM: CameraAnswer(Outcome.PUBLISHED, None, frames, (0.25,) * frames, 0, {"pass": frames}, health)}
        )

    def forget(self, batch: FrameBatch) -> None:
        pass

    def failed(self, batch: FrameBatch, reason: str) -> Detected:
        raise AssertionError(reason)


async def no_cursor(_camera: CameraId) -> Position | None:
    return None


async def carried(folder: Path, meter: RecordingMeter) -> list[CameraFigures]:
    """The figures when every picture was carried and the shard has stopped."""
    shard = Shard("shard-1", False, 2, CarrierSettings(), Graph(), no_cursor, Metrics(meter))
    shard.start()
    await shard.apply({CAM: CameraTask(CameraSettings(camera_id=CAM, url=str(folder)))})
    async with asyncio.timeout(20):
        while not shard.ended():
            shard._end_landed.clear()
            await shard._end_landed.wait()
    figures = shard.figures()
    await shard.stop(2.0)
    return figures


async def test_what_was_carried_is_in_the_figures_and_in_the_metrics(tmp_path: Path) -> None:
    for number in range(PICTURES):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), number, np.uint8))
    meter = RecordingMeter()
    (figures,) = await carried(tmp_path, meter)
    assert (figures.published, figures.status.frames_in) == (PICTURES, PICTURES)
    assert figures.parts == {"pass": PICTURES}
    assert figures.health == "blurred"
    assert figures.status.last_frame_at is not None
    assert meter.total("rayline_frames_in", camera=CAM) == PICTURES
    assert meter.total("rayline_frames_published", camera=CAM) == PICTURES
    assert meter.values("rayline_capture_to_publish_seconds", camera=CAM) == [0.25] * PICTURES
    assert sum(meter.values("rayline_batch_frames", shard="shard-1")) == PICTURES
    assert meter.values("rayline_batches_in_flight", shard="shard-1")[-1] == 0
    assert meter.values("rayline_camera_state", state="ended")[-1] == 0  # it was taken away
    assert meter.values("rayline_camera_state", state="ended")[-2] == 1
