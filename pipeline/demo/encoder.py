"""Pictures to coded video: PyAV encodes, FFmpeg's RTP muxer packetises."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from pipeline.demo.rtp import Codec, is_rtcp, parameter_sets

_ENCODERS = {Codec.H264: "libx264", Codec.HEVC: "libx265", Codec.MJPEG: "mjpeg"}
_PACKET_BYTES = 1400  # fits an Ethernet frame with room for tunnels
_LARGEST_JPEG_SIDE = 2040  # RFC 2435 counts blocks of eight pixels in one byte


@dataclass(frozen=True)
class StreamSettings:
    """How one stream is coded. Raises ValueError for what cannot be coded."""

    fps: float = 15.0  # frames per second
    width: int = 640  # pixels, even
    height: int = 360  # pixels, even
    codec: Codec | str = Codec.H264  # h264, hevc or mjpeg
    bitrate: int = 1_500_000  # bits per second: more is sharper, less is cheaper to send
    keyframe_s: float = 1.0  # seconds between keyframes: fewer bits when longer, sooner recovery when shorter

    def __post_init__(self) -> None:
        object.__setattr__(self, "codec", Codec(self.codec))
        if self.width < 16 or self.height < 16 or self.width % 2 or self.height % 2:
            raise ValueError(f"a stream needs even sides of at least 16 pixels, got {self.width}x{self.height}")
        if self.codec is Codec.MJPEG and max(self.width, self.height) > _LARGEST_JPEG_SIDE:
            raise ValueError(f"MJPEG over RTP ends at {_LARGEST_JPEG_SIDE} pixels, got {self.width}x{self.height}")
        if not 0.1 <= self.fps <= 240 or self.keyframe_s <= 0 or self.bitrate < 10_000:
            raise ValueError("a stream needs 0.1 to 240 fps, keyframe_s above 0, and a bitrate of at least 10000")


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One picture, coded: packets as the muxer wrote them (sequence and time still to be stamped)."""

    packets: tuple[bytes, ...]
    keyframe: bool


class VideoEncoder:
    """Codes pictures of any size as one stream of the settings' size. Used by one thread at a time."""

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._codec = Codec(settings.codec)
        self._rate = Fraction(settings.fps).limit_denominator(1000)
        self._pts = 0
        self._to_jpeg_colours = VideoReformatter()
        self._sink = _PacketSink()
        self._container = av.open(self._sink, "w", format="rtp", buffer_size=_PACKET_BYTES)
        self._stream = self._add_stream()
        grey = np.full((settings.height, settings.width, 3), 128, np.uint8)
        self.parameters = parameter_sets(self._codec, self._encode(grey, keyframe=True)[1])
        self._sink.take()

    def encode(self, picture: npt.NDArray[np.uint8], *, keyframe: bool) -> CodedPicture:
        """Code one picture (H, W, 3) uint8 RGB, scaled where its size differs; a keyframe when told, or when due."""
        is_keyframe, _ = self._encode(picture, keyframe)
        return CodedPicture(self._sink.take(), is_keyframe)

    def close(self) -> None:
        """Let go of the codec."""
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add_stream(self) -> av.VideoStream:
        settings = self._settings
        stream = self._container.add_stream(_ENCODERS[self._codec], rate=self._rate, options=_options(settings))
        assert isinstance(stream, av.VideoStream)  # noqa: S101 - tells the type; the encoders above are all video
        stream.width, stream.height = settings.width, settings.height
        stream.pix_fmt = "yuvj420p" if self._codec is Codec.MJPEG else "yuv420p"
        stream.bit_rate = settings.bitrate
        stream.gop_size = max(1, round(settings.fps * settings.keyframe_s))
        stream.thread_count = 1  # slices by threads cost more than they give at these sizes, and break MJPEG over RTP
        return stream

    def _encode(self, picture: npt.NDArray[np.uint8], keyframe: bool) -> tuple[bool, bytes]:
        """Whether it became a keyframe, and the coded bytes; its packets are in the sink."""
        frame = self._to_frame(picture)
        frame.pts, frame.time_base = self._pts, 1 / self._rate
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._pts += 1
        coded = self._stream.encode(frame)
        for packet in coded:
            self._container.mux(packet)
        return any(packet.is_keyframe for packet in coded), b"".join(bytes(packet) for packet in coded)

    def _to_frame(self, picture: npt.NDArray[np.uint8]) -> av.VideoFrame:
        width, height = self._settings.width, self._settings.height
        if picture.shape != (height, width, 3):
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        if self._codec is Codec.MJPEG:
            rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
            return self._to_jpeg_colours.reformat(rgb, format="yuvj420p", interpolation="BILINEAR")
        # OpenCV's conversion costs a third of swscale's.
        yuv = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
        return av.VideoFrame.from_ndarray(yuv, format="yuv420p")


class _PacketSink:
    """The file the muxer writes to: each write is one packet; its own sender reports are left out."""

    def __init__(self) -> None:
        self._packets: list[bytes] = []

    def write(self, data: bytes) -> int:
        packet = bytes(data)
        if not is_rtcp(packet):
            self._packets.append(packet)
        return len(packet)

    def take(self) -> tuple[bytes, ...]:
        packets, self._packets = tuple(self._packets), []
        return packets


def _options(settings: StreamSettings) -> dict[str, str]:
    live = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "maxrate": str(settings.bitrate),
        "bufsize": str(settings.bitrate // 2),  # half a second: a keyframe never swamps a receive buffer
    }
    match Codec(settings.codec):
        case Codec.H264:
            return live | {"x264-params": "repeat-headers=1:scenecut=0"}
        case Codec.HEVC:
            quiet = "repeat-headers=1:scenecut=0:log-level=error:pools=none:frame-threads=1"
            return live | {"x265-params": quiet}
        case Codec.MJPEG:
            return {"huffman": "default", "force_duplicated_matrix": "1"}  # all that RFC 2435 can describe
