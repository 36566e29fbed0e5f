"""RTP and RTCP packets, and counts that wrap."""

from __future__ import annotations

import random
import struct

import pytest

from pipeline.demo.rtp import sender_report
from pipeline.ingest.rtsp.rtp import Reception, Unwrapper, read_packet, says_goodbye, sender_reports


def packet(payload: bytes, first: int = 0x80, second: int = 0xE0, extra: bytes = b"") -> memoryview:
    return memoryview(struct.pack(">BBHII", first, second, 7, 1000, 99) + extra + payload)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(packet(b"pay"), id="plain"),
        pytest.param(packet(b"pay", 0x82, extra=bytes(8)), id="two contributing sources"),
        pytest.param(packet(b"pay", 0x90, extra=b"\xbe\xde\0\2" + bytes(8)), id="ONVIF's header extension"),
        pytest.param(packet(b"pay\0\0\3", 0xA0), id="padding"),
    ],
)
def test_the_payload_is_found(data: memoryview) -> None:
    read = read_packet(data)
    assert read is not None
    assert (read.marker, read.payload_type, read.sequence, read.time, read.ssrc) == (True, 96, 7, 1000, 99)
    assert bytes(read.payload) == b"pay"


@pytest.mark.parametrize(
    "data",
    [
        b"", bytes(11), bytes(12), bytes(40), bytes(packet(b"x", 0x8F)), bytes(packet(b"xy", 0x90)),
        bytes(packet(b"\xbe\xde\xff\xff", 0x90)), bytes(packet(b"\xff", 0xA0)), bytes(packet(b"", 0x80)),
    ],
)  # fmt: skip
def test_what_is_no_packet_is_left_out(data: bytes) -> None:
    assert read_packet(memoryview(data)) is None


def test_random_bytes_do_no_harm() -> None:
    chance = random.Random(3)
    for _ in range(5000):
        data = bytes([chance.choice([0x80, 0x90, 0xA0, 0xBF, 0x81])]) + chance.randbytes(chance.randrange(60))
        read_packet(memoryview(data))
        list(sender_reports(data))


@pytest.mark.parametrize("wall_s", [1_700_000_000.25, 2_085_978_490.5, 2_085_978_500.75])  # 2036: NTP wraps between
def test_a_senders_clock_is_read_to_the_microsecond(wall_s: float) -> None:
    (report,) = sender_reports(sender_report(5, wall_s, 1234, 1, 1))
    assert (report.ssrc, report.rtp_time) == (5, 1234)
    assert report.wall_s == pytest.approx(wall_s, abs=1e-6)


def test_a_report_behind_others_is_found_and_one_without_a_clock_says_so() -> None:
    goodbye = struct.pack(">BBHI", 0x81, 203, 1, 5)
    clockless = struct.pack(">BBHIIIIII", 0x80, 200, 6, 5, 0, 0, 77, 0, 0)
    (report,) = sender_reports(goodbye + clockless + goodbye)
    assert (report.wall_s, report.rtp_time) == (None, 77)


def test_a_goodbye_is_the_streams_own_or_none() -> None:
    compound = sender_report(5, 1.0, 1, 1, 1) + struct.pack(">BBHI", 0x81, 203, 1, 5)
    assert says_goodbye(compound, 5)
    assert not says_goodbye(compound, 6)
    assert not says_goodbye(compound[:-1], 5)


def test_times_go_on_through_their_wrapping_and_back() -> None:
    times = Unwrapper()
    taken = [times.take(one % 2**32) for one in (2**32 - 6000, 2**32 - 3000, 2**32, 2**32 - 3000, 2**32 + 3000)]
    assert taken == [0, 3000, 6000, 3000, 9000]
    assert (times.near(2**32 - 6000), times.near(6000)) == (0, 12000)
    assert times.take(3000) == 9000


def test_a_receiver_report_tells_what_was_lost_and_when_the_sender_spoke() -> None:
    reception = Reception(5)
    for sequence in (65534, 65535, 1, 2):  # 0 is missing
        reception.packet(sequence)
    (spoken,) = sender_reports(sender_report(5, 1_700_000_000.0, 1, 1, 1))
    reception.reported(spoken, 10.0)
    data = reception.report(0xABCD, 12.5)
    assert len(data) % 4 == 0
    assert struct.unpack_from(">BBHI", data) == (0x81, 201, 7, 0xABCD)
    ssrc, loss, highest, _, middle, delay = struct.unpack_from(">IIIIII", data, 8)
    assert (ssrc, loss, highest) == (5, (256 // 5) << 24 | 1, 65536 + 2)
    assert (middle, delay) == (spoken.ntp_middle, int(2.5 * 65536))
    assert data[32 + 1] == 202  # who it is


def test_a_report_on_nothing_is_one_too() -> None:
    assert Reception(0).report(1, 0.0)[:4] == bytes([0x80, 201, 0, 1])
