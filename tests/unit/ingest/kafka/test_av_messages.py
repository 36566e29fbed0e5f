"""Message bytes as pictures: every kind of image, coded video from any keyframe on, and nothing but refusals else."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from contextlib import closing, suppress

import cv2
import numpy as np
import orjson
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.ingest.kafka.av_messages import MessageDecoder
from pipeline.ingest.kafka.message import Decoded, MessageRefused, Refusal
from pipeline.ingest.kafka.message_settings import MessageSettings
from pipeline.ingest.still_image import still_image
from stages.values import Picture, PixelFormat, UInt8
from tests.messages import AT_MS, blocks, coded, encoded, message

YUV, RGB, GREY = PixelFormat.YUV420P, PixelFormat.RGB24, PixelFormat.GRAY8


def decoder(**changes: object) -> MessageDecoder:
    return MessageDecoder(MessageSettings.model_validate(changes))


def decode(data: bytes | None, **changes: object) -> list[Decoded]:
    with closing(decoder(**changes)) as one:
        return one.decode(message(data))


def code_of(data: bytes | None, **changes: object) -> str:
    with pytest.raises(MessageRefused) as refused:
        decode(data, **changes)
    return refused.value.code


def to_rgb(picture: Picture) -> UInt8:
    match picture.format:
        case PixelFormat.YUV420P:
            return np.asarray(cv2.cvtColor(picture.data, cv2.COLOR_YUV2RGB_I420), np.uint8)
        case PixelFormat.GRAY8:
            return np.repeat(picture.data[:, :, None], 3, axis=2)
    return picture.data


# Images


@pytest.mark.parametrize(
    ("kind", "mode", "options", "expected"),
    [
        pytest.param("JPEG", None, {"quality": 95}, YUV, id="JPEG 4:2:0"),
        pytest.param("JPEG", None, {"quality": 95, "subsampling": 1}, YUV, id="JPEG 4:2:2"),
        pytest.param("JPEG", None, {"quality": 95, "subsampling": 0}, YUV, id="JPEG 4:4:4"),
        pytest.param("JPEG", None, {"quality": 95, "progressive": True}, YUV, id="JPEG progressive"),
        pytest.param("JPEG", "L", {"quality": 95}, GREY, id="JPEG grey"),
        pytest.param("JPEG", "CMYK", {"quality": 95}, RGB, id="JPEG CMYK"),
        pytest.param("PNG", None, {}, RGB, id="PNG"),
        pytest.param("PNG", "RGBA", {}, RGB, id="PNG with alpha"),
        pytest.param("PNG", "P", {}, RGB, id="PNG palette"),
        pytest.param("PNG", "1", {}, RGB, id="PNG black and white"),
        pytest.param("PNG", "L", {}, GREY, id="PNG grey"),
        pytest.param("PNG", "LA", {}, RGB, id="PNG grey with alpha"),
        pytest.param("WEBP", None, {"quality": 95}, YUV, id="WebP"),
        pytest.param("WEBP", None, {"lossless": True}, RGB, id="WebP lossless"),
        pytest.param(
            "WEBP", None, {"quality": 95, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}, YUV, id="WebP with more in it"
        ),
    ],
)
@pytest.mark.parametrize("size", [(64, 48), (65, 49)], ids=["even", "odd"])
def test_every_kind_of_image_becomes_its_picture(
    kind: str, mode: str | None, options: dict[str, object], expected: PixelFormat, size: tuple[int, int]
) -> None:
    pixels = blocks(*size)
    (found,) = decode(encoded(pixels, kind, mode, **options))
    picture = found.picture
    assert picture.format is expected
    assert (picture.width, picture.height) in {size, (64, 48)}  # the last odd row and column of 4:2:0 go
    shown = np.asarray(Image.fromarray(pixels).convert(mode or "RGB").convert("RGB"))[: picture.height, : picture.width]
    difference = np.abs(to_rgb(picture)[4::8, 4::8].astype(int) - shown[4::8, 4::8])
    assert difference.mean() < 14  # the middles of the squares; chroma is halved


def test_sixteen_bits_become_eight() -> None:
    grey = blocks()[:, :, 0]
    (found,) = decode(encoded(grey.astype(np.uint16) * 257, "PNG"))
    assert found.picture.format is GREY
    assert np.abs(found.picture.data.astype(int) - grey).max() <= 1


def test_an_image_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x112] = 6  # shown a quarter turn clockwise
    (found,) = decode(encoded(blocks(64, 48), quality=95, exif=exif))
    assert (found.picture.width, found.picture.height) == (48, 64)
    upright = np.rot90(blocks(64, 48), -1)
    assert np.abs(to_rgb(found.picture)[4::8, 4::8].astype(int) - upright[4::8, 4::8]).mean() < 14


def test_a_picture_has_the_messages_time() -> None:
    (found,) = decode(encoded(blocks()))
    assert (found.sub, found.captured_at) == (0, AT_MS / 1000)


def test_what_stands_behind_an_images_end_is_left() -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = encoded(blocks(), kind)
        padded = decode(whole + b"\0" * 700 + b"\xff\xd8more")
        assert np.array_equal(padded[0].picture.data, decode(whole)[0].picture.data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_that_was_cut_off_is_refused_wherever_it_was_cut(kind: str) -> None:
    whole = encoded(blocks(), kind)
    with closing(decoder()) as one:
        for length in range(12, len(whole), max(1, len(whole) // 97)):
            with pytest.raises(MessageRefused) as refused:
                one.decode(message(whole[:length]))
            assert refused.value.code == "truncated", (length, str(refused.value))


def test_an_image_cut_off_and_given_an_end_is_refused_too() -> None:
    jpeg, png = encoded(blocks(320, 240)), encoded(blocks(320, 240), "PNG")
    assert code_of(jpeg[: len(jpeg) // 2] + b"\xff\xd9") == "not_decodable"
    at = png.index(b"IDAT") - 4
    pixels = zlib.decompress(png[at + 8 : at + 8 + int.from_bytes(png[at : at + 4], "big")])
    half = zlib.compress(pixels[: len(pixels) // 2])
    chunk = struct.pack(">I", len(half)) + b"IDAT" + half + struct.pack(">I", zlib.crc32(b"IDAT" + half))
    assert code_of(png[:at] + chunk + png[-12:]) == "not_decodable"


def test_a_flipped_bit_in_a_png_is_refused() -> None:
    png = bytearray(encoded(blocks(), "PNG"))
    png[len(png) // 2] ^= 0x10
    assert code_of(bytes(png)) == "not_decodable"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_too_many_pixels_are_refused_before_they_are_decoded(kind: str) -> None:
    assert code_of(encoded(blocks(400, 300), kind), max_pixels=100_000) == "too_many_pixels"


def test_an_image_that_says_a_giant_size_costs_nothing() -> None:
    jpeg = bytearray(encoded(blocks()))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65500, 65500)
    before = psutil.Process().memory_info().rss
    assert code_of(bytes(jpeg)) == "too_many_pixels"
    assert psutil.Process().memory_info().rss - before < 20_000_000


def test_texts_packed_into_a_png_never_reach_the_decoder() -> None:
    """FFmpeg would unpack them: a few hundred kB become 150 MB."""
    png = encoded(blocks(), "PNG")
    bomb = b"Comment\0\0" + zlib.compress(bytes(150_000_000), 1)
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    assert still_image(png[:33] + chunk + png[33:]).data == png
    (found,) = decode(png[:33] + chunk + png[33:])
    assert np.array_equal(found.picture.data, blocks())


def test_no_image_takes_its_tables_from_the_one_before() -> None:
    """An abbreviated JPEG has none of its own; which message came before must not tell what it shows."""
    whole = encoded(blocks(), quality=60)
    start = whole.index(b"\xff\xdb")
    length = int.from_bytes(whole[start + 2 : start + 4], "big")
    without = whole[:start] + whole[start + 2 + length :]
    with closing(decoder()) as one:
        alone = _outcome(decoder(), without)
        one.decode(message(whole))
        assert _outcome(one, without) == alone


def _outcome(one: MessageDecoder, data: bytes) -> list[tuple[int, bytes]] | str:
    try:
        return [(found.sub, found.picture.data.tobytes()) for found in one.decode(message(data))]
    except MessageRefused as exc:
        return exc.code


@pytest.mark.parametrize(
    ("data", "changes", "code"),
    [
        pytest.param(None, {}, "empty", id="a tombstone"),
        pytest.param(b"", {}, "empty", id="empty"),
        pytest.param(b"hello", {}, "unknown_format", id="a text"),
        pytest.param(b"GIF89a" + bytes(50), {}, "unknown_format", id="GIF"),
        pytest.param(b"\0" * 2000, {}, "unknown_format", id="zeros"),
        pytest.param(b"\xff\xd8\xff\xd9", {}, "not_decodable", id="a JPEG of nothing"),
        pytest.param(encoded(blocks(1, 1)), {}, "not_decodable", id="one pixel"),
        pytest.param(encoded(blocks()), {"format": "json"}, "bad_envelope", id="an image where JSON is expected"),
        pytest.param(b"{}", {"format": "image"}, "unknown_format", id="JSON where an image is expected"),
        pytest.param(encoded(blocks()), {"format": "h264"}, "unknown_format", id="an image where H.264 is expected"),
        pytest.param(encoded(blocks(400, 300)), {"max_message_bytes": 1024}, "too_large", id="too many bytes"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(data: bytes | None, changes: dict[str, object], code: str) -> None:
    assert code_of(data, **changes) == code


def test_an_animation_is_refused() -> None:
    frames = [Image.fromarray(blocks(seed=seed)) for seed in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    assert code_of(out.getvalue()) == "unknown_format"


# Envelopes


def test_an_envelope_may_hold_its_image() -> None:
    data = encoded(blocks(), "PNG")
    sent = orjson.dumps({"image_base64": base64.b64encode(data).decode(), "captured_at": AT_MS + 500})
    (found,) = decode(sent, time_from="json:captured_at")
    assert np.array_equal(found.picture.data, blocks())
    assert found.captured_at == AT_MS / 1000 + 0.5


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param({}, "bad_envelope", id="nothing"),
        pytest.param({"uri": 7}, "bad_envelope", id="a number for a URI"),
        pytest.param({"uri": "https://a/b", "image_base64": "AAAA"}, "bad_envelope", id="both"),
        pytest.param({"image_base64": "?!"}, "bad_envelope", id="no base64"),
        pytest.param({"image_base64": "\u00e4"}, "bad_envelope", id="not ASCII"),
        pytest.param({"image_base64": ""}, "unknown_format", id="an empty image"),
        pytest.param({"uri": "https://a/b"}, "forbidden_uri", id="a URI, and no scheme is allowed"),
    ],
)
def test_an_envelope_without_a_picture_is_refused(sent: object, code: str) -> None:
    assert code_of(orjson.dumps(sent)) == code


# Coded video


def shown(one: MessageDecoder, messages: list[bytes], start: int = 0) -> dict[tuple[int, int], bytes]:
    """(offset, sub) -> pixels."""
    found = {}
    for offset, data in enumerate(messages[start:], start):
        for item in one.decode(message(data, offset)):
            found[offset, item.sub] = item.picture.data.tobytes()
    return found


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def units(request: pytest.FixtureRequest) -> list[bytes]:
    return coded(request.param)


def test_each_access_unit_gives_its_picture_at_once(units: list[bytes]) -> None:
    with closing(decoder()) as one:
        assert not one.holds_state
        for offset, data in enumerate(units):
            (found,) = one.decode(message(data, offset))
            assert (found.picture.width, found.picture.height) == (96, 64)
            white = np.flatnonzero(found.picture.data[20] > 180)
            assert abs(white.mean() - (offset * 3 + 7.5)) < 2  # its own picture and not an earlier one
        assert one.holds_state


def begins(data: bytes) -> bool:
    with closing(decoder()) as one, suppress(MessageRefused):
        one.decode(message(data))
        return one.began
    return False


def test_pictures_are_the_same_from_whichever_keyframe_decoding_began(units: list[bytes]) -> None:
    with closing(decoder()) as whole:
        everything = shown(whole, units)
    assert len(everything) == 20
    starts = [offset for offset, data in enumerate(units) if begins(data)]
    assert starts == [0, 6, 12, 18]
    for start in starts:
        with closing(decoder()) as later:
            part = shown(later, units, start)
        assert part == {at: pixels for at, pixels in everything.items() if at[0] >= start}


def test_several_access_units_in_a_message_are_counted(units: list[bytes]) -> None:
    packed = [b"".join(units[i : i + 3]) for i in range(0, 18, 3)]
    with closing(decoder()) as one, closing(decoder()) as single:
        found = shown(one, packed)
        singles = shown(single, units[:18])
    assert list(found) == [(offset, sub) for offset in range(6) for sub in range(3)]
    assert list(found.values()) == list(singles.values())
    assert [begins(data) for data in packed] == [True, False] * 3


def test_pictures_of_one_message_are_an_interval_apart(units: list[bytes]) -> None:
    found = decode(b"".join(units[:3]), picture_interval_ms=100)
    assert [item.captured_at - AT_MS / 1000 for item in found] == pytest.approx([0, 0.1, 0.2])


def test_video_is_refused_until_its_first_keyframe(units: list[bytes]) -> None:
    with closing(decoder()) as one:
        for data in units[3:6]:
            with pytest.raises(MessageRefused) as refused:
                one.decode(message(data))
            assert refused.value.code == "no_keyframe"
        assert len(shown(one, units, 6)) == 14


@pytest.mark.parametrize(
    "bad", [b"rubbish", None, b"\0\0\0\1\x41\x9a" + b"\xaa" * 300], ids=["rubbish", "tombstone", "damaged"]
)
def test_behind_a_refused_message_video_goes_on_at_the_next_keyframe(bad: bytes | None) -> None:
    units = coded()
    with closing(decoder()) as one:
        shown(one, units[:3])
        with pytest.raises(MessageRefused):
            one.decode(message(bad))
        for data in units[3:6]:
            with pytest.raises(MessageRefused, match="keyframe"):
                one.decode(message(data))
        assert len(one.decode(message(units[6]))) == 1


def test_left_out_messages_are_made_known_by_reset() -> None:
    units = coded()
    with closing(decoder()) as one:
        shown(one, units[:3])
        one.reset()
        with pytest.raises(MessageRefused, match="keyframe"):
            one.decode(message(units[4]))


def test_a_missing_slice_is_not_painted_over() -> None:
    options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "slices=4:repeat-headers=1"}
    unit = coded(options=options, count=1)[0]
    assert unit.count(b"\0\0\1\x65") == 4
    cut = unit.rindex(b"\0\0\1\x65")
    assert code_of(unit[:cut]) == "not_decodable"


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_video_with_b_frames_is_refused_with_what_would_be_right(encoder: str) -> None:
    name = encoder.removeprefix("lib")
    units = coded(encoder, options={"preset": "fast", f"{name}-params": "bframes=3:repeat-headers=1:log-level=none"})
    with closing(decoder()) as one, pytest.raises(MessageRefused, match="without B-frames") as refused:
        shown(one, units)
    assert refused.value.code == "reordered"


def test_parameter_sets_may_come_in_a_message_of_their_own() -> None:
    units = coded()
    cut = units[0].index(b"\0\0\1\x06") - (units[0][units[0].index(b"\0\0\1\x06") - 1] == 0)
    apart = [units[0][:cut], units[0][cut:], *units[1:]]
    with closing(decoder()) as one:
        assert one.decode(message(apart[0])) == []
        assert one.began
        assert len(one.decode(message(apart[1]))) == 1
        assert not one.began  # not without what came ahead
        one.reset()
        assert one.decode(message(apart[0])) == []
        assert len(shown(one, apart, 1)) == 20


def test_the_codec_may_be_named_and_then_no_other_is_taken(units: list[bytes]) -> None:
    outcomes = [_outcome(decoder(format=name), units[0]) for name in ("h264", "h265")]
    assert outcomes.count("unknown_format") == 1
    assert [len(pictures) for pictures in outcomes if pictures != "unknown_format"] == [1]


def test_video_of_too_many_pixels_is_refused(units: list[bytes]) -> None:
    assert code_of(units[0], max_pixels=1024) == "not_decodable"  # the decoder itself sees the size, and no more
    assert code_of(b"".join(units[:3]), max_pixels=2 * 96 * 64) == "too_many_pixels"


# Whatever comes


def check(one: MessageDecoder, data: bytes, most: int = 1_000_000) -> bool:
    """True where it gave pictures; anything but pictures or a refusal fails."""
    found, told = list[Decoded](), "pictures"
    try:
        found = one.decode(message(data))
    except MessageRefused as exc:
        told = str(exc) if exc.code in set(Refusal) else ""
    assert told
    assert sum(item.picture.width * item.picture.height for item in found) <= most
    return bool(found)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(
        [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8X", b"\0\0\0\1\x67", b'{"uri":']
    ),
    st.binary(max_size=600),
)
def test_any_bytes_are_decoded_or_refused(head: bytes, data: bytes) -> None:
    with closing(decoder(max_pixels=1_000_000)) as one:
        check(one, head + data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "libx264", "libx265"])
def test_damaged_messages_are_decoded_or_refused_and_cost_no_memory(kind: str) -> None:
    rng = np.random.default_rng(7)
    wholes = (
        coded(kind, count=8) if kind.startswith("lib") else [encoded(blocks(96, 64, seed), kind) for seed in range(8)]
    )
    with closing(decoder(max_pixels=1_000_000)) as one:
        for whole in wholes:
            assert check(one, whole)
        before = psutil.Process().memory_info().rss
        for number in range(400):
            check(one, _damaged(wholes[number % 8], rng))
        assert psutil.Process().memory_info().rss - before < 60_000_000


def _damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(whole)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, len(data)))
        match rng.integers(0, 4):
            case 0:
                data[at] = int(rng.integers(0, 256))
            case 1:
                del data[at : at + int(rng.integers(1, 40))]
            case 2:
                data[at:at] = rng.bytes(int(rng.integers(1, 40)))
            case _:
                data[at : at + 4] = b"\xff\xff\xff\xff"[: len(data) - at]
        if not data:
            break
    return bytes(data)
