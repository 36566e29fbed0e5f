"""What goes on the wire, byte for byte."""

import struct

import numpy as np
import pytest

from pipeline.demo.encoder import StreamSettings, VideoEncoder
from pipeline.demo.rtp import (
    Codec,
    EncodedFrame,
    Stamper,
    is_rtcp,
    parameter_sets,
    sender_report,
    session_description,
)

SPS, PPS = b"\x67\x42\xc0\x1f\x01", b"\x68\xce\x38"


def test_a_sender_report_pairs_ntp_time_with_rtp_time() -> None:
    report = sender_report(0x1234, wall_s=1_700_000_000.25, rtp_time=90_000, packets=7, payload_bytes=900)
    first, kind, words, ssrc, ntp_s, ntp_fraction, rtp_time, packets, payload = struct.unpack(">BBHIIIIII", report)
    assert (first, kind, words, len(report)) == (0x80, 200, 6, 28)
    assert (ntp_s, ntp_fraction) == (1_700_000_000 + 2_208_988_800, 2**30)
    assert (ssrc, rtp_time, packets, payload) == (0x1234, 90_000, 7, 900)
    assert is_rtcp(report)


def test_packets_get_one_rising_sequence_that_wraps() -> None:
    stamper = Stamper(ssrc=9, first_sequence=65_535, first_rtp_time=2**32 - 90_000)
    packet = bytes([0x80, 96]) + bytes(10) + b"payload"
    stamped = [stamper.stamp(packet, stamper.rtp_time(2.0)) for _ in range(2)]
    assert [struct.unpack(">HII", one[2:12]) for one in stamped] == [(65_535, 90_000, 9), (0, 90_000, 9)]
    assert [one[:2] + one[12:] for one in stamped] == [packet[:2] + b"payload"] * 2
    assert (stamper.packets_sent, stamper.bytes_sent) == (2, 14)


def test_interleaved_packets_carry_channel_and_length() -> None:
    frame = EncodedFrame(0, 0.0, 0, True, (b"abc", b"d" * 300))
    assert frame.interleaved(4) == b"$\x04\x00\x03abc" + b"$\x04\x01\x2c" + b"d" * 300


@pytest.mark.parametrize("start", [b"\x00\x00\x01", b"\x00\x00\x00\x01"], ids=["three bytes", "four bytes"])
def test_parameter_sets_are_found_behind_either_start_code(start: bytes) -> None:
    unit = start + b"\x09\xf0" + start + SPS + start + PPS + start + b"\x65\x88\x84"
    assert parameter_sets(Codec.H264, unit) == (SPS, PPS)


def test_the_description_of_h264_holds_profile_and_parameter_sets() -> None:
    text = session_description(Codec.H264, (SPS, PPS), 12.5, "127.0.0.1").decode()
    assert "m=video 0 RTP/AVP 96\r\n" in text
    assert "profile-level-id=42c01f;sprop-parameter-sets=Z0LAHwE=,aM44\r\n" in text
    assert "a=framerate:12.5\r\n" in text


@pytest.mark.parametrize(
    ("codec", "said"), [("h264", "sprop-parameter-sets="), ("hevc", "sprop-vps="), ("mjpeg", "a=rtpmap:26 JPEG/90000")]
)
def test_an_encoder_can_be_described_before_its_first_frame(codec: str, said: str) -> None:
    with VideoEncoder(StreamSettings(codec=codec, width=64, height=48)) as encoder:
        assert said in session_description(Codec(codec), encoder.parameters, 15, "127.0.0.1").decode()


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_keyframes_come_when_told_and_when_due(codec: str) -> None:
    picture = np.full((48, 64, 3), 90, np.uint8)
    with VideoEncoder(StreamSettings(codec=codec, width=64, height=48, fps=5, keyframe_s=2)) as encoder:
        coded = [encoder.encode(picture, keyframe=number == 4) for number in range(16)]
    keyframes = [number for number, one in enumerate(coded) if one.keyframe]
    assert keyframes == (list(range(16)) if codec == "mjpeg" else [4, 14])


def test_one_frame_in_is_one_frame_out_and_its_last_packet_is_marked() -> None:
    picture = np.random.default_rng(5).integers(0, 256, (240, 320, 3), np.uint8)
    with VideoEncoder(StreamSettings(width=320, height=240)) as encoder:
        for _ in range(3):
            packets = encoder.encode(picture, keyframe=False).packets
            assert [packet[1] >> 7 for packet in packets] == [0] * (len(packets) - 1) + [1]
            assert max(map(len, packets)) <= 1400


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 641},
        {"height": 8},
        {"fps": 0},
        {"codec": "vp9"},
        {"bitrate": 0},
        {"keyframe_s": 0},
        {"codec": "mjpeg", "width": 2048},
    ],
)
def test_settings_that_cannot_be_coded_are_refused(wrong: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match=r"stream needs|MJPEG|valid Codec"):
        StreamSettings(**wrong)
