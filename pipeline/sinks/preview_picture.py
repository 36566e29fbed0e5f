"""A frame as those see it who watch: small, with what was found drawn on it, as JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from pipeline.sinks.drawing import draw
from pipeline.sinks.preview_desk import Shot
from pipeline.sinks.preview_settings import PreviewSettings
from stages.preprocess.pixels import crop, to_rgb
from stages.values import Picture, UInt8

_WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A JPEG and its size in pixels."""

    jpeg: bytes
    width: int
    height: int


def encode(shot: Shot, settings: PreviewSettings) -> Encoded:
    """The shot's picture. Raises ValueError, or cv2.error, where it cannot be made into one."""
    small = shrunk(shot.frame.image, settings.width)
    drawn = draw(small, shot.result, shot.judged)
    fine, jpeg = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, settings.quality])
    if not fine:
        raise ValueError(f"OpenCV cannot encode a picture of {drawn.shape}")
    return Encoded(jpeg.tobytes(), drawn.shape[1], drawn.shape[0])


def shrunk(picture: Picture, most_width: int) -> UInt8:
    """(H, W, 3) uint8 B G R, or (H, W) where it has no colour; at most so wide, and never larger than it was."""
    width, height = picture.width, picture.height
    if width > most_width:
        # Even sizes: the planes of 4:2:0 are resized before there is any colour, which costs a fraction.
        height = max(2, round(height * most_width / width / 2) * 2)
        width = most_width - most_width % 2
    small = to_rgb(crop(picture, _WHOLE), width, height)
    return small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_RGB2BGR)  # type: ignore[return-value]
