"""What an encoded image says of itself, read before anything decodes it: format, size, whether it is complete."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from stages.errors import RaylineError

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_MOST_PARTS = 20_000  # segments or chunks: a picture has a few dozen, and each costs a step here
_MOST_SCANS = 64  # of a progressive JPEG: each goes over the whole picture, whatever its few bytes say
_NEEDED_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PNG_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 16 * 1024
_SURPLUS = 64 * 1024  # bytes behind the last row that some encoders leave

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_JPEG_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7)


class Flaw(StrEnum):
    """Why an encoded image gives no picture."""

    UNKNOWN_FORMAT = "unknown_format"
    TRUNCATED = "truncated"
    NOT_DECODABLE = "not_decodable"
    TOO_MANY_PIXELS = "too_many_pixels"


class ImageRefused(RaylineError):
    """Bytes that give no picture; the text is a sentence for people."""

    def __init__(self, flaw: Flaw, reason: str) -> None:
        super().__init__(reason)
        self.flaw = flaw


class ImageFormat(StrEnum):
    """Formats that are read."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"


@dataclass(frozen=True, slots=True)
class StillImage:
    """One complete encoded image."""

    format: ImageFormat
    width: int
    height: int
    data: bytes  # without what stands behind its end, and of a PNG without what no pixel depends on


def image_format(data: bytes) -> ImageFormat | None:
    """Told by the first bytes; None for anything else."""
    if data.startswith(_JPEG):
        return ImageFormat.JPEG
    if data.startswith(_PNG):
        return ImageFormat.PNG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    return None


def still_image(data: bytes) -> StillImage:
    """The image these bytes are. Raises ImageRefused: unknown_format, truncated or not_decodable."""
    match image_format(data):
        case ImageFormat.JPEG:
            return _jpeg(data)
        case ImageFormat.PNG:
            return _png(data)
        case ImageFormat.WEBP:
            return _webp(data)
    raise ImageRefused(Flaw.UNKNOWN_FORMAT, f"no JPEG, PNG or WebP: it begins with {data[:8]!r}")


def _jpeg(data: bytes) -> StillImage:
    """Walks the markers; between them, only what is no marker can stand in coded pixels."""
    at, size, scans = 2, (0, 0), 0
    for _ in range(_MOST_PARTS):
        found = _JPEG_MARKER.search(data, at)
        if found is None:
            break
        marker, at = data[found.end() - 1], found.end()
        if marker == _EOI:
            return _sized(StillImage(ImageFormat.JPEG, *size, _cut(data, at)))
        if marker == _SOI:
            break  # the next picture begins, and this one has not ended
        if marker in _JPEG_OTHER_FRAMES:
            raise ImageRefused(Flaw.UNKNOWN_FORMAT, f"a JPEG of an unusual kind (SOF {marker:#x})")
        if marker in _JPEG_FRAMES:
            if size != (0, 0):
                raise ImageRefused(Flaw.NOT_DECODABLE, "a JPEG that tells its size twice")
            size = _number(data, at + 5, 2), _number(data, at + 3, 2)
        scans += marker == _SOS
        if scans > _MOST_SCANS:
            raise ImageRefused(Flaw.NOT_DECODABLE, f"a JPEG of more than {_MOST_SCANS} scans")
        at += _number(data, at, 2)
    else:
        raise _too_many_parts("JPEG")
    raise _truncated("JPEG", "its end marker")


def _png(data: bytes) -> StillImage:
    """Keeps the chunks pixels depend on: the others may hold texts that unpack to gigabytes."""
    at, kept = len(_PNG), [_PNG]
    size = _number(data, 16, 4), _number(data, 20, 4)
    if data[12:16] != b"IHDR" and len(data) >= 16:
        raise ImageRefused(Flaw.NOT_DECODABLE, "a PNG that does not begin with its size")
    for _ in range(_MOST_PARTS):
        name = data[at + 4 : at + 8]
        end = at + 12 + _number(data, at, 4)
        if end > len(data) or len(name) < 4:
            raise _truncated("PNG", "its last chunk")
        if name in _NEEDED_CHUNKS:
            kept.append(data[at:end])
        at = end
        if name == b"IEND":
            return _sized(StillImage(ImageFormat.PNG, *size, b"".join(kept)))
    raise _too_many_parts("PNG")


