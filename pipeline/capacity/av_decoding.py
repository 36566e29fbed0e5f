"""What decoding costs on this machine: a stream is coded in memory, as a camera would, and decoded again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from pipeline.capacity.costs import BITS_PER_PIXEL, Codec
from pipeline.ingest.av_pictures import Pictures
from pipeline.ingest.source import made
from stages.values import Picture, UInt8

_FPS = 25
_KEYFRAME_EVERY = 50
_NOISE = 3.0  # standard deviation of a sensor's noise, of 255
_ENCODERS = {
    Codec.H264: ("libx264", {"preset": "veryfast", "tune": "zerolatency"}),
    Codec.HEVC: ("libx265", {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none"}),
    Codec.MJPEG: ("mjpeg", {}),
}


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """One frame on one core."""

    decode_ms: float  # CPU, from packet to decoded frame: for each frame the camera sends
    picture_ms: float  # CPU, from decoded frame to Picture: only for frames that are looked at
    bits: float  # of the packets, per frame


def decode_cost(codec: Codec, width: int, height: int, frames: int = 50) -> DecodeCost:
    """Measured now, in CPU time of this process, which must do nothing else meanwhile."""
    packets = list(_coded(codec, width, height, frames))
    decoder = av.CodecContext.create(codec.value, "r")
    decoder.thread_count = 1
    started = time.process_time()
    decoded = [frame for data in packets for frame in decoder.decode(Packet(data))]
    decoded += decoder.decode(None)
    between = time.process_time()
    pictures = Pictures()
    for frame in decoded:
        made(pictures.of(frame))
    ended = time.process_time()
    count = max(1, len(decoded))
    bits = sum(map(len, packets)) * 8 / count
    return DecodeCost((between - started) * 1e3 / count, (ended - between) * 1e3 / count, bits)


def sample_picture(width: int, height: int, number: int = 0) -> Picture:
    """One of the pictures that are coded, as a decoder gives them."""
    return made(Pictures().of(_frame(_scene(width, height), number)))


def _coded(codec: Codec, width: int, height: int, frames: int) -> Iterator[bytes]:
    name, options = _ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, VideoCodecContext)  # noqa: S101 - for the type checker
    encoder.width, encoder.height, encoder.time_base = width, height, Fraction(1, _FPS)
    encoder.framerate, encoder.gop_size = Fraction(_FPS), _KEYFRAME_EVERY
    encoder.pix_fmt = "yuvj420p" if codec is Codec.MJPEG else "yuv420p"
    encoder.bit_rate = round(BITS_PER_PIXEL[codec] * width * height * _FPS)
    encoder.options = dict(options)
    scene = _scene(width, height)
    for number in range(frames):
        frame = _frame(scene, number)
        frame = frame.reformat(format=encoder.pix_fmt)
        frame.pts = number
        yield from map(bytes, encoder.encode(frame))
    yield from map(bytes, encoder.encode(None))


def _scene(width: int, height: int) -> UInt8:
    """A room without people: shapes large and small, sharp and soft. (height, width, 3) RGB."""
    rng = np.random.default_rng(1)
    layers = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((4, 60.0), (16, 30.0), (64, 15.0)):
        small = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        layers += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    scene = np.clip(layers + 110, 0, 255).astype(np.uint8)
    for x, y, w, h in rng.integers(0, 1000, (40, 4)) / 1000:
        left, top = int(x * width), int(y * height)
        scene[top : top + int(h * height / 4), left : left + int(w * width / 4)] = rng.integers(0, 256, 3)
    return scene


def _frame(scene: UInt8, number: int) -> VideoFrame:
    """The scene with something walking through, seen by a sensor that has noise."""
    height, width = scene.shape[:2]
    picture = scene.copy()
    for lane in range(1, 6):
        left = (number * width // 125 * lane // 2 + lane * width // 7) % width
        picture[lane * height // 7 : (lane + 1) * height // 7, left : left + width // 16] = 40 * lane
    noise = np.empty((height, width, 3), np.int16)
    cv2.setRNGSeed(number)
    cv2.randn(noise, np.zeros(3), np.full(3, _NOISE))
    noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return VideoFrame.from_ndarray(noisy, format="rgb24").reformat(format="yuv420p")
