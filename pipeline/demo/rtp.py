"""RTP on the wire: packets of one frame, sender reports, and the session description a client decodes by."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

RTP_CLOCK_HZ = 90_000
_NTP_EPOCH_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
_RTCP_TYPES = range(192, 224)


class Codec(StrEnum):
    """What a stream is coded with."""

    H264 = "h264"
    HEVC = "hevc"
    MJPEG = "mjpeg"


PAYLOAD_TYPE = {Codec.H264: 96, Codec.HEVC: 96, Codec.MJPEG: 26}


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame as RTP packets. `captured_at` is Unix seconds; `rtp_time` the 90 kHz stamp of that very moment."""

    number: int
    captured_at: float
    rtp_time: int
    keyframe: bool
    packets: tuple[bytes, ...]

    def interleaved(self, channel: int) -> bytes:
        """All packets framed for an RTSP connection (RFC 2326, 10.12)."""
        return b"".join(interleave(packet, channel) for packet in self.packets)


def interleave(packet: bytes, channel: int) -> bytes:
    """One packet framed for an RTSP connection."""
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


def is_rtcp(packet: bytes) -> bool:
    """True for RTCP, False for RTP (RFC 5761)."""
    return len(packet) > 1 and packet[1] in _RTCP_TYPES


class Stamper:
    """Gives packets one sequence, one source id and the clock of one stream, whatever the packetiser wrote.

    So a packetiser may be replaced (new picture size) without the client seeing another stream.
    """

    def __init__(self, ssrc: int, first_sequence: int, first_rtp_time: int) -> None:
        self.ssrc = ssrc
        self._sequence = first_sequence
        self._first_rtp_time = first_rtp_time
        self.packets_sent = 0
        self.bytes_sent = 0  # payload only, as a sender report counts it

    def rtp_time(self, elapsed_s: float) -> int:
        """The 90 kHz stamp of a moment `elapsed_s` after the stream's first."""
        return (self._first_rtp_time + round(elapsed_s * RTP_CLOCK_HZ)) & 0xFFFFFFFF

    def stamp(self, packet: bytes, rtp_time: int) -> bytes:
        """The packet with its sequence number, time and source id in place."""
        stamped = bytearray(packet)
        struct.pack_into(">HII", stamped, 2, self._sequence, rtp_time, self.ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets_sent += 1
        self.bytes_sent += len(packet) - 12
        return bytes(stamped)


def sender_report(ssrc: int, wall_s: float, rtp_time: int, packets: int, payload_bytes: int) -> bytes:
    """The 28 bytes that tell a receiver: RTP time `rtp_time` was `wall_s` (Unix seconds) on the sender's clock."""
    seconds = int(wall_s // 1)
    fraction = min(int((wall_s - seconds) * 2**32), 2**32 - 1)
    ntp_seconds = (seconds + _NTP_EPOCH_S) & 0xFFFFFFFF
    counts = (packets & 0xFFFFFFFF, payload_bytes & 0xFFFFFFFF)
    return struct.pack(">BBHIIIIII", 0x80, 200, 6, ssrc, ntp_seconds, fraction, rtp_time, *counts)


def parameter_sets(codec: Codec, access_unit: bytes) -> tuple[bytes, ...]:
    """SPS and PPS (HEVC: VPS, SPS, PPS) of an Annex B keyframe, in their order; empty for MJPEG."""
    match codec:
        case Codec.H264:
            return tuple(nal for nal in _nal_units(access_unit) if nal[0] & 0x1F in (7, 8))
        case Codec.HEVC:
            return tuple(nal for nal in _nal_units(access_unit) if nal[0] >> 1 & 0x3F in (32, 33, 34))
        case Codec.MJPEG:
            return ()


def _nal_units(data: bytes) -> Iterator[bytes]:
    for part in data.split(b"\x00\x00\x01")[1:]:
        nal = part.rstrip(b"\x00")  # a four-byte start code's first zero; a NAL unit never ends in zero
        if nal:
            yield nal


def session_description(codec: Codec, parameters: tuple[bytes, ...], fps: float, host: str) -> bytes:
    """SDP of one live video track called `track1`."""
    payload_type = PAYLOAD_TYPE[codec]
    lines = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=Rayline",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=now-",
        f"m=video 0 RTP/AVP {payload_type}",
        *_format_lines(codec, payload_type, parameters),
        f"a=framerate:{fps:g}",
        "a=control:track1",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def _format_lines(codec: Codec, payload_type: int, parameters: tuple[bytes, ...]) -> list[str]:
    coded = [base64.b64encode(unit).decode() for unit in parameters]
    match codec:
        case Codec.H264:
            profile = next(unit[1:4].hex() for unit in parameters if unit[0] & 0x1F == 7)
            sets = ",".join(coded)
            return [
                f"a=rtpmap:{payload_type} H264/{RTP_CLOCK_HZ}",
                f"a=fmtp:{payload_type} packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}",
            ]
        case Codec.HEVC:
            vps, sps, pps = coded[:3]
            return [
                f"a=rtpmap:{payload_type} H265/{RTP_CLOCK_HZ}",
                f"a=fmtp:{payload_type} sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}",
            ]
        case Codec.MJPEG:
            return [f"a=rtpmap:{payload_type} JPEG/{RTP_CLOCK_HZ}"]
