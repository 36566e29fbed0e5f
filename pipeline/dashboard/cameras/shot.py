"""A test shot: a camera's source is opened once, in a process of its own that is ended when its time is up."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.config import CameraConfig
from pipeline.ingest.address import mask
from pipeline.plain import plain
from stages.errors import RaylineError

LOOK_TIMEOUT_S = 10.0  # for the first picture, connecting included
_START_S = 15.0  # for the process to begin, on a machine that is busy
_MOST_AT_ONCE = 2
_MOST_ANSWER_BYTES = 16_000_000
_PROCESS = "pipeline.dashboard.shot_process"

_places = asyncio.Semaphore(_MOST_AT_ONCE)


class NoShot(RaylineError):
    """There is no picture; says why, without credentials."""


@dataclass(frozen=True, slots=True)
class Shot:
    """What the camera showed."""

    jpeg: bytes
    width: int  # of the camera's picture; the JPEG may be smaller
    height: int
    fps: float | None  # None: too few pictures to tell
    codec: str  # "" where nobody knows


class TooManyShots(NoShot):
    """Others take theirs now."""


async def take_shot(camera: CameraConfig, timeout_s: float = LOOK_TIMEOUT_S) -> Shot:
    """One picture of the source as it is set. Raises NoShot."""
    if _places.locked():
        raise TooManyShots("too many at once")
    async with _places:
        return _shot_of(await _run(camera, timeout_s), camera)


async def _run(camera: CameraConfig, timeout_s: float) -> bytes:
    # The address goes in by a pipe: arguments and environment of a process can be read by others on the machine.
    told = orjson.dumps({"settings": plain(camera), "timeout_s": timeout_s})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _PROCESS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s + _START_S):
            answer, _ = await process.communicate(told)
    except TimeoutError:
        raise NoShot(f"no picture within {timeout_s + _START_S:.0f} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if len(answer) > _MOST_ANSWER_BYTES:
        raise NoShot("its picture is too large")
    return answer


def _shot_of(answer: bytes, camera: CameraConfig) -> Shot:
    head, _, jpeg = answer.partition(b"\n")
    try:
        told: dict[str, Any] = orjson.loads(head)
    except orjson.JSONDecodeError:
        raise NoShot("the look at it ended without a word") from None
    if "error" in told:
        raise NoShot(mask(str(told["error"]), camera.url.secrets()))
    return Shot(jpeg, told["width"], told["height"], told["fps"], told["codec"])
