"""A camera whose pictures are made as the track stage makes them, of numbered frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np

from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.preview_settings import PreviewSettings
from pipeline.sinks.previews import Previews
from pipeline.sinks.redis_client import RedisSettings, connect
from stages.values import CameraId, Clock, Frame, Picture, PixelFormat, Position
from tests.unit.results.builders import result

SIZE = (320, 192)


def frame(number: int, camera: str = "a") -> Frame:
    """A grey frame, brighter with its number."""
    width, height = SIZE
    picture = Picture(np.full((height, width, 3), 30 + number % 200, np.uint8), PixelFormat.RGB24, width, height)
    at = 1_800_000_000.0 + number / 10
    return Frame(CameraId(camera), number, at, Clock.ARRIVAL, Position("live", 1, number), picture)


@asynccontextmanager
async def shown(
    redis: RedisSettings, line: str, camera: str, settings: PreviewSettings | None = None
) -> AsyncIterator[Previews]:
    """Inside, the camera's frames are offered 50 times a second."""
    previews = Previews(redis, settings or PreviewSettings(fps=15))

    async def offer() -> None:
        number = 0
        while True:
            previews.offer(line, frame(number, camera), replace(result(), size_wh=SIZE))
            number += 1
            await asyncio.sleep(0.02)

    offering = asyncio.create_task(offer())
    try:
        yield previews
    finally:
        offering.cancel()
        await asyncio.to_thread(previews.close)


async def report(redis: RedisSettings, camera: str, line: str, state: str, last_error: str | None = None) -> None:
    """As the supervisor reports it."""
    told = CameraReport(camera=camera, line=line, station=camera, state=state, since=1.0, last_error=last_error)
    client = connect(redis)
    await StateStore(client).write(SystemReport(at=1.0, started_at=0.0, cameras=(told,)))
    await client.aclose()
