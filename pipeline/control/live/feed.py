"""One camera's newest picture and its state, read once for all who watch it in this process."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from pipeline.orchestrate.state import CameraReport, StateStore
from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.preview_reader import Preview, PreviewReader
from pipeline.sinks.preview_settings import PREVIEW_TTL_S
from pipeline.waiting import is_set_within

if TYPE_CHECKING:
    from pipeline.sinks.redis_client import RedisSettings

logger = logging.getLogger(__name__)

STATE_EVERY_S = 1.0
_AGAIN_S = 1.0
UNKNOWN = "unknown"  # nobody reports the camera


class Feed:
    """Holds one picture, the newest: who is slow sees fewer, and nobody waits for anybody."""

    def __init__(self, settings: RedisSettings, line: str, camera: str) -> None:
        self._settings, self._line, self._camera = settings, line, camera
        self._news = asyncio.Event()
        self._state_at = -float("inf")
        self.watchers = 0
        self.picture: Preview | None = None
        self.came_at = -float("inf")  # the picture, by the monotonic clock
        self.number = 0  # of the picture: rises with each
        self.report: CameraReport | None = None
        self.over: str | None = None  # why there will be no more

    @property
    def state(self) -> str:
        """The camera's, as last reported."""
        return UNKNOWN if self.report is None else self.report.state

    @property
    def is_live(self) -> bool:
        """True where the picture is one of now."""
        return time.monotonic() - self.came_at <= PREVIEW_TTL_S

    async def newer(self, number: int, timeout_s: float) -> bool:
        """Wait for a picture behind that number; False where there was none, or there will be none."""
        deadline = time.monotonic() + timeout_s
        while self.number <= number and self.over is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            await is_set_within(self._news, left_s)
        return self.number > number

    async def run(self) -> None:
        """Read until cancelled, or until it is `over`."""
        try:
            async with PreviewReader(self._settings, self._line, self._camera) as reader:
                while self.over is None:
                    await self._read(reader)
        except Exception:  # the top of this task: told to those who wait
            logger.exception("camera %s: its pictures cannot be read", self._camera)
            self.over = "a fault of Rayline's: its log tells more"
        finally:
            self._tell()

    async def _read(self, reader: PreviewReader) -> None:
        try:
            await self._look_at_state(reader)
            picture = None if self.over else await reader.next()
        except SinkUnavailable as exc:
            logger.debug("camera %s: no pictures while Redis is away: %s", self._camera, exc)
            await asyncio.sleep(_AGAIN_S)
            return
        if picture is not None:
            self.picture, self.number, self.came_at = picture, self.number + 1, time.monotonic()
        if picture is not None or self.over is not None:
            self._tell()

    async def _look_at_state(self, reader: PreviewReader) -> None:
        if time.monotonic() - self._state_at < STATE_EVERY_S:
            return
        async with reader.link.use() as client:
            self.report = await StateStore(client).camera(self._camera)
        self._state_at = time.monotonic()
        if self.report is not None and self.report.line != self._line:
            self.over = "the camera stands on another line now"  # which those who watch may not be allowed to see

    def _tell(self) -> None:
        """Wake everybody who waits now."""
        news, self._news = self._news, asyncio.Event()
        news.set()
