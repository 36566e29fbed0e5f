"""A camera farm: one encoded stream of the bottle line under many RTSP paths, until standard input ends."""

from __future__ import annotations

import argparse
import json
import sys

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.line import BottleLine
from pipeline.demo.render import Renderer
from pipeline.demo.rtsp_server import RtspServer

BITRATE = 600_000  # bits a second, as small cameras are set
RENDERED_S = 4  # rendered once and repeated: the farm must not take the pipeline's cores


def main() -> None:
    """Serve; one JSON line with the addresses on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--fps", type=float, default=30.0)
    options = parser.parse_args()
    renderer = Renderer(BottleLine(7))
    pictures = [renderer.render(20 + n / options.fps) for n in range(int(RENDERED_S * options.fps))]
    with RtspServer() as server:
        settings = StreamSettings(fps=options.fps, bitrate=BITRATE)
        server.add_stream("cam-1", settings, lambda n: pictures[n % len(pictures)])
        for number in range(2, options.cameras + 1):
            server.add_alias(f"cam-{number}", "cam-1")
        urls = [server.url(f"cam-{number}") for number in range(1, options.cameras + 1)]
        sys.stdout.write(json.dumps(urls) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
