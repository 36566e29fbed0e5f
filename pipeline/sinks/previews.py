"""Live pictures of watched cameras into Redis, made by a thread of its own that nothing waits for."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

import cv2

from pipeline.sinks.errors import SinkUnavailable
from pipeline.sinks.keys import preview_key, watch_key
from pipeline.sinks.preview_desk import CameraKey, PreviewDesk, Shot
from pipeline.sinks.preview_picture import Encoded, encode
from pipeline.sinks.preview_settings import LOOK_EVERY_S, PREVIEW_TTL_S, PreviewSettings
from pipeline.sinks.redis_client import RedisLink, RedisSettings
from stages.values import Frame, FrameResult

logger = logging.getLogger(__name__)

KEPT = 2  # pictures in a camera's stream: who waits for the next one misses none, and nobody pays for more
_DEADLINE_S = 1.0  # what Redis does not take in that time is not live any more


class Previews:
    """Encodes frames of cameras that somebody watches. `offer` may be called by several threads.

    While nobody watches it asks Redis once a second who does, in one round trip for all cameras here. Where Redis is
    away there are no pictures, and that is all.
    """

    def __init__(
        self, redis: RedisSettings, settings: PreviewSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis.model_copy(update={"retries": 0, "deadline_s": min(_DEADLINE_S, redis.deadline_s)})
        self._settings = settings
        self._desk = PreviewDesk(settings.fps, clock)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.made = 0  # pictures encoded so far

    def offer(self, line: str, frame: Frame, result: FrameResult) -> None:
        """A frame was worked on: it is shown if somebody watches and it is time for a picture. Never waits."""
        if self._thread is None:
            self._start()
        self._desk.offer(line, frame, result)

    @property
    def watched(self) -> frozenset[CameraKey]:
        """(line, camera) of those that somebody watches, as last looked."""
        return self._desk.watched

    @property
    def is_running(self) -> bool:
        """True while its thread is at work."""
        return self._thread is not None and self._thread.is_alive()

    def close(self, timeout_s: float = 2.0) -> None:
        """End the thread, which may be waiting for Redis; may be called more than once."""
        self._desk.close()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="previews", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        link = RedisLink(self._redis)
        with asyncio.Runner() as runner:
            try:
                self._work(link, runner)
            except Exception:  # the top of this thread: results go on without pictures
                logger.exception("no live pictures any more until this replica is started again")
                self._desk.close()
            finally:
                runner.run(link.close())

    def _work(self, link: RedisLink, runner: asyncio.Runner) -> None:
        look_at = 0.0  # this thread's own time, whatever clock frames are counted by
        while not self._desk.is_closed:
            shots = self._desk.take(look_at - time.monotonic())
            if time.monotonic() >= look_at:
                self._desk.watch(runner.run(self._watched(link)))
                look_at = time.monotonic() + LOOK_EVERY_S
            for key, shot in shots.items():
                self._show(key, shot, link, runner)
            shots.clear()  # a picture is not held until the next one comes

    async def _watched(self, link: RedisLink) -> list[CameraKey]:
        here = self._desk.here()
        if not here:
            return []
        try:
            async with link.use() as client, client.pipeline(transaction=False) as pipe:
                for key in here:
                    pipe.exists(watch_key(*key))
                answers = await pipe.execute()
        except SinkUnavailable as exc:
            logger.debug("nobody knows who is watched: %s", exc)
            return []
        return [key for key, is_watched in zip(here, answers, strict=True) if is_watched]

    def _show(self, key: CameraKey, shot: Shot, link: RedisLink, runner: asyncio.Runner) -> None:
        try:
            picture = encode(shot, self._settings)
        except (ValueError, cv2.error) as exc:
            logger.warning("camera %s: a frame cannot be shown: %s", key[1], exc)
            return
        self.made += 1
        try:
            runner.run(_put(link, key, shot, picture))
        except SinkUnavailable as exc:
            logger.debug("camera %s: nobody sees this picture: %s", key[1], exc)


async def _put(link: RedisLink, key: CameraKey, shot: Shot, picture: Encoded) -> None:
    name = preview_key(*key)
    fields: dict[str | bytes, bytes | str | int] = {
        "jpeg": picture.jpeg,
        "captured_at": repr(float(shot.frame.captured_at)),
        "seq": shot.frame.seq,
        "width": picture.width,
        "height": picture.height,
    }
    # Both or none: a stream without its end would show its last picture for ever.
    async with link.use() as client, client.pipeline(transaction=True) as pipe:
        pipe.xadd(name, fields, maxlen=KEPT, approximate=False)  # type: ignore[arg-type]
        pipe.pexpire(name, round(PREVIEW_TTL_S * 1000))
        await pipe.execute()
