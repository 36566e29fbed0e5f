"""A camera that shows bottles at instants it tells: one line `{"shown_at": UNIX_SECONDS}` each, by its own clock.

Until standard input ends. Bottles stand in the picture for a while, then the belt is empty, and so on. The instant is
taken when the picture is handed to the encoder: what follows, coding included, counts as latency.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.line import BottleLine
from pipeline.demo.render import Renderer
from pipeline.demo.rtsp_server import RtspServer

BITRATE = 3_000_000  # bits a second: the first picture of something new must not be a blur
EMPTY_AT_S, FULL_AT_S = 0.0, 20.0  # on the line's clock: before the first bottle comes in, and among many
PICTURES = 8  # of each kind, a hundredth of a second apart
SHORTEST_S, LONGEST_S = 0.4, 0.9  # either state lasts between these, and two frames at least


class Shows:
    """Whether bottles are in frame `number`; asked with rising numbers."""

    def __init__(self, fps: float, rng: random.Random) -> None:
        self._shortest = max(2, math.ceil(SHORTEST_S * fps))
        self._longest = max(self._shortest + 1, math.ceil(LONGEST_S * fps))
        self._rng = rng
        self._changes_at = 0
        self._is_on = True

    def is_on(self, number: int) -> bool:
        """Empty at first."""
        while number >= self._changes_at:
            self._is_on = not self._is_on
            self._changes_at += self._rng.randint(self._shortest, self._longest)
        return self._is_on


class ShowingCamera:
    """What the server asks for pictures, and tells when they are on their way."""

    def __init__(self, shows: Shows) -> None:
        renderer = Renderer(BottleLine(7))
        self._empty, self._full = (
            [renderer.render(at_s + n / 100) for n in range(PICTURES)] for at_s in (EMPTY_AT_S, FULL_AT_S)
        )
        self._shows = shows
        self._was_on = False
        self._shown_at: float | None = None

    def picture_at(self, number: int) -> npt.NDArray[np.uint8]:
        """As the server asks."""
        is_on = self._shows.is_on(number)
        self._shown_at = time.time() if is_on and not self._was_on else None
        self._was_on = is_on
        return (self._full if is_on else self._empty)[number % PICTURES]

    def on_frame(self, _number: int, _captured_at: float) -> None:
        """Told after it was sent: telling must not delay it."""
        if self._shown_at is not None:
            sys.stdout.write(json.dumps({"shown_at": self._shown_at}) + "\n")
            sys.stdout.flush()


def main() -> None:
    """Serve; the first line on standard output is `{"url": ...}`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fps", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    camera = ShowingCamera(Shows(options.fps, random.Random(options.seed)))
    with RtspServer() as server:
        settings = StreamSettings(fps=options.fps, bitrate=BITRATE)
        server.add_stream("shown", settings, camera.picture_at, camera.on_frame)
        sys.stdout.write(json.dumps({"url": server.url("shown")}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
