"""Where the boxes of a message lie on the picture that was stored of it: the whole frame, or a crop of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

Xyxy = tuple[float, float, float, float]  # source pixels
SizeWh = tuple[int, int]

_MARGINS = [step / 200 for step in range(401)]  # 0 to 2, all that `snapshots.margin` may be
_TOLERANCE_PX = 1  # messages round boxes to 0.1, so a crop's edge may lie one pixel beside


@dataclass(frozen=True, slots=True)
class Placed:
    """A box on a picture, as shares of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the frame that a picture shows, source pixels."""

    left: float
    top: float
    width: float
    height: float

    def place(self, box: Xyxy) -> Placed | None:
        """The box as far as the picture shows it; None where it shows nothing of it, or it is no box."""
        if not all(math.isfinite(value) for value in box):
            return None
        x1, x2 = (min(1.0, max(0.0, (x - self.left) / self.width)) for x in (box[0], box[2]))
        y1, y2 = (min(1.0, max(0.0, (y - self.top) / self.height)) for y in (box[1], box[3]))
        if x2 <= x1 or y2 <= y1:
            return None
        return Placed(x1, y1, x2 - x1, y2 - y1)


def window_of(frame: SizeWh, part: Xyxy, picture: SizeWh) -> Window | None:
    """What of the `frame` a picture of this size shows; None where it is neither the frame nor a crop around the part.

    It is found from the sizes alone, so pictures keep their boxes when `snapshots.area` or `margin` are changed.
    """
    if picture == frame:
        return Window(0.0, 0.0, *frame)
    if min(*frame, *picture) < 1 or not all(math.isfinite(value) for value in part):
        return None
    crops = [crop for margin in _MARGINS if (crop := _crop(frame, part, margin)) is not None]
    nearest = min(crops, key=lambda crop: _misfit(crop, picture), default=None)
    if nearest is not None and _misfit(nearest, picture) <= _TOLERANCE_PX:
        return Window(nearest.left, nearest.top, *picture)
    return Window(0.0, 0.0, *frame) if _same_shape(frame, picture) else None


def _crop(frame: SizeWh, part: Xyxy, margin: float) -> Window | None:
    """As `pipeline.sinks.snapshots.crop` cuts it."""
    x1, y1, x2, y2 = part
    dx, dy = (x2 - x1) * margin, (y2 - y1) * margin
    left, right = max(0, int(x1 - dx)), min(frame[0], int(x2 + dx) + 1)
    top, bottom = max(0, int(y1 - dy)), min(frame[1], int(y2 + dy) + 1)
    return Window(left, top, right - left, bottom - top) if right > left and bottom > top else None


def _misfit(window: Window, picture: SizeWh) -> float:
    return max(abs(window.width - picture[0]), abs(window.height - picture[1]))


def _same_shape(frame: SizeWh, picture: SizeWh) -> bool:
    return abs(frame[0] / frame[1] - picture[0] / picture[1]) < 0.01 * frame[0] / frame[1]
