"""Kafka messages for tests: encoded images and coded video, made here."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from pipeline.ingest.kafka.message import RawMessage
from stages.values import UInt8

AT_MS = 1_700_000_000_000
ZEROLATENCY = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "keyint=6:scenecut=0:repeat-headers=1"},
    "libx265": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": "keyint=6:scenecut=0:repeat-headers=1:log-level=none",
    },
}


def message(
    value: bytes | None,
    offset: int = 0,
    key: bytes | None = b"cam-1",
    headers: Sequence[tuple[str, bytes]] = (),
    timestamp_ms: int = AT_MS,
) -> RawMessage:
    return RawMessage("pictures", 0, offset, key, value, tuple(headers), timestamp_ms)


def blocks(width: int = 64, height: int = 48, seed: int = 0) -> UInt8:
    """Coloured squares of 8 pixels, (H, W, 3) RGB."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return np.ascontiguousarray(np.kron(small, np.ones((8, 8, 1), np.uint8))[:height, :width])


def encoded(pixels: UInt8, kind: str = "JPEG", mode: str | None = None, **options: object) -> bytes:
    image = Image.fromarray(pixels)
    out = io.BytesIO()
    (image.convert(mode) if mode else image).save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def coded(
    encoder: str = "libx264",
    count: int = 20,
    options: Mapping[str, str] | None = None,
    size: tuple[int, int] = (96, 64),
) -> list[bytes]:
    """Access units of a moving square on a noisy ground, every picture different."""
    codec = av.CodecContext.create(encoder, "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt, codec.time_base = *size, "yuv420p", Fraction(1, 25)
    codec.options = dict(ZEROLATENCY[encoder] if options is None else options)
    rng = np.random.default_rng(1)
    packets = []
    for number in range(count):
        pixels = rng.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
        pixels[8:40, number * 3 : number * 3 + 16] = 230
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += codec.encode(frame)
    return [bytes(packet) for packet in [*packets, *codec.encode(None)]]
