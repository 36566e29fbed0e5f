"""A camera farm: one loop of the bottle line, coded once, under many RTSP paths, until standard input ends."""

from __future__ import annotations

import argparse
import json
import sys

import cv2

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.line import BottleLine
from pipeline.demo.loop import Loop
from pipeline.demo.render import Renderer
from pipeline.demo.rtsp_server import RtspServer

BITRATE = 600_000  # bits a second, as small cameras are set
LOOP_S = 4  # longer shows more of the line and takes longer to start


def main() -> None:
    """Serve; one JSON line with the addresses on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--fps", type=float, default=30.0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    loop = line_loop(options.fps)
    with RtspServer() as server:
        server.add_loop("cam-1", loop)
        for number in range(2, options.cameras + 1):
            server.add_alias(f"cam-{number}", "cam-1")
        urls = [server.url(f"cam-{number}") for number in range(1, options.cameras + 1)]
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


def line_loop(fps: float) -> Loop:
    """About LOOP_S seconds of the line, whole groups of pictures."""
    settings = StreamSettings(fps=fps, bitrate=BITRATE)
    renderer, group = Renderer(BottleLine(7)), max(1, round(fps * settings.keyframe_s))
    count = group * max(1, round(LOOP_S * fps / group))
    return Loop(settings, [renderer.render(20 + n / fps) for n in range(count)])


if __name__ == "__main__":
    main()
