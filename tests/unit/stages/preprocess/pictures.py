"""Synthetic pictures of every format, made from one RGB scene."""

import cv2
import numpy as np

from stages.values import CameraId, Clock, Frame, Picture, PixelFormat, Position, UInt8


def scene(width: int, height: int, seed: int = 1) -> UInt8:
    """A smooth colourful scene (height, width, 3) RGB: smooth, so that halved chroma loses little of it."""
    coarse = np.random.default_rng(seed).integers(30, 220, (max(height // 60, 2), max(width // 60, 2), 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def picture(rgb: UInt8, layout: PixelFormat) -> Picture:
    """The RGB scene as a decoder would give it in this format."""
    height, width = rgb.shape[:2]
    return Picture(_data(rgb, layout), layout, width, height)


def frame(image: Picture, camera: str = "cam-1", seq: int = 0) -> Frame:
    """A frame around the picture."""
    return Frame(CameraId(camera), seq, 100.0, Clock.MEDIA, Position("file:test", 0, seq), image)


def _data(rgb: UInt8, layout: PixelFormat) -> UInt8:
    match layout:
        case PixelFormat.RGB24:
            return rgb
        case PixelFormat.GRAY8:
            return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        case PixelFormat.YUV420P:
            return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
        case PixelFormat.NV12:
            return _interleaved(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8))


def _interleaved(i420: UInt8) -> UInt8:
    height, width = i420.shape[0] * 2 // 3, i420.shape[1]
    u, v = i420[height:].reshape(2, height // 2, width // 2)
    return np.vstack([i420[:height], np.stack([u, v], axis=-1).reshape(height // 2, width)])
