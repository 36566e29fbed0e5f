"""A test shot is over in time, whatever the camera does, and never tells a password."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from pipeline.config import CameraConfig
from pipeline.dashboard.cameras.shot import NoShot, TooManyShots, take_shot

pytestmark = pytest.mark.services

PASSWORD = "hush-hush"


def camera(port: int) -> CameraConfig:
    return CameraConfig.model_validate({"url": f"rtsp://viewer:{PASSWORD}@127.0.0.1:{port}/mute"})


async def test_a_camera_that_says_nothing_is_given_up_and_others_wait_for_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        began = time.monotonic()
        shots = [asyncio.create_task(take_shot(camera(port), timeout_s=1.0)) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(TooManyShots):
            await take_shot(camera(port))
        outcomes = await asyncio.gather(*shots, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NoShot, NoShot]
    assert not any(PASSWORD in str(outcome) for outcome in outcomes)
    assert time.monotonic() - began < 17
