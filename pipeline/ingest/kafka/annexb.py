"""H.264 and H.265 as byte streams (Annex B): which of both, where pictures begin, where decoding may begin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.ingest.kafka.message import MessageRefused, Refusal
from pipeline.ingest.video_codec import VideoCodec

_START = b"\0\0\1"
_MOST_UNITS = 10_000  # NAL units of a message: each costs a step here


@dataclass(frozen=True, slots=True)
class Nal:
    """One NAL unit: where its start code begins, and what it is."""

    start: int
    parameters: bool  # a parameter set that tells the picture's size
    picture: bool  # coded pixels
    first: bool  # the first of a picture's
    intra: bool  # decoding may begin at this picture
    prefix: bool  # behind coded pixels, it belongs to the next picture


@dataclass(frozen=True, slots=True)
class AccessUnits:
    """A message's pictures, still coded; `rest` is what stands behind them and belongs to the next message's first."""

    units: tuple[bytes, ...]
    rest: bytes
    begins: bool  # decoding may begin here: parameter sets, and no picture before a keyframe


def is_annexb(data: bytes) -> bool:
    """True where the bytes begin with a start code."""
    return data.startswith((b"\0\0\1", b"\0\0\0\1"))


def codec_of(data: bytes) -> VideoCodec | None:
    """Told by the parameter sets; None where there are none."""
    for at in _units(data):
        first, second = data[at], data[at + 1]
        if first in (0x40, 0x42) and second == 1:
            return VideoCodec.H265
        if first & 0x9F == 7:
            return VideoCodec.H264
    return None


def access_units(data: bytes, codec: VideoCodec) -> AccessUnits:
    """The pictures of a message. Raises MessageRefused where it is made of too many pieces."""
    cuts: list[int] = []
    pending: int | None = 0  # where the next picture's prefix began
    begins = parameters = False
    for nal in _nals(data, codec):
        parameters = parameters or nal.parameters
        if nal.picture:
            if nal.first or not cuts:
                cuts.append(nal.start if pending is None else pending)
                begins = begins or (len(cuts) == 1 and parameters and nal.intra)
            pending = None
        elif nal.prefix and pending is None:
            pending = nal.start
    end = len(data) if pending is None else pending
    units = tuple(data[a:b] for a, b in zip(cuts, [*cuts[1:], end], strict=True)) if cuts else ()
    return AccessUnits(units, data[end:] if cuts else data, begins or (parameters and not cuts))


def _units(data: bytes) -> Iterator[int]:
    """Where NAL units begin, behind their start codes; those too short to say what they are left out."""
    at = 0
    for _ in range(_MOST_UNITS):
        at = data.find(_START, at) + len(_START)
        if at < len(_START):
            return
        if at + 2 < len(data):
            yield at
    raise MessageRefused(Refusal.NOT_DECODABLE, f"coded video of more than {_MOST_UNITS} NAL units")


def _nals(data: bytes, codec: VideoCodec) -> Iterator[Nal]:
    read = _h264 if codec is VideoCodec.H264 else _h265
    for at in _units(data):
        yield read(data, at)


def _start_of(data: bytes, at: int) -> int:
    """Of a start code: three bytes, or four."""
    start = at - len(_START)
    return start - (start > 0 and data[start - 1] == 0)


def _h264(data: bytes, at: int) -> Nal:
    kind = data[at] & 0x1F
    picture = kind in (1, 2, 5)
    return Nal(
        _start_of(data, at),
        parameters=kind == 7,
        picture=picture,
        first=picture and bool(data[at + 1] & 0x80),  # first_mb_in_slice is 0
        intra=kind == 5,
        prefix=kind in (6, 7, 8, 9) or 14 <= kind <= 18,
    )


def _h265(data: bytes, at: int) -> Nal:
    kind = data[at] >> 1 & 0x3F
    picture = kind < 32
    return Nal(
        _start_of(data, at),
        parameters=kind == 33,
        picture=picture,
        first=picture and bool(data[at + 2] & 0x80),  # first_slice_segment_in_pic_flag
        intra=16 <= kind <= 21,
        prefix=32 <= kind <= 35 or kind == 39 or 41 <= kind <= 44 or 48 <= kind <= 55,
    )
