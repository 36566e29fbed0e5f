"""Encoded images decoded by FFmpeg, once their own bytes have told that they are small enough and complete."""

from __future__ import annotations

import av
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from pipeline.ingest.av_pictures import Pictures
from pipeline.ingest.source import made
from pipeline.ingest.still_image import Flaw, ImageFormat, ImageRefused, StillImage, png_is_whole, still_image
from stages.values import Picture

_DECODERS = {ImageFormat.JPEG: "mjpeg", ImageFormat.PNG: "png", ImageFormat.WEBP: "webp"}
_PADDED = 64  # columns and rows at most


def decode_image(data: bytes, max_pixels: int, pictures: Pictures | None = None) -> Picture:
    """The picture these bytes are. Raises ImageRefused.

    `pictures`: kept from image to image where many come one after another; never shared by threads.
    """
    image = still_image(data)
    if image.width * image.height > max_pixels:
        raise ImageRefused(
            Flaw.TOO_MANY_PIXELS, f"{image.width}x{image.height} pixels; at most {max_pixels} in all are decoded"
        )
    if image.format is ImageFormat.PNG and not png_is_whole(image):
        raise _damaged(image)
    # Its own size: FFmpeg counts what it pads too, and would refuse one of just `max_pixels`.
    frame = _decoded(_DECODERS[image.format], image.data, (image.width + _PADDED) * (image.height + _PADDED))
    if frame is None or frame.is_corrupt or (frame.width, frame.height) != (image.width, image.height):
        raise _damaged(image)
    return picture_of(frame, pictures or Pictures())


def picture_of(frame: VideoFrame, pictures: Pictures) -> Picture:
    """A decoded frame as a picture. Raises ImageRefused where its pixels are of a kind that is not read."""
    try:
        return made(pictures.of(frame))
    except (av.FFmpegError, ValueError):
        name, size = frame.format.name, f"{frame.width}x{frame.height}"
        raise ImageRefused(Flaw.NOT_DECODABLE, f"pixels of an unusual kind: {name}, {size}") from None


def decoder(name: str, max_pixels: int) -> VideoCodecContext:
    """On one thread, which gives a picture out with its own packet; damage is an error and is not painted over."""
    made_one = CodecContext.create(name, "r")
    if not isinstance(made_one, VideoCodecContext):
        raise TypeError(f"{name} decodes no video")
    made_one.thread_count = 1
    made_one.options = {"err_detect": "crccheck+explode", "max_pixels": str(max_pixels)}
    return made_one


def _damaged(image: StillImage) -> ImageRefused:
    return ImageRefused(Flaw.NOT_DECODABLE, f"a damaged {image.format}")


def _decoded(name: str, data: bytes, max_pixels: int) -> VideoFrame | None:
    """None where it is damaged. A decoder made for it alone takes no tables from an earlier image."""
    try:
        frames = decoder(name, max_pixels).decode(av.Packet(data))
    except av.FFmpegError:
        return None
    return frames[0] if len(frames) == 1 else None
