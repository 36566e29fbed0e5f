"""Coded video as a byte stream: its codec, its pictures, and where decoding may begin."""

from __future__ import annotations

import time

import pytest

from pipeline.ingest.kafka.annexb import access_units, codec_of, is_annexb
from pipeline.ingest.kafka.message import MessageRefused
from pipeline.ingest.video_codec import VideoCodec
from tests.messages import coded

LONG, SHORT = b"\0\0\0\1", b"\0\0\1"
SPS, PPS, SEI, AUD = b"\x67sps", b"\x68pps", b"\x06sei", b"\x09\xf0."
KEY, KEY_NEXT_SLICE, DELTA, DELTA_NEXT_SLICE = b"\x65\x88k", b"\x65\x22k", b"\x41\x9ad", b"\x41\x22d"


def stream(*units: bytes, start: bytes = LONG) -> bytes:
    return b"".join(start + unit for unit in units)


@pytest.mark.parametrize("start", [LONG, SHORT], ids=["long", "short"])
def test_slices_of_one_picture_stay_together_and_what_stands_ahead_of_one_goes_with_it(start: bytes) -> None:
    first = stream(AUD, SPS, PPS, KEY, KEY_NEXT_SLICE, start=start)
    second, third = stream(AUD, SEI, DELTA, DELTA_NEXT_SLICE, start=start), stream(DELTA, start=start)
    found = access_units(first + second + third, VideoCodec.H264)
    assert (found.units, found.rest, found.begins) == ((first, second, third), b"", True)


@pytest.mark.parametrize(
    ("units", "begins"),
    [
        pytest.param((SPS, PPS, KEY), True, id="parameter sets and a keyframe"),
        pytest.param((SPS, PPS), True, id="parameter sets ahead of it"),
        pytest.param((KEY,), False, id="a keyframe without them"),
        pytest.param((DELTA, SPS, PPS, KEY), False, id="another picture ahead"),
        pytest.param((SPS, PPS, DELTA), False, id="no keyframe"),
        pytest.param((SEI,), False, id="no picture"),
    ],
)
def test_decoding_begins_only_where_all_it_needs_is(units: tuple[bytes, ...], begins: bool) -> None:
    assert access_units(stream(*units), VideoCodec.H264).begins is begins


def test_what_stands_behind_the_last_picture_is_the_next_messages() -> None:
    found = access_units(stream(DELTA, SPS, PPS), VideoCodec.H264)
    assert (found.units, found.rest) == ((stream(DELTA),), stream(SPS, PPS))


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", VideoCodec.H264), ("libx265", VideoCodec.H265)])
def test_real_streams_are_told_apart_and_cut_where_they_were_put_together(encoder: str, codec: VideoCodec) -> None:
    packets = coded(encoder, count=8)
    assert is_annexb(packets[0])
    assert (codec_of(packets[0]), codec_of(packets[1])) == (codec, None)
    assert access_units(b"".join(packets), codec).units == tuple(packets)


def test_a_message_of_crumbs_is_refused_in_no_time() -> None:
    started = time.process_time()
    with pytest.raises(MessageRefused, match="more than 10000"):
        access_units(SHORT * 5_000_000, VideoCodec.H264)
    assert time.process_time() - started < 1
