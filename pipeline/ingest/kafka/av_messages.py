"""From a message's bytes to pictures: images and access units decoded by FFmpeg, or refused."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

import av
from av.codec.context import Flags
from av.video.frame import VideoFrame

from pipeline.ingest.av_images import decode_image, decoder, picture_of
from pipeline.ingest.av_pictures import Pictures
from pipeline.ingest.kafka.annexb import AccessUnits, access_units, codec_of, is_annexb
from pipeline.ingest.kafka.fetch import Fetcher
from pipeline.ingest.kafka.message import (
    Decoded,
    MessageRefused,
    RawMessage,
    Refusal,
    captured_at_of,
    contents,
    envelope,
)
from pipeline.ingest.kafka.message_settings import MessageFormat, MessageSettings
from pipeline.ingest.still_image import ImageRefused, image_format
from pipeline.ingest.video_codec import VideoCodec
from stages.values import Picture

_VIDEO_DECODERS = {VideoCodec.H264: "h264", VideoCodec.H265: "hevc"}
_VIDEO_FORMATS = {MessageFormat.H264: VideoCodec.H264, MessageFormat.H265: VideoCodec.H265}
_MOST_HELD = 64 * 1024  # bytes of parameter sets that came ahead of their picture


class MessageDecoder:
    """The messages of one camera in their order. The same message gives the same pictures wherever decoding began.

    An image is decoded by itself. Coded video goes on from message to message; each message that begins with parameter
    sets and a keyframe begins anew. After a refused one, those up to the next keyframe are refused too: they would show
    what was never there.
    """

    def __init__(self, settings: MessageSettings) -> None:
        self._settings = settings
        self._pictures = Pictures()
        self._fetcher = Fetcher(settings)
        self._video: _Video | None = None
        self._codec = _VIDEO_FORMATS.get(settings.format)
        self._held = b""
        self.holds_state = False
        self.began = False  # decoding can begin at the message decoded last: it brings all it needs

    def decode(self, message: RawMessage) -> list[Decoded]:
        """Its pictures, perhaps none (parameter sets that came ahead). Raises MessageRefused."""
        try:
            return self._decoded(message)
        except MessageRefused:
            self.reset()
            raise

    def reset(self) -> None:
        """Messages were left out: coded video goes on at its next keyframe."""
        self._video, self._held, self.began = None, b"", False

    def close(self) -> None:
        """Lets go of the decoder and of what is being fetched."""
        self.reset()
        self._fetcher.close()

    def _decoded(self, message: RawMessage) -> list[Decoded]:
        self.began = True
        captured_at = captured_at_of(message, self._settings)
        data = contents(message, self._settings)
        match self._kind(data):
            case MessageFormat.IMAGE:
                pictures = [self._image(data)]
            case MessageFormat.JSON:
                pictures = [self._image(self._enclosed(message))]
            case _:
                pictures = list(self._coded(data))
        step_s = self._settings.picture_interval_ms / 1000
        return [Decoded(picture, sub, captured_at + sub * step_s) for sub, picture in enumerate(pictures)]

    def _kind(self, data: bytes) -> MessageFormat:
        """What to take the bytes for. Raises MessageRefused: unknown_format."""
        if self._settings.format is not MessageFormat.AUTO:
            return self._settings.format
        if image_format(data) is not None:
            return MessageFormat.IMAGE
        if is_annexb(data):
            return MessageFormat.H264  # or H.265: its parameter sets tell
        if data[:64].lstrip()[:1] == b"{":
            return MessageFormat.JSON
        raise MessageRefused(
            Refusal.UNKNOWN_FORMAT, f"neither JPEG, PNG, WebP, H.264, H.265 nor JSON: it begins with {data[:8]!r}"
        )

    # Images

    def _image(self, data: bytes) -> Picture:
        try:
            return decode_image(data, self._settings.max_pixels, self._pictures)
        except ImageRefused as exc:
            raise _refused(exc) from None

    def _enclosed(self, message: RawMessage) -> bytes:
        found = envelope(message, self._settings)
        uri, text = found.get("uri"), found.get("image_base64")
        if isinstance(uri, str) and text is None:
            return self._fetcher.fetch(uri)
        if isinstance(text, str) and uri is None:
            return _from_base64(text)
        raise MessageRefused(Refusal.BAD_ENVELOPE, "the JSON must have either `uri` or `image_base64`, a text")

    # Coded video

    def _coded(self, data: bytes) -> Iterator[Picture]:
        if not is_annexb(data):
            raise MessageRefused(
                Refusal.UNKNOWN_FORMAT, f"coded video without a start code: it begins with {data[:8]!r}"
            )
        codec, coded = self._access_units(data)
        if coded.begins and coded.units:
            self._video = _Video(codec, self._settings.max_pixels)
        self.holds_state = True
        self._hold(coded.rest)
        left = self._settings.max_pixels
        for unit in coded.units:
            if self._video is None:
                raise _no_keyframe()
            frame = self._video.decode(unit)
            left -= frame.width * frame.height
            if left < 0:
                raise _too_many_pixels(f"{len(coded.units)} pictures of {frame.width}x{frame.height}", self._settings)
            yield self._picture(frame)

    def _access_units(self, data: bytes) -> tuple[VideoCodec, AccessUnits]:
        found = codec_of(data)
        self._codec = self._checked(found) or self._codec
        if self._codec is None:
            raise _no_keyframe()
        coded = access_units(data, self._codec)
        self.began = found is not None and coded.begins
        if self._held and not coded.begins:
            coded = access_units(self._held + data, self._codec)
        return self._codec, coded

    def _checked(self, found: VideoCodec | None) -> VideoCodec | None:
        wanted = _VIDEO_FORMATS.get(self._settings.format)
        if self._settings.format is not MessageFormat.AUTO and found not in (None, wanted):
            raise MessageRefused(Refusal.UNKNOWN_FORMAT, f"{found} where {wanted} is expected")
        return found

    def _hold(self, rest: bytes) -> None:
        if len(rest) > _MOST_HELD:
            raise MessageRefused(Refusal.NOT_DECODABLE, f"{len(rest)} bytes of coded video without a picture")
        self._held = rest

    def _picture(self, frame: VideoFrame) -> Picture:
        try:
            return picture_of(frame, self._pictures)
        except ImageRefused as exc:
            raise _refused(exc) from None


class _Video:
    """One stretch of coded video, from a keyframe on: each access unit gives its picture at once."""

    def __init__(self, codec: VideoCodec, max_pixels: int) -> None:
        self._codec = codec
        self._number = -1
        self._max_pixels = max_pixels
        self._decoder = decoder(_VIDEO_DECODERS[codec], max_pixels)
        self._decoder.flags |= Flags.low_delay

    def decode(self, unit: bytes) -> VideoFrame:
        """The unit's own picture. Raises MessageRefused."""
        packet = av.Packet(unit)
        self._number += 1
        packet.pts = self._number
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            raise self._damaged() from None
        if len(frames) != 1 or frames[0].pts != self._number:
            raise MessageRefused(
                Refusal.REORDERED,
                f"{self._codec} whose pictures do not come one with each access unit; it must be encoded without "
                "B-frames and fields (tune zerolatency)",
            )
        if frames[0].is_corrupt:
            raise self._damaged()
        return frames[0]

    def _damaged(self) -> MessageRefused:
        return MessageRefused(
            Refusal.NOT_DECODABLE, f"{self._codec} that is damaged, or larger than {self._max_pixels} pixels"
        )


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MessageRefused(Refusal.BAD_ENVELOPE, f"`image_base64` is no base64: {exc}") from None


def _refused(exc: ImageRefused) -> MessageRefused:
    return MessageRefused(Refusal(exc.flaw), str(exc))


def _too_many_pixels(what: str, settings: MessageSettings) -> MessageRefused:
    return MessageRefused(
        Refusal.TOO_MANY_PIXELS, f"{what}; at most {settings.max_pixels} pixels a message are decoded"
    )


def _no_keyframe() -> MessageRefused:
    return MessageRefused(
        Refusal.NO_KEYFRAME, "coded video before its first keyframe with parameter sets, or behind a refused message"
    )
