"""RTP and RTCP on the wire (RFC 3550): packets, the camera's clock, and what a receiver reports."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_NTP_EPOCH_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
_NTP_ERA_S = 2**32
_HEADER = struct.Struct(">BBHII")
_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION, _GOODBYE = 200, 201, 202, 203
_NAME = b"rayline"


class RtpPacket(NamedTuple):
    """One packet; `payload` lies in memory that is used again."""

    marker: bool
    payload_type: int
    sequence: int
    time: int  # 32 bits, wraps
    ssrc: int
    payload: memoryview


class SenderReport(NamedTuple):
    """What a camera says of its clock: RTP time `rtp_time` was Unix second `wall_s`."""

    ssrc: int
    wall_s: float | None  # None: it has no clock
    rtp_time: int
    ntp_middle: int  # the middle 32 bits, which a receiver report gives back


def read_packet(data: memoryview) -> RtpPacket | None:
    """None where it is no RTP packet, or an empty one."""
    if len(data) <= _HEADER.size:
        return None
    first, second, sequence, time, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        return None
    start, end = _HEADER.size + 4 * (first & 0x0F), len(data)
    if first & 0x10:  # a header extension
        if start + 4 > end:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:  # padding, its length last
        end -= data[-1]
    if start >= end:
        return None
    return RtpPacket(second > 0x7F, second & 0x7F, sequence, time, ssrc, data[start:end])


def sender_reports(data: bytes) -> Iterator[SenderReport]:
    """The sender reports of a compound RTCP packet."""
    for kind, at, length in _parts(data):
        if kind == _SENDER_REPORT and length >= 28:
            ssrc, seconds, fraction, rtp_time = struct.unpack_from(">IIII", data, at + 4)
            middle = (seconds & 0xFFFF) << 16 | fraction >> 16
            yield SenderReport(ssrc, _unix_s(seconds, fraction), rtp_time, middle)


def says_goodbye(data: bytes, ssrc: int) -> bool:
    """Whether a compound RTCP packet tells that this stream is over."""
    for kind, at, length in _parts(data):
        if kind == _GOODBYE and length >= 8 and struct.unpack_from(">I", data, at + 4) == (ssrc,):
            return True
    return False


def _parts(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, place and length of each part that is whole; what is no RTCP ends them."""
    at = 0
    while at + 4 <= len(data) and data[at] >> 6 == 2:
        length = 4 * (int.from_bytes(data[at + 2 : at + 4], "big") + 1)
        if at + length > len(data):
            return
        yield data[at + 1], at, length
        at += length


class Unwrapper:
    """32-bit RTP times as one count that goes on through their wrapping; it begins at 0."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._count = 0

    def take(self, rtp_time: int) -> int:
        """The count of this time, at most half a wrap from the one before."""
        self._count = self.near(rtp_time)
        self._last = rtp_time
        return self._count

    def near(self, rtp_time: int) -> int:
        """The same without moving on."""
        if self._last is None:
            return self._count
        return self._count + ((rtp_time - self._last + 2**31) % 2**32 - 2**31)


class Reception:
    """What came of one stream, for receiver reports."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self._first: int | None = None
        self._highest = 0  # sequence number, wraps counted
        self._received = 0
        self._expected_before = self._received_before = 0
        self._report_middle = 0
        self._report_at = 0.0

    def packet(self, sequence: int) -> None:
        """One came."""
        if self._first is None:
            self._first = self._highest = sequence
        step = (sequence - self._highest) & 0xFFFF
        if step < 0x8000:
            self._highest += step
        self._received += 1

    def reported(self, report: SenderReport, now_s: float) -> None:
        """The sender's report came."""
        self._report_middle, self._report_at = report.ntp_middle, now_s

    def report(self, own_ssrc: int, now_s: float) -> bytes:
        """A receiver report with a name to it: cameras that get none take the client for gone."""
        if self._first is None:
            return _compound(own_ssrc, b"")
        expected = self._highest - self._first + 1
        lost = min(max(expected - self._received, 0), 0x7FFFFF)
        since, got = expected - self._expected_before, self._received - self._received_before
        self._expected_before, self._received_before = expected, self._received
        fraction = min(max(since - got, 0) * 256 // since, 255) if since > 0 else 0
        delay = min(int((now_s - self._report_at) * 65536), 0xFFFFFFFF) if self._report_middle else 0
        highest = self._highest & 0xFFFFFFFF
        block = struct.pack(">IIIIII", self.ssrc, fraction << 24 | lost, highest, 0, self._report_middle, max(0, delay))
        return _compound(own_ssrc, block)


def _compound(own_ssrc: int, block: bytes) -> bytes:
    report = struct.pack(">BBHI", 0x80 | len(block) // 24, _RECEIVER_REPORT, 1 + len(block) // 4, own_ssrc) + block
    item = struct.pack(">IBB", own_ssrc, 1, len(_NAME)) + _NAME + b"\0"
    item += bytes(-len(item) % 4)
    return report + struct.pack(">BBH", 0x81, _DESCRIPTION, len(item) // 4) + item


def _unix_s(seconds: int, fraction: int) -> float | None:
    if not seconds:
        return None
    era = 0 if seconds & 0x80000000 else _NTP_ERA_S  # the count begins anew in 2036
    return seconds + era - _NTP_EPOCH_S + fraction / 2**32
