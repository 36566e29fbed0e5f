"""What an encoded image says of itself, and limits on what it may be made of."""

from __future__ import annotations

import struct
import time
import zlib

import pytest

from pipeline.ingest.still_image import ImageFormat, ImageRefused, png_is_whole, still_image
from tests.messages import blocks, encoded

JPEG, PNG = encoded(blocks(40, 24)), encoded(blocks(40, 24), "PNG")
FRAME = JPEG.index(b"\xff\xc0")
SCAN = JPEG.index(b"\xff\xda")


def refused(data: bytes) -> ImageRefused:
    with pytest.raises(ImageRefused) as found:
        still_image(data)
    return found.value


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"comment": b"\xff\xd9 no end"}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    ],
)
@pytest.mark.parametrize("size", [(40, 24), (1001, 3), (3, 1001)])
def test_size_and_format_are_told_without_decoding(
    kind: str, options: dict[str, object], size: tuple[int, int]
) -> None:
    image = still_image(encoded(blocks(*size), kind, **options))
    assert (image.format.upper(), image.width, image.height) == (kind, *size)


def test_a_thumbnails_end_is_not_the_pictures() -> None:
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + len(JPEG)) + JPEG
    whole = JPEG[:2] + thumbnail + JPEG[2:]
    assert still_image(whole).data == whole
    assert refused(whole[:-2]).flaw == "truncated"


def test_a_second_picture_behind_the_first_is_left() -> None:
    assert still_image(JPEG + JPEG) == still_image(JPEG)
    assert refused(JPEG[:-2] + JPEG).flaw == "truncated"  # the first has no end of its own


@pytest.mark.parametrize("marker", [0xC3, 0xC9, 0xF7], ids=["lossless", "arithmetic", "JPEG-LS"])
def test_unusual_kinds_of_jpeg_are_refused(marker: int) -> None:
    data = JPEG[: FRAME + 1] + bytes([marker]) + JPEG[FRAME + 2 :]
    assert refused(data).flaw == "unknown_format"


def test_an_image_made_to_cost_time_is_refused_in_no_time() -> None:
    length = int.from_bytes(JPEG[FRAME + 2 : FRAME + 4], "big")
    header = JPEG[FRAME : FRAME + 2 + length]
    scan = JPEG[SCAN : SCAN + 2 + int.from_bytes(JPEG[SCAN + 2 : SCAN + 4], "big")]
    started = time.process_time()
    assert "twice" in str(refused(JPEG[:FRAME] + header + JPEG[FRAME:]))
    assert "64 scans" in str(refused(JPEG[:SCAN] + scan * 65 + JPEG[SCAN:]))
    assert "20000 parts" in str(refused(JPEG[:2] + b"\xff\xfe\0\2" * 4_000_000 + JPEG[2:]))
    assert "20000 parts" in str(refused(PNG[:33] + b"\0\0\0\0teXt\0\0\0\0" * 1_000_000 + PNG[33:]))
    assert time.process_time() - started < 1


def test_a_png_keeps_only_what_pixels_depend_on() -> None:
    image = still_image(PNG[:33] + b"\0\0\0\5iTXthello\0\0\0\0" + PNG[33:])
    assert (image.format, image.data) == (ImageFormat.PNG, PNG)


def test_a_png_without_its_size_ahead_is_refused() -> None:
    assert refused(PNG[:8] + PNG[33:]).flaw == "not_decodable"


@pytest.mark.parametrize(
    ("unpacked", "whole"),
    [
        pytest.param(24 * 121 - 1, False, id="a byte of the last row is missing"),
        pytest.param(24 * 121, True, id="every row"),
        pytest.param(24 * 121 + 1000, True, id="a little more, as some encoders leave"),
        pytest.param(5_000_000, False, id="far more, all of which FFmpeg would unpack"),
    ],
)
def test_a_png_is_whole_where_it_unpacks_to_its_rows(unpacked: int, whole: bool) -> None:
    packed = zlib.compress(bytes(unpacked))
    at = PNG.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    assert png_is_whole(still_image(PNG[:at] + chunk + PNG[-12:])) is whole


def test_what_lies_behind_the_end_of_a_pngs_pixels_costs_nothing() -> None:
    """zlib would copy all of it for each piece: of twenty megabytes, gigabytes."""
    packed = zlib.compress(bytes(24 * 121)) + bytes(20_000_000)
    at = PNG.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(packed)) + b"IDAT" + packed + struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    image = still_image(PNG[:at] + chunk + PNG[-12:])
    began = time.process_time()
    assert png_is_whole(image)
    assert time.process_time() - began < 0.5
