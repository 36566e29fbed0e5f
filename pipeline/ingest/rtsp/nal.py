"""NAL units of H.264 and H.265: what each one is to the picture it belongs to."""

from __future__ import annotations

from enum import IntFlag

from pipeline.ingest.video_codec import VideoCodec


class Nal(IntFlag):
    """What a NAL unit is."""

    OTHER = 0
    PICTURE = 1  # coded pixels
    FIRST = 2  # a picture begins here: its first slice, or what stands before it
    ENTRY = 4  # decoding may begin at the picture it belongs to
    SETS = 8  # tells how pictures are coded: the sequence's parameter set, which comes before the picture's


_RECOVERY_POINT = 6  # a message's type: pictures are whole from here on, or soon
_MOST_MESSAGES = 32  # of one unit


def nal_of(codec: VideoCodec, unit: bytes | memoryview) -> Nal:
    """Told by its first bytes."""
    if len(unit) < 3:
        return Nal.OTHER
    return _h264(unit) if codec is VideoCodec.H264 else _h265(unit)


def _h264(unit: bytes | memoryview) -> Nal:
    kind = unit[0] & 0x1F
    if kind in (1, 2, 5):
        first = Nal.FIRST if unit[1] & 0x80 else Nal.OTHER  # first_mb_in_slice is 0
        return Nal.PICTURE | first | (Nal.ENTRY if kind == 5 else Nal.OTHER)
    if kind == 6:
        return Nal.FIRST | (Nal.ENTRY if _tells_of_recovery(unit) else Nal.OTHER)
    if kind == 7:
        return Nal.FIRST | Nal.SETS
    return Nal.FIRST if kind in (8, 9) else Nal.OTHER


def _h265(unit: bytes | memoryview) -> Nal:
    kind = unit[0] >> 1 & 0x3F
    if kind < 32:
        first = Nal.FIRST if unit[2] & 0x80 else Nal.OTHER  # first_slice_segment_in_pic_flag
        return Nal.PICTURE | first | (Nal.ENTRY if 16 <= kind <= 21 else Nal.OTHER)
    if kind == 33:
        return Nal.FIRST | Nal.SETS
    return Nal.FIRST if kind in (32, 34, 35, 39) else Nal.OTHER


def _tells_of_recovery(unit: bytes | memoryview) -> bool:
    at = 1
    for _ in range(_MOST_MESSAGES):
        kind, at = _number(unit, at)
        size, at = _number(unit, at)
        if at >= len(unit):
            return False
        if kind == _RECOVERY_POINT:
            return True
        at += size
    return False


def _number(unit: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number as SEI writes it, and where it ends: bytes of 255 are added up, and one below ends it."""
    number = 0
    while at < len(unit) and unit[at] == 0xFF:
        number, at = number + 255, at + 1
    return (number + unit[at], at + 1) if at < len(unit) else (number, at)
