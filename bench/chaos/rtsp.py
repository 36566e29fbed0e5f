"""The drill's camera: numbered pictures over RTSP, in a process that may be killed and started again on its port."""

from __future__ import annotations

import argparse
import sys
import time

import cv2

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.rtsp_server import RtspServer
from tests.numbered import LARGEST_NUMBER, numbered_picture

SIZE_WH = (320, 192)
PATH = "cam"


def main() -> None:
    """Serve until standard input ends. A picture's number is its time: numbers rise over restarts too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--since", type=float, required=True, help="Unix seconds of number 0")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    first = int((time.time() - options.since) * options.fps) + 1
    settings = StreamSettings(fps=options.fps, width=SIZE_WH[0], height=SIZE_WH[1], bitrate=600_000)
    with RtspServer("127.0.0.1", options.port) as server:
        server.add_stream(PATH, settings, lambda n: numbered_picture((first + n) % LARGEST_NUMBER, *SIZE_WH))
        sys.stdout.write(server.url(PATH) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
