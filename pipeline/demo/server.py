"""The demo's cameras: `python -m pipeline.demo.server` renders bottle lines and serves them over RTSP until its
standard input ends, so that it never outlives who started it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.line import BottleLine
from pipeline.demo.render import Renderer
from pipeline.demo.rtsp_server import RtspServer

USER, PASSWORD = "demo", "bottles"


def camera_seed(seed: int, number: int) -> int:
    """Each camera's line has a truth of its own."""
    return seed * 1000 + number


def main() -> None:
    """Serve; tells the addresses and the wall time of frame 0 in one JSON line on standard output."""
    options = _options()
    cv2.setNumThreads(1)  # the detector needs the cores
    with RtspServer(options.host, options.port, user=USER, password=PASSWORD) as server:
        for number in range(1, options.cameras + 1):
            settings = StreamSettings(fps=options.fps)
            server.add_stream(f"line-{number}", settings, _pictures(camera_seed(options.seed, number), options.fps))
        told = {
            f"line-{n}": {
                "url": server.url(f"line-{n}"),
                "started_at": server.first_frame_wall(f"line-{n}"),
                "seed": camera_seed(options.seed, n),
            }
            for n in range(1, options.cameras + 1)
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):  # typed by hand, Ctrl-C is the way to stop it
            sys.stdin.read()


def _pictures(seed: int, fps: float) -> Callable[[int], npt.NDArray[np.uint8]]:
    renderer = Renderer(BottleLine(seed))
    return lambda number: renderer.render(number / fps)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--fps", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
