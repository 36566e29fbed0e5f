"""A camera on a real server, and eyes on what it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline.demo.rtsp_server import RtspServer, StreamSettings
from pipeline.ingest.camera import Camera, CameraSettings, CameraState, make_handoff
from pipeline.ingest.handoff import Handoff
from stages.values import CameraId, Frame
from tests.numbered import numbered_picture, read_number

WIDTH, HEIGHT = 160, 96
PATIENCE_S = 60.0
reader = "auto"  # of RTSP; tests that try each set it


def add_camera(server: RtspServer, path: str, fps: float = 30) -> None:
    """A camera whose pictures carry their number; a busy machine makes them late, and leaves none out."""
    settings = StreamSettings(fps=fps, width=WIDTH, height=HEIGHT, keyframe_s=0.5)
    server.add_stream(path, settings, lambda n: numbered_picture(n, WIDTH, HEIGHT), realtime=False)


def number(frame: Frame) -> int | None:
    """What its pixels spell."""
    return read_number(frame.image.data[: frame.image.height])


@dataclass
class Watched:
    """One camera under test."""

    camera: Camera
    handoff: Handoff
    states: list[tuple[CameraState, str]] = field(default_factory=list)
    _looked: int = 0  # at so many of them, by `until`

    def frame(self) -> Frame:
        """The next frame; fails after PATIENCE_S."""
        item = self.handoff.take(PATIENCE_S)
        assert isinstance(item, Frame), item
        return item

    def frames(self, count: int) -> list[Frame]:
        """The next frames."""
        return [self.frame() for _ in range(count)]

    def frame_of_epoch_after(self, epoch: int) -> Frame:
        """The first frame of a later connection."""
        while (frame := self.frame()).position.major <= epoch:
            pass
        return frame

    def until(self, state: CameraState) -> str:
        """Waits until the camera has got into this state since the last call; the reason it gave.

        One that it has left again counts, for it may be over before a busy machine lets us look.
        """
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for at in range(self._looked, len(self.states)):
                if self.states[at][0] is state:
                    self._looked = at + 1
                    return self.states[at][1]
            time.sleep(0.01)
        raise AssertionError(f"not {state} within {PATIENCE_S} s: {self.states}")


@contextmanager
def watching(url: str, **settings: Any) -> Iterator[Watched]:
    """A camera that runs, with quick reconnects and a watchdog, stopped at the end. Late, it decodes all the same.

    Its timeouts are longer than a busy machine may make server and decoder, which share it, wait; a test that waits
    for one to pass sets it.
    """
    quick = {
        "camera_id": CameraId("cam"), "url": url, "first_backoff_s": 0.05, "max_backoff_s": 0.2, "read_timeout_s": 20.0,
        "open_timeout_s": 20.0, "stall_timeout_s": 30.0, "buffer_frames": 100, "rtsp_reader": reader,
        "keyframes_only_behind_s": None,
    }  # fmt: skip
    chosen = CameraSettings.model_validate(quick | settings)
    handoff = make_handoff(chosen)
    states: list[tuple[CameraState, str]] = []
    camera = Camera(chosen, handoff, on_state=lambda _, state, why: states.append((state, why)))
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.1):
            camera.tick()

    ticker = threading.Thread(target=tick)
    ticker.start()
    camera.start()
    try:
        yield Watched(camera, handoff, states)
    finally:
        done.set()
        ticker.join()
        camera.stop(PATIENCE_S)
