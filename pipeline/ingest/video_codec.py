"""Which coded video is read unit by unit, without FFmpeg's demuxers."""

from __future__ import annotations

from enum import StrEnum


class VideoCodec(StrEnum):
    """Codecs that are read."""

    H264 = "H.264"
    H265 = "H.265"
