"""A replica whose work never comes back says so; one that is only slow does not. Detect's is seen in the drill."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pipeline.deployments.preprocess import PreprocessDeployment
from pipeline.deployments.progress import Progress, Stalled
from pipeline.deployments.track import TrackDeployment
from pipeline.deployments.tracked_camera import TrackedCamera
from pipeline.sinks.redis_streams import RedisSettings
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, Detected, Frame, FrameBatch, Picture, PixelFormat, Position
from tests.unit.deployments.test_tracked_camera import MODEL, camera, seen

STALL_S = 5.0
CAM = CameraId("cam-1")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """Work that hangs until it is let go."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Event(), threading.Event()

    def hang(self, *_: Any) -> Any:
        self.entered.set()
        self._open.wait(60)
        raise RuntimeError("let go")

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def batch() -> FrameBatch:
    picture = Picture(np.zeros((96, 64), np.uint8), PixelFormat.YUV420P, 64, 64)
    frame = Frame(CAM, 0, 0.0, seen(0).frame.clock, Position("live", 1, 0), picture, 0.0)
    return FrameBatch("shard-1", 0, (frame,), (), ())


async def test_a_preprocessor_that_hangs(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = PreprocessDeployment({"m": (64, 64)}, STALL_S)
    monkeypatch.setattr(Preprocessor, "prepare", gate.hang)
    await _is_told(subject, subject(batch(), "m", {}), gate)


async def test_a_tracker_that_hangs(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = TrackDeployment(RedisSettings(), None, STALL_S, {})
    subject._cameras[CAM] = camera()
    monkeypatch.setattr(TrackedCamera, "work", gate.hang)
    detected = Detected((seen(0).found,), (seen(0).stats,), MODEL)
    await _is_told(subject, subject(batch(), detected, {CAM: camera().job}), gate)


async def _is_told(subject: Any, call: Any, gate: Gate) -> None:
    clock = Clock()
    subject._progress = Progress(STALL_S, clock)
    under_way = asyncio.create_task(call)
    await asyncio.to_thread(gate.entered.wait, 60)
    clock.now = STALL_S - 0.1
    subject.check_health()
    clock.now = STALL_S + 0.1
    with pytest.raises(Stalled):
        subject.check_health()
    gate.open()
    await asyncio.gather(under_way, return_exceptions=True)
    subject.check_health()
