"""Pictures as decoded become one letterboxed RGB tensor, and the numbers camera health is judged by."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from stages.geometry import Roi
from stages.preprocess.pixels import crop, to_rgb
from stages.preprocess.statistics import measure
from stages.values import CameraId, Frame, FrameFailed, Picture, PictureStats, Prepared, UInt8

logger = logging.getLogger(__name__)

PADDING = 114  # the grey the models were trained with
WHOLE: Roi = (0.0, 0.0, 1.0, 1.0)

cv2.setNumThreads(1)  # a frame is too small to share out, and the other core is the model's


class Preprocessor:
    """Makes the model's tensor from frames of any size and format; holds no state between calls."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self._height, self._width = size_hw
        if min(size_hw) < 1:
            raise ValueError(f"the model's rectangle must be at least 1x1, got {size_hw}")

    def prepare(self, frames: Sequence[Frame], rois: Mapping[CameraId, Roi] | None = None) -> Prepared:
        """Letterbox each frame's region of interest (default: the whole picture) into the model's rectangle.

        A frame that cannot be worked on has `FrameFailed` in `stats` and no row in the tensor.
        """
        started = time.perf_counter()
        tensor = np.empty((len(frames), 3, self._height, self._width), np.uint8)
        stats: list[PictureStats | FrameFailed] = []
        index: list[int] = []
        to_source: list[tuple[float, ...]] = []
        source_wh: list[tuple[int, int]] = []
        for number, frame in enumerate(frames):
            roi = WHOLE if rois is None else rois.get(frame.camera_id, WHOLE)
            try:
                placed = self._place(frame.image, roi, tensor[len(index)])
                stats.append(measure(frame.image))
            except (cv2.error, ValueError) as exc:
                logger.warning("camera %s frame %d cannot be prepared: %s", frame.camera_id, frame.seq, exc)
                stats.append(FrameFailed(f"cannot be prepared: {exc}"))
                continue
            index.append(number)
            to_source.append(placed)
            source_wh.append((frame.image.width, frame.image.height))
        return Prepared(
            tensor=tensor[: len(index)],
            to_source=np.array(to_source, np.float32).reshape(-1, 4),
            source_wh=np.array(source_wh, np.int32).reshape(-1, 2),
            index=tuple(index),
            stats=tuple(stats),
            took_ms=(time.perf_counter() - started) * 1e3,
        )

    def _place(self, picture: Picture, roi: Roi, row: UInt8) -> tuple[float, float, float, float]:
        """Write one picture into its row (3, h, w) of the tensor; where it came to lie, as `Prepared.to_source`."""
        region = crop(picture, roi)
        fit = fit_into(region.width, region.height, self._width, self._height)
        _pad_and_transpose(to_rgb(region, fit.width, fit.height), fit, row)
        scale_x, scale_y = fit.width / region.width, fit.height / region.height
        return (scale_x, scale_y, fit.left - region.left * scale_x, fit.top - region.top * scale_y)


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the resized picture lies in the model's rectangle, pixels."""

    width: int
    height: int
    left: int
    top: int


def fit_into(width: int, height: int, model_width: int, model_height: int) -> Fit:
    """The largest picture of the same shape that fits, centred; odd padding leaves the larger half right and below.

    The same rounding as ultralytics' LetterBox(auto=False, center=True), so that boxes agree to the pixel.
    """
    ratio = min(model_height / height, model_width / width)
    fitted_w, fitted_h = max(round(width * ratio), 1), max(round(height * ratio), 1)
    left, top = round((model_width - fitted_w) / 2 - 0.1), round((model_height - fitted_h) / 2 - 0.1)
    return Fit(fitted_w, fitted_h, left, top)


def _pad_and_transpose(image: UInt8, fit: Fit, row: UInt8) -> None:
    right, bottom = fit.left + fit.width, fit.top + fit.height
    row[:, : fit.top] = PADDING
    row[:, bottom:] = PADDING
    row[:, fit.top : bottom, : fit.left] = PADDING
    row[:, fit.top : bottom, right:] = PADDING
    inside = row[:, fit.top : bottom, fit.left : right]
    if image.ndim == 2:  # grey: the same in all three channels
        inside[...] = image
        return
    cv2.split(image, list(inside))  # in place, three times as fast as a transposed copy
