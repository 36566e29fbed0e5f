"""Cameras as a running Rayline leaves them in Redis: reports once a second, and pictures of those that are watched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import cv2
import numpy as np

from pipeline.config import RaylineConfig
from pipeline.orchestrate.audit import AuditEntry, AuditLog
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.desired_store import DesiredStore
from pipeline.orchestrate.state import CameraReport, StateStore, SystemReport
from pipeline.sinks.keys import preview_key, watch_key
from pipeline.sinks.previews import KEPT
from pipeline.sinks.redis_client import RedisSettings, connect
from pipeline.waiting import is_set_within

FPS = 5.0
SIZE = (960, 540)


class Running:
    """What is published as desired runs, well until told otherwise."""

    def __init__(self, redis: RedisSettings, config: RaylineConfig, jpegs: Sequence[bytes] | None = None) -> None:
        self._client = connect(redis)
        self.store = DesiredStore(self._client)
        self._config = config
        self._jpegs = jpegs or [_numbered(number) for number in range(8)]
        self.told: dict[str, dict[str, Any]] = {}  # camera -> what its report says otherwise
        self.is_reporting = True
        self._over = asyncio.Event()

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[Running]:
        """Inside, it runs."""
        await self.store.publish(self._config)
        await self._report()
        tasks = [asyncio.create_task(self._reports())]
        tasks += [asyncio.create_task(self._pictures(name)) for name in self._config.camera_ids()]
        try:
            yield self
        finally:
            self._over.set()  # and no `cancel`: a Redis client that is at its work may take it for a timeout
            await asyncio.gather(*tasks)
            await self._client.aclose()

    async def watched(self) -> set[str]:
        """Cameras that somebody watches."""
        names = {name: watch_key(self._line(name), name) for name in self._config.camera_ids()}
        return {name for name, key in names.items() if await self._client.exists(key)}

    async def desired(self) -> DesiredState:
        """As it stands in Redis."""
        return await DesiredStore(self._client).read()

    async def audit(self) -> list[AuditEntry]:
        """The newest first."""
        return (await AuditLog(self._client).read(20))[0]

    def _line(self, name: str) -> str:
        return self._config.cameras[name].line or name

    async def _nap(self, seconds: float) -> bool:
        """True where it is over."""
        return await is_set_within(self._over, seconds)

    async def _reports(self) -> None:
        while not await self._nap(1.0):
            if self.is_reporting:
                await self._report()

    async def _report(self) -> None:
        desired, now = await self.store.read(), time.time()
        cameras = []
        for name, camera in desired.cameras.items():
            told: dict[str, Any] = {
                "state": "paused" if desired.is_paused(name) else "running",
                "since": now - 60,
                "url": str(camera.settings.url),
                "fps_in": 12.0,
                "fps_out": 12.0,
                "latency_ms_p50": 61.0,
                "latency_ms_p95": 93.5,
                "dropped": {"stale": 3},
                "size": (1280, 720),
                "clock": "rtcp",
                "last_frame_at": now - 0.1,
                "parts": {"pass": 1204, "reject": 7},
                **self.told.get(name, {}),
            }
            cameras.append(CameraReport(camera=name, line=camera.line, station=camera.station, **told))
        version = desired.version
        report = SystemReport(at=now, started_at=now - 600, desired_version=version, cameras=tuple(cameras))
        await StateStore(self._client).write(report)

    async def _pictures(self, name: str) -> None:
        """As the track stage makes them: while somebody watches, and the camera runs."""
        line, number = self._line(name), hash(name) % 100
        while not await self._nap(1 / FPS):
            if self.told.get(name, {}).get("state", "running") != "running":
                continue
            if not await self._client.exists(watch_key(line, name)):
                continue
            number += 1
            jpeg = self._jpegs[number % len(self._jpegs)]
            fields: Any = {"jpeg": jpeg, "captured_at": repr(time.time()), "seq": number}
            fields |= {"width": SIZE[0], "height": SIZE[1]}
            await self._client.xadd(preview_key(line, name), fields, maxlen=KEPT, approximate=False)
            await self._client.pexpire(preview_key(line, name), 2000)


def _numbered(number: int) -> bytes:
    picture = np.full((SIZE[1], SIZE[0], 3), 40 + 20 * number, np.uint8)
    cv2.putText(picture, str(number), (400, 300), cv2.FONT_HERSHEY_SIMPLEX, 6, (255, 255, 255), 12)
    fine, jpeg = cv2.imencode(".jpg", picture)
    assert fine
    return jpeg.tobytes()
