"""The numbers camera health is judged by, measured on a shrunk luma plane."""

from __future__ import annotations

from typing import cast

import cv2

from stages.preprocess.pixels import luma
from stages.values import Picture, PictureStats, UInt8

THUMBNAIL_WH = (16, 12)
WIDEST = 1024  # pixels: beyond this a luma is halved again, for its detail is finer than anything judged


def measure(picture: Picture) -> PictureStats:
    """Brightness, contrast, sharpness and thumbnail of the whole picture, whatever region the model sees.

    Luma is as decoded: black is 16 in limited-range video and 0 in rgb24. Raises ValueError for a picture under 2x2.
    """
    small = _halved(luma(picture))
    while small.shape[1] > WIDEST:
        small = _halved(small)
    mean, deviation = cv2.meanStdDev(small)
    edges = cv2.Laplacian(small, cv2.CV_16S)
    return PictureStats(
        mean=float(mean[0, 0]),
        deviation=float(deviation[0, 0]),
        # The variance, by sums: for 16 bits `meanStdDev` takes ten times as long.
        sharpness=max(0.0, cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - cv2.mean(edges)[0] ** 2),
        thumbnail=cv2.resize(small, THUMBNAIL_WH, interpolation=cv2.INTER_AREA).tobytes(),
    )


def _halved(plane: UInt8) -> UInt8:
    height, width = plane.shape
    if min(height, width) < 2:
        raise ValueError(f"a picture of {width}x{height} is too small to judge")
    return cast(UInt8, cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA))
