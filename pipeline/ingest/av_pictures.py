"""Pictures of what FFmpeg decoded: upright, even-sized, in few formats."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from pipeline.ingest.source import UnmadePicture
from stages.values import Picture, PixelFormat, UInt8


class Pictures:
    """Makes Pictures of decoded frames: upright, even-sized, limited range."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame

    def of(self, frame: VideoFrame) -> Picture | UnmadePicture:
        """One picture, not yet copied where that is all it takes.

        8-bit 4:2:0 and grey stay as they are, other YUV becomes 4:2:0, anything else RGB.
        """
        turns = round(frame.rotation / 90) % 4  # quarter turns counter-clockwise
        frame = self._simple(frame, keep_nv12=not turns)
        match frame.format.name:
            case "rgb24":
                return _of_array(np.rot90(frame.to_ndarray(), turns), PixelFormat.RGB24)
            case "gray":
                return _of_array(np.rot90(frame.to_ndarray(), turns), PixelFormat.GRAY8)
            case name if not turns and not (frame.width | frame.height) & 1:
                return UnmadePicture(frame.width, frame.height, lambda: _copied(frame, PixelFormat(name)))
        return _turned_planes(frame, turns)

    def _simple(self, frame: VideoFrame, keep_nv12: bool) -> VideoFrame:
        """The frame in one of yuv420p, nv12, gray and rgb24."""
        name = frame.format.name
        full_range = name.startswith("yuvj") or (frame.color_range == ColorRange.JPEG and not frame.format.is_rgb)
        if name.startswith("gray") and "a" not in name[4:]:
            return frame if name == "gray" else self._reformatter.reformat(frame, format="gray")
        if frame.format.is_rgb or name.startswith(("pal", "mono", "bayer", "ya", "gray")):
            return frame if name == "rgb24" else self._reformatter.reformat(frame, format="rgb24")
        even = not (frame.width | frame.height) & 1
        if not full_range and (name == "yuv420p" or (name == "nv12" and keep_nv12 and even)):
            return frame
        ranges = {"src_color_range": ColorRange.JPEG, "dst_color_range": ColorRange.MPEG} if full_range else {}
        return self._reformatter.reformat(frame, format="yuv420p", **ranges)


def _copied(frame: VideoFrame, pixel_format: PixelFormat) -> Picture:
    pixels: Any = frame.to_ndarray()
    return Picture(pixels, pixel_format, frame.width, frame.height)


def _of_array(pixels: Any, pixel_format: PixelFormat) -> Picture:
    return Picture(np.ascontiguousarray(pixels), pixel_format, pixels.shape[1], pixels.shape[0])


def _turned_planes(frame: VideoFrame, turns: int) -> Picture:
    """A yuv420p frame turned, and cropped by its last row and column where they are odd."""
    width, height = frame.width & ~1, frame.height & ~1
    sizes = [(width, height), (width // 2, height // 2), (width // 2, height // 2)]
    planes = [np.rot90(_plane(p, *size), turns) for p, size in zip(frame.planes, sizes, strict=True)]
    if turns % 2:
        width, height = height, width
    data = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)
    return Picture(data, PixelFormat.YUV420P, width, height)


def _plane(plane: Any, width: int, height: int) -> UInt8:
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width]
