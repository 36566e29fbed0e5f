"""One live stream: a thread that renders and codes frame n, or takes it from a loop, at its wall time, for whoever is
watching.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.demo.encoder import CodedPicture, StreamSettings, VideoEncoder
from pipeline.demo.loop import Coder, Loop
from pipeline.demo.rtp import Codec, EncodedFrame, Stamper

logger = logging.getLogger(__name__)

PictureAt = Callable[[int], npt.NDArray[np.uint8]]  # frame number -> (H, W, 3) uint8 RGB
OnFrame = Callable[[int, float], Any]  # frame number, captured_at (Unix seconds)

Deliver = Callable[[EncodedFrame, Callable[[], None]], None]  # a frame, and what to call once it was sent on

_STOP_TIMEOUT_S = 5.0
_UNSENT_LIMIT = 8  # frames coded and not yet sent on: beyond, frames are dropped, and it goes on with a keyframe
_CLOCK_STEP_S = 2.0


class Pace:
    """When frame n is captured: at `first_frame_wall + n / fps`, always. Times are Unix seconds."""

    def __init__(self, first_frame_wall: float, fps: float, late_s: float) -> None:
        """`late_s`: how late a frame may be before numbers are skipped to catch up; infinite: none ever is."""
        self.first_frame_wall = first_frame_wall
        self.fps = fps
        self._late_s = late_s

    def captured_at(self, number: int) -> float:
        """The moment frame `number` shows."""
        return self.first_frame_wall + number / self.fps

    def upcoming(self, now: float) -> int:
        """The first number whose moment is still to come."""
        return math.floor((now - self.first_frame_wall) * self.fps) + 1

    def after(self, previous: int, now: float) -> int:
        """The number to render after `previous`: the next, or the newest due one when that is too late."""
        if now - self.captured_at(previous + 1) <= self._late_s:
            return previous + 1
        return self.upcoming(now) - 1

    def change_fps(self, fps: float, previous: int) -> None:
        """Another rate from the frame after `previous` on."""
        self.first_frame_wall = self.captured_at(previous) - previous / fps
        self.fps = fps

    def shift(self, seconds: float) -> None:
        """Follow a wall clock that was set."""
        self.first_frame_wall += seconds


class LiveStream:
    """Renders, codes and hands over frames in its own thread while somebody is watching; those of a loop are there."""

    def __init__(
        self,
        settings: StreamSettings,
        pictures: PictureAt | Loop,
        deliver: Deliver,
        on_frame: OnFrame | None = None,
        on_failure: Callable[[], None] = lambda: None,
        late_s: float = 0.25,
    ) -> None:
        self.settings = settings
        self.frames_encoded = 0
        self.error: Exception | None = None
        self.pace = Pace(0.0, settings.fps, late_s)
        self.stamper = Stamper(random.getrandbits(32), random.getrandbits(16), random.getrandbits(32))
        self._pictures, self._deliver = pictures, deliver
        self._is_loop = isinstance(pictures, Loop)
        self._on_frame, self._on_failure = on_frame, on_failure
        self._changed = threading.Condition()
        self._watched = self._stopping = False
        self._keyframe_wanted = True
        self._is_broken = False  # a frame was dropped: what refers to it is of no use
        self._number = -1
        self._unsent = threading.BoundedSemaphore(_UNSENT_LIMIT)
        self._first_captured_at = 0.0
        self._coder: Coder | None = None
        self._thread: threading.Thread | None = None
        self.parameters: tuple[bytes, ...] = ()

    def start(self) -> None:
        """Begin: frame 0 is now. Raises av.error.FFmpegError if the settings cannot be coded."""
        self._coder = self._coder_for(self.settings)
        self.parameters = self._coder.parameters
        self._stopping, self._is_broken, self._number, self.error = False, False, -1, None
        self._unsent = threading.BoundedSemaphore(_UNSENT_LIMIT)
        self.pace.first_frame_wall = self._first_captured_at = time.time()
        self._thread = threading.Thread(target=self._run, name="rtsp-encoder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Raises TimeoutError if a picture is still being rendered after 5 s."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise TimeoutError(f"the encoder thread did not end within {_STOP_TIMEOUT_S:g} s")
        self._thread = None

    def watch(self, watched: bool) -> None:
        """Whether anybody is looking; nothing is rendered for nobody."""
        with self._changed:
            self._watched = watched
            self._changed.notify_all()

    def want_keyframe(self) -> None:
        """Let the next frame be one a newcomer can start from."""
        with self._changed:
            self._keyframe_wanted = True

    def change_size(self, width: int, height: int) -> None:
        """Another picture size from the next frame on. Raises ValueError if it cannot be coded, as a loop cannot."""
        self._refuse_for_loop()
        with self._changed:
            self.settings = replace(self.settings, width=width, height=height)

    def change_fps(self, fps: float) -> None:
        """Another frame rate from the next frame on. Raises ValueError if it cannot be coded, as a loop cannot."""
        self._refuse_for_loop()
        with self._changed:
            self.settings = replace(self.settings, fps=fps)
            self.pace.change_fps(fps, max(0, self._number))
            self._changed.notify_all()

    @property
    def codec(self) -> Codec:
        """What the stream is coded with."""
        return Codec(self.settings.codec)

    def _refuse_for_loop(self) -> None:
        if self._is_loop:
            raise ValueError("a loop is coded already: neither its size nor its rate can change")

    def _coder_for(self, settings: StreamSettings) -> Coder:
        return self._pictures if isinstance(self._pictures, Loop) else _Rendered(settings, self._pictures)

    def _run(self) -> None:
        try:
            self._render_while_watched()
        except Exception as exc:
            logger.exception("stream %s ended after %d frames", self.settings, self.frames_encoded)
            self.error = exc
            self._on_failure()
        finally:
            if self._coder is not None:
                self._coder.close()
                self._coder = None

    def _render_while_watched(self) -> None:
        coded_with = self.settings
        while self._wait_for_watchers():
            number = self._wait_for_moment()
            if number is None:
                continue
            if self.settings != coded_with:
                coded_with = self._new_coder()
            self._render(number)

    def _wait_for_watchers(self) -> bool:
        """True once there are some, False when told to stop."""
        with self._changed:
            if self._watched or self._stopping:
                return not self._stopping
            self._changed.wait_for(lambda: self._watched or self._stopping)
            self._number = max(self._number, self.pace.upcoming(time.time()) - 1)
            self._keyframe_wanted = True
            return not self._stopping

    def _wait_for_moment(self) -> int | None:
        """The next frame's number at the moment it shows; None if the world changed meanwhile."""
        with self._changed:
            now = time.time()
            number = self.pace.after(self._number, now)
            delay_s = self.pace.captured_at(number) - now
            if delay_s > 1 / self.pace.fps + _CLOCK_STEP_S:
                logger.warning("the wall clock went back %.1f s: the stream's clock follows", delay_s)
                self.pace.shift(-delay_s)
            elif delay_s <= 0 or not self._changed.wait(delay_s):
                self._number = number
                return number
            return None

    def _new_coder(self) -> StreamSettings:
        with self._changed:
            settings = self.settings
        if self._coder is not None:
            self._coder.close()
        self._coder = self._coder_for(settings)
        self.parameters = self._coder.parameters
        self.want_keyframe()
        return settings

    def _render(self, number: int) -> None:
        with self._changed:
            keyframe, self._keyframe_wanted = self._keyframe_wanted, False
            captured_at = self.pace.captured_at(number)
        assert self._coder is not None  # noqa: S101 - made in start, let go of when the thread ends
        coded = self._coder.code(number, keyframe=keyframe)
        rtp_time = self.stamper.rtp_time(captured_at - self._first_captured_at)
        packets = tuple(self.stamper.stamp(packet, rtp_time) for packet in coded.packets)
        self.frames_encoded += 1
        self._hand_over(EncodedFrame(number, captured_at, rtp_time, coded.keyframe, packets))
        if self._on_frame is not None:
            self._on_frame(number, captured_at)

    def _hand_over(self, frame: EncodedFrame) -> None:
        if self._is_broken and not frame.keyframe:
            return
        self._is_broken = not self._unsent.acquire(blocking=False)
        if self._is_broken:
            self.want_keyframe()
        else:
            self._deliver(frame, self._unsent.release)


class _Rendered:
    """Pictures rendered and coded when their moment has come, a keyframe whenever one is wanted."""

    def __init__(self, settings: StreamSettings, picture_at: PictureAt) -> None:
        self._encoder = VideoEncoder(settings)
        self._picture_at = picture_at
        self.parameters = self._encoder.parameters

    def code(self, number: int, *, keyframe: bool) -> CodedPicture:
        return self._encoder.encode(self._picture_at(number), keyframe=keyframe)

    def close(self) -> None:
        self._encoder.close()
