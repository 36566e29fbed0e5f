"""Regions of decoded pictures, resized plane by plane and only then turned into RGB.

Colour is BT.601 with limited range, as OpenCV converts: what cameras and the models' training pictures mostly are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from stages.values import Picture, PixelFormat, UInt8

SUBSAMPLED = (PixelFormat.YUV420P, PixelFormat.NV12)


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a picture as views of its planes; no pixel is copied."""

    planes: tuple[UInt8, ...]  # yuv420p: Y, U, V; nv12: Y, UV (h/2, w/2, 2); rgb24: (h, w, 3); gray8: (h, w)
    format: PixelFormat
    left: int  # source pixels
    top: int
    width: int
    height: int
    whole: UInt8 | None  # the picture's own array, where the region is all of it


def luma(picture: Picture) -> UInt8:
    """The picture's brightness (H, W): the Y plane itself where there is one."""
    if picture.format is PixelFormat.RGB24:
        return cast(UInt8, cv2.cvtColor(picture.data, cv2.COLOR_RGB2GRAY))
    return picture.data[: picture.height]


def crop(picture: Picture, roi: tuple[float, float, float, float]) -> Region:
    """The part of the picture inside `roi` (x1 y1 x2 y2, fractions), widened to whole pixels, or pairs of them.

    Raises ValueError where the region has no pixels or lies outside the picture.
    """
    x1, y1, x2, y2 = roi
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        raise ValueError(f"region {roi} must be x1 < x2, y1 < y2 within 0..1")
    step = 2 if picture.format in SUBSAMPLED else 1
    left, right = _whole_pixels(x1, x2, picture.width, step)
    top, bottom = _whole_pixels(y1, y2, picture.height, step)
    if right <= left or bottom <= top:
        raise ValueError(f"region {roi} of a {picture.width}x{picture.height} picture has no pixels")
    planes = tuple(
        plane[top // down : bottom // down, left // down : right // down]
        for plane, down in zip(_planes(picture), (1, 2, 2), strict=False)
    )
    whole = picture.data if (right - left, bottom - top) == (picture.width, picture.height) else None
    return Region(planes, picture.format, left, top, right - left, bottom - top, whole)


def to_rgb(region: Region, width: int, height: int) -> UInt8:
    """The region at this size: (height, width, 3) RGB, or (height, width) where the picture has no colour."""
    if region.format not in SUBSAMPLED:
        return _resized(region.planes[0], width, height)
    if width % 2 or height % 2:  # chroma has no half pixel: colour first, then the size
        return _resized(_colour(region, region.width, region.height), width, height)
    return _colour(region, width, height)


def split_planes(packed: UInt8, layout: PixelFormat, width: int, height: int) -> tuple[UInt8, ...]:
    """Views of the planes in one 4:2:0 array (height * 3 / 2, width). Raises ValueError for an odd size."""
    if width % 2 or height % 2:
        raise ValueError(f"a {layout} picture needs an even size, got {width}x{height}")
    chroma = packed[height:]
    if layout is PixelFormat.NV12:
        return packed[:height], chroma.reshape(height // 2, width // 2, 2)
    u, v = chroma.reshape(2, height // 2, width // 2)
    return packed[:height], u, v


def _planes(picture: Picture) -> tuple[UInt8, ...]:
    if picture.format not in SUBSAMPLED:
        return (picture.data,)
    return split_planes(picture.data, picture.format, picture.width, picture.height)


def _whole_pixels(start: float, end: float, length: int, step: int) -> tuple[int, int]:
    last = length // step
    return math.floor(start * last) * step, (length if end == 1 else math.ceil(end * last) * step)


def _colour(region: Region, width: int, height: int) -> UInt8:
    code = cv2.COLOR_YUV2RGB_NV12 if region.format is PixelFormat.NV12 else cv2.COLOR_YUV2RGB_I420
    return cast(UInt8, cv2.cvtColor(_packed(region, width, height), code))


def _packed(region: Region, width: int, height: int) -> UInt8:
    """The region in one 4:2:0 array (height * 3 / 2, width): the picture's own where it fits, else resized into one."""
    if region.whole is not None and (region.width, region.height) == (width, height):
        return region.whole
    packed = np.empty((height * 3 // 2, width), np.uint8)
    for source, target in zip(region.planes, split_planes(packed, region.format, width, height), strict=True):
        target[...] = _resized(source, target.shape[1], target.shape[0])
    return packed


def _resized(plane: UInt8, width: int, height: int) -> UInt8:
    if plane.shape[:2] == (height, width):
        return plane
    return cast(UInt8, cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))
