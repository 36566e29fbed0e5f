"""Coded pictures to pixels, by FFmpeg's decoders alone."""

from __future__ import annotations

from collections.abc import Sequence

import av
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from pipeline.ingest.video_codec import VideoCodec

__all__ = ["Decoder", "Undecodable", "VideoFrame"]

_NAMES = {VideoCodec.H264: "h264", VideoCodec.H265: "hevc"}
_START = b"\0\0\0\1"


class Undecodable(Exception):
    """A coded picture that is none."""


class Decoder:
    """Pictures of one stream, each with its own access unit where the stream does not reorder them."""

    def __init__(self, codec: VideoCodec, threads: int, parameter_sets: Sequence[bytes]) -> None:
        decoder = CodecContext.create(_NAMES[codec], "r")
        if not isinstance(decoder, VideoCodecContext):
            raise TypeError(f"{codec} is no video")
        decoder.thread_type = "SLICE"  # FRAME gives pictures out late
        decoder.thread_count = threads
        self._decoder = decoder
        self._ahead = b"".join(_START + unit for unit in parameter_sets)

    def decode(self, data: bytes, pts: int) -> list[VideoFrame]:
        """What can be shown now, with the `pts` each came with. Raises Undecodable."""
        packet = av.Packet(self._ahead + data if self._ahead else data)
        packet.pts = pts
        self._ahead = b""
        try:
            return self._decoder.decode(packet)
        except av.FFmpegError:
            raise Undecodable from None

    def restart(self) -> list[VideoFrame]:
        """What it still held; then it knows of nothing and begins anew at a keyframe."""
        try:
            return self._decoder.decode(None) if self._decoder.is_open else []
        except av.FFmpegError:
            return []
        finally:
            if self._decoder.is_open:
                self._decoder.flush_buffers()