def png_is_whole(image: StillImage) -> bool:
    """True where its packed pixels unpack to every row, and to little more.

    FFmpeg shows one that lacks rows all the same, and of one that has more it unpacks all, gigabytes too.
    """
    depth, colour, interlaced = image.data[24], image.data[25], image.data[28]
    bits = depth * _PNG_CHANNELS.get(colour, 4)
    passes = _PNG_PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = ((-(-(image.width - x) // dx), -(-(image.height - y) // dy)) for x, y, dx, dy in passes)
    wanted = sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns > 0 and rows > 0)
    return wanted <= _unpacked_length(_png_packed(image.data), wanted + _SURPLUS) <= wanted + _SURPLUS


def _unpacked_length(packed: Iterable[bytes], most: int) -> int:
    """Bytes it unpacks to, counted until they are more than `most`; 0 where it is damaged before its end."""
    unpack, got = zlib.decompressobj(), 0
    try:
        for piece in packed:
            got += len(unpack.decompress(piece))
            if got > most or unpack.eof:  # each piece behind the end would be copied with all before it
                break
    except zlib.error:
        return 0
    return got


def _png_packed(data: bytes) -> Iterable[bytes]:
    """In pieces that unpack to 16 MB at most."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length = _number(data, at, 4)
        if data[at + 4 : at + 8] == b"IDAT":
            for start in range(at + 8, at + 8 + length, _PIECE):
                yield data[start : min(start + _PIECE, at + 8 + length)]
        at += 12 + length


def _webp(data: bytes) -> StillImage:
    end = 8 + _number(data, 4, 4, "little")
    if end > len(data):
        raise _truncated("WebP", f"{end} bytes it says it has")
    data = _cut(data, end)
    name, at = data[12:16], 20
    if name == b"VP8X":
        return _sized(_extended_webp(data))
    return _sized(StillImage(ImageFormat.WEBP, *_webp_size(data, name, at), data))


def _extended_webp(data: bytes) -> StillImage:
    """One with alpha, colour profile or the like: the picture's own chunk follows later, and must fill the canvas."""
    if data[20:21] and data[20] & 0x02:
        raise ImageRefused(Flaw.UNKNOWN_FORMAT, "an animated WebP; one picture is wanted")
    canvas = 1 + _number(data, 24, 3, "little"), 1 + _number(data, 27, 3, "little")
    at = 12
    for _ in range(_MOST_PARTS):
        name, length = data[at : at + 4], _number(data, at + 4, 4, "little")
        if len(name) < 4:
            raise _truncated("WebP", "its picture")
        if name in (b"VP8 ", b"VP8L"):
            if _webp_size(data, name, at + 8) != canvas:
                raise ImageRefused(Flaw.NOT_DECODABLE, "a WebP whose picture does not fill its canvas")
            return StillImage(ImageFormat.WEBP, *canvas, data)
        at += 8 + length + length % 2
    raise _too_many_parts("WebP")


def _webp_size(data: bytes, name: bytes, at: int) -> tuple[int, int]:
    if name == b"VP8 ":
        return _number(data, at + 6, 2, "little") & 0x3FFF, _number(data, at + 8, 2, "little") & 0x3FFF
    if name == b"VP8L":
        bits = _number(data, at + 1, 4, "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise ImageRefused(Flaw.NOT_DECODABLE, f"a WebP that begins with {name!r}")


def _number(data: bytes, at: int, length: int, order: Literal["big", "little"] = "big") -> int:
    """An unsigned number; what is cut off counts as 0 and is found missing at the end."""
    return int.from_bytes(data[at : at + length].ljust(length, b"\0"), order)


def _cut(data: bytes, end: int) -> bytes:
    return data if end == len(data) else data[:end]


def _sized(image: StillImage) -> StillImage:
    if image.width < 2 or image.height < 2:
        raise ImageRefused(Flaw.NOT_DECODABLE, f"a {image.format} of {image.width}x{image.height} pixels")
    return image


def _truncated(kind: str, missing: str) -> ImageRefused:
    return ImageRefused(Flaw.TRUNCATED, f"a {kind} cut off before {missing}")


def _too_many_parts(kind: str) -> ImageRefused:
    return ImageRefused(Flaw.NOT_DECODABLE, f"a {kind} of more than {_MOST_PARTS} parts")
