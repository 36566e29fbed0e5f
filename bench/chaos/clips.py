"""The drill's films: pictures that carry their number, and the demo's bottle line with its truth."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.demo.line import BottleLine
from pipeline.demo.render import Renderer
from tests.numbered import numbered_picture

PARTS_SEED = 7
PARTS_WH = (416, 234)


def bottle_line() -> BottleLine:
    """The line in the film of parts: its second 0 is the film's first picture."""
    return BottleLine(PARTS_SEED, *PARTS_WH)


def numbered_film(path: Path, seconds: float, fps: int) -> Path:
    """Picture n carries the number n."""
    return _film(path, fps, (320, 192), (numbered_picture(n, 320, 192) for n in range(int(seconds * fps))))


def parts_film(path: Path, seconds: float, fps: int) -> Path:
    """The bottle line from its empty belt on."""
    renderer = Renderer(bottle_line())
    return _film(path, fps, PARTS_WH, (renderer.render(n / fps) for n in range(int(seconds * fps))))


def _film(path: Path, fps: int, size_wh: tuple[int, int], pictures: Iterable[NDArray[np.uint8]]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "20", "g": str(fps)})
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
