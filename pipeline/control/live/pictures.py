"""A watched camera's pictures, or why there are none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from pipeline.control.live.feed import UNKNOWN, Feed
from pipeline.control.problems import TRY_AGAIN_S, ApiError, busy
from stages.results.messages import rfc3339

if TYPE_CHECKING:
    from pipeline.control.live.watching import Watching
    from pipeline.sinks.preview_reader import Preview

FIRST_WITHIN_S = 3.0
REPEATED_EVERY_S = 5.0  # while there is nothing new: a proxy takes a silent answer for a dead one
BOUNDARY = "rayline-picture"
WILL_SHOW_NOTHING = ("paused", "ended", "failed")
_LONG_S = 10


async def first_picture(feed: Feed, camera: str) -> Preview:
    """The one of now, or the first to come. Raises ApiError 503 with the camera's state where none does."""
    deadline = time.monotonic() + FIRST_WITHIN_S
    seen = 0 if feed.is_live else feed.number  # others may have watched it since before it stopped
    while not await feed.newer(seen, 0.25):
        if feed.over is not None:
            raise busy(f"camera {camera!r}: {feed.over}")
        if feed.state in WILL_SHOW_NOTHING or time.monotonic() > deadline:
            raise _no_picture(feed, camera)
    assert feed.picture is not None  # noqa: S101 - its number says so
    return feed.picture


def _no_picture(feed: Feed, camera: str) -> ApiError:
    report = feed.report
    if report is None:
        return busy(f"camera {camera!r} shows no picture, and nobody reports it: is `rayline up` running?")
    why = f": {report.last_error}" if report.last_error and report.state != "running" else ""
    again_s = _LONG_S if report.state in WILL_SHOW_NOTHING else TRY_AGAIN_S
    return busy(f"camera {camera!r} shows no picture: it is {report.state}{why}", again_s)


def picture_headers(picture: Preview, state: str = UNKNOWN) -> dict[str, str]:
    """What is told beside a picture."""
    return {
        "X-Rayline-Captured-At": rfc3339(picture.captured_at),
        "X-Rayline-Seq": str(picture.seq),
        "X-Rayline-State": state,
    }


async def multipart(watching: Watching, line: str, camera: str, fps: float) -> AsyncGenerator[bytes, None]:
    """The body of multipart/x-mixed-replace: pictures as they come, at most `fps`; the last again while none does.

    Raises as `first_picture` before anything is given.
    """
    async with watching.watch(line, camera) as feed:
        picture: Preview | None = await first_picture(feed, camera)
        before = f"--{BOUNDARY}\r\n".encode()
        while picture is not None:
            number, given_at = feed.number, time.monotonic()
            # With the boundary behind it: browsers show a picture when they know that it is over.
            yield before + _part(picture, feed.state)
            before = b""
            await asyncio.sleep(max(0.0, given_at + 1 / fps - time.monotonic()))
            await feed.newer(number, REPEATED_EVERY_S)
            picture = feed.picture if feed.over is None else None


def _part(picture: Preview, state: str) -> bytes:
    headers = {
        "Content-Type": "image/jpeg",
        "Content-Length": str(len(picture.jpeg)),
        **picture_headers(picture, state),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode() + b"\r\n" + picture.jpeg + f"\r\n--{BOUNDARY}\r\n".encode()
