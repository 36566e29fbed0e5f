"""Images decoded, and annotated ones encoded, on few threads that let the cameras go first."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2

from pipeline.control.detect.refusals import ImageFailed
from pipeline.control.detect.settings import DetectLimits
from pipeline.ingest.av_images import decode_image
from pipeline.ingest.still_image import Flaw, ImageRefused
from pipeline.sinks.drawing import canvas_of, draw_objects
from pipeline.sinks.snapshots import to_bgr
from stages.values import Picture, Tracks

_NICE = 10  # a camera's thread gets nine times as much of a core that both want
_QUALITY = 85

T = TypeVar("T")


class Darkroom:
    """`decode_threads` threads; who is cancelled before their turn costs none."""

    def __init__(self, limits: DetectLimits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(limits.decode_threads, "rayline-images", initializer=_let_others_first)

    async def decoded(self, data: bytes | str) -> Picture:
        """The picture of an encoded image, given as bytes or in base64. Raises ImageFailed."""
        return await self._run(lambda: self._decode(data))

    async def annotated(self, picture: Picture, tracks: Tracks, names: tuple[str, ...]) -> bytes:
        """A JPEG of the picture with its objects drawn in. Raises ImageFailed."""
        return await self._run(lambda: _annotate(picture, tracks, names))

    def close(self) -> None:
        """Waits for nothing."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _decode(self, data: bytes | str) -> Picture:
        most = self._limits.max_image_bytes
        if isinstance(data, str):
            if len(data) > (most + 2) // 3 * 4:
                raise ImageFailed(f"longer than {most} bytes", 413)
            data = _of_base64(data)
        if not data:
            raise ImageFailed("an empty file")
        if len(data) > most:
            raise ImageFailed(f"{len(data)} bytes; at most {most} are read", 413)
        try:
            return decode_image(data, self._limits.max_pixels)
        except ImageRefused as exc:
            raise ImageFailed(str(exc), 413 if exc.flaw is Flaw.TOO_MANY_PIXELS else 422) from None


def _of_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImageFailed("image_base64 is no base64: plain, without line breaks and without `data:`") from None


def _annotate(picture: Picture, tracks: Tracks, names: tuple[str, ...]) -> bytes:
    canvas = canvas_of(to_bgr(picture))
    draw_objects(canvas, tracks, names)
    try:
        fine, jpeg = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    except cv2.error:
        fine = False
    if not fine:
        raise ImageFailed(f"no JPEG can hold {picture.width}x{picture.height} pixels: ask without `annotate`")
    return jpeg.tobytes()


def _let_others_first() -> None:
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
