"""RTP packets to access units: RFC 6184 (H.264) and RFC 7798 (H.265), in the order they were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline.ingest.rtsp.nal import Nal, nal_of
from pipeline.ingest.rtsp.rtp import RtpPacket
from pipeline.ingest.video_codec import VideoCodec

LARGEST_UNIT_BYTES = 16 * 1024 * 1024  # of one picture; a keyframe at 4K has one to three
AGREED = 3  # pictures whose marker must have told the truth before it is believed

_START = b"\0\0\0\1"
_BEGINS, _ENDS = 0x80, 0x40  # of a fragmented NAL unit


class UnknownPacking(Exception):
    """A way of packing that is not read, by its name in the RFCs."""


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture as a byte stream (Annex B), with the parameter sets that came before it."""

    data: bytes
    rtp_time: int
    entry: bool  # decoding may begin here
    sets: bool  # parameter sets are with it


@dataclass(frozen=True, slots=True)
class Hole:
    """Packets were lost or make no sense: at least one picture is not there, and those behind it may need it."""


class Depacketizer:
    """Puts one stream's pictures together.

    A picture ends at its marker bit. Cameras set it wrongly too: so it is believed only after AGREED pictures, one of
    them a keyframe, whose marker was followed by another picture; and never again once it was not. Until then, and
    without one, a picture ends when the next begins. After a loss, packets count again from where a picture begins.
    """

    def __init__(self, codec: VideoCodec) -> None:
        self._codec = codec
        self._unpack: Callable[[RtpPacket], Iterator[bytes]] = self._h264 if codec is VideoCodec.H264 else self._h265
        self._expected: int | None = None  # sequence number
        self._unit = bytearray()
        self._time = 0  # of the unit
        self._holds = Nal.OTHER  # what is in the unit so far
        self._marked = False  # the unit's last packet said it was the last
        self._given_time: int | None = None  # of the unit that went out at its marker
        self._fragment = bytearray()  # of a NAL unit; empty: none has begun
        self._fragment_time = 0
        self._lost = False  # until a picture begins
        self._agreed, self._entry_agreed, self._lies = 0, False, False

    def push(self, packet: RtpPacket) -> list[AccessUnit | Hole]:
        """Takes the next packet; what it completes. Raises UnknownPacking."""
        done: list[AccessUnit | Hole] = []
        if self._expected is not None and packet.sequence != self._expected:
            if packet.sequence == (self._expected - 1) & 0xFFFF:
                return done  # the one before, again
            done.append(self._hole())
        self._expected = (packet.sequence + 1) & 0xFFFF
        try:
            for unit in self._unpack(packet):
                self._take(unit, packet.time, done)
        except _MakesNoSense:
            done.append(self._hole())
        if packet.marker and self._picture and not self._lost and packet.time == self._time:
            self._marked = True
            if self._believed:
                self._given_time = self._time
                done.append(self._finished())
        return done

    def pass_over(self, sequence: int) -> None:
        """A packet of the stream that is none of the track's: it counts, and holds nothing."""
        if sequence == self._expected:
            self._expected = (sequence + 1) & 0xFFFF

    @property
    def _believed(self) -> bool:
        return not self._lies and self._agreed >= AGREED and self._entry_agreed

    @property
    def _picture(self) -> bool:
        """Whether the unit holds coded pixels."""
        return Nal.PICTURE in self._holds

    def _hole(self) -> Hole:
        self._begin_unit()
        self._fragment.clear()
        self._lost, self._given_time = True, None
        return Hole()

    def _begin_unit(self) -> None:
        self._unit.clear()
        self._holds, self._marked = Nal.OTHER, False

    def _finished(self) -> AccessUnit:
        unit = AccessUnit(bytes(self._unit), self._time, Nal.ENTRY in self._holds, Nal.SETS in self._holds)
        self._begin_unit()
        return unit

    def _take(self, unit: bytes, time: int, done: list[AccessUnit | Hole]) -> None:
        """One NAL unit, whole."""
        nal = nal_of(self._codec, unit)
        if self._lost and not nal & Nal.FIRST:
            return
        self._lost = False
        if self._picture and time != self._time:
            self._settle(done)
        if nal & Nal.PICTURE and not self._fits(nal, time, done):
            return
        self._time = time
        self._holds |= nal
        self._unit += _START
        self._unit += unit
        if len(self._unit) > LARGEST_UNIT_BYTES:
            raise _MakesNoSense

    def _settle(self, done: list[AccessUnit | Hole]) -> None:
        """The unit ended, for the next one begins."""
        if self._marked:
            self._agreed += 1
            self._entry_agreed = self._entry_agreed or Nal.ENTRY in self._holds
        else:
            self._agreed = 0
        done.append(self._finished())

    def _fits(self, nal: Nal, time: int, done: list[AccessUnit | Hole]) -> bool:
        """Whether coded pixels belong to this unit; ends it where they begin another, and learns what markers mean."""
        if self._picture and self._marked:
            if nal & Nal.FIRST and not self._lies:
                self._settle(done)  # a second picture, or field, of the same time
            else:
                self._lies = True
        elif not self._picture and not nal & Nal.FIRST and time == self._given_time:
            self._lies = True  # what went out at its marker was a part of a picture
            done.append(self._hole())
            return False
        return True

    # How NAL units are packed

    def _h264(self, packet: RtpPacket) -> Iterator[bytes]:
        payload = packet.payload
        kind = payload[0] & 0x1F
        if 1 <= kind <= 23:
            yield from self._together(packet, (bytes(payload),))
        elif kind == 24:
            yield from self._together(packet, _aggregated(payload[1:]))
        elif kind == 28:
            if len(payload) < 3:
                raise _MakesNoSense
            header = bytes([payload[0] & 0xE0 | payload[1] & 0x1F])
            yield from self._fragmented(packet, payload[1], payload[2:], header)
        elif kind in _H264_UNKNOWN:
            raise UnknownPacking(_H264_UNKNOWN[kind])

    def _h265(self, packet: RtpPacket) -> Iterator[bytes]:
        payload = packet.payload
        if len(payload) < 3:
            raise _MakesNoSense
        kind = payload[0] >> 1 & 0x3F
        if kind < 48:
            yield from self._together(packet, (bytes(payload),))
        elif kind == 48:
            yield from self._together(packet, _aggregated(payload[2:]))
        elif kind == 49:
            if len(payload) < 4:
                raise _MakesNoSense
            header = bytes([payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1]])
            yield from self._fragmented(packet, payload[2], payload[3:], header)
        elif kind == 50:
            raise UnknownPacking("PACI")

    def _fragmented(self, packet: RtpPacket, flags: int, piece: memoryview, header: bytes) -> Iterator[bytes]:
        """A piece of a NAL unit, which `header` begins. Where its last is not called so, the next unit ends it."""
        if self._fragment and packet.time != self._fragment_time:
            raise _MakesNoSense
        if flags & _BEGINS:
            if self._fragment:
                yield self._whole()
            self._fragment += header
            self._fragment_time = packet.time
        elif not self._fragment:
            if self._lost:
                return  # its beginning went with the rest
            raise _MakesNoSense
        self._fragment += piece
        if len(self._fragment) > LARGEST_UNIT_BYTES:
            raise _MakesNoSense
        if flags & _ENDS or packet.marker:
            yield self._whole()

    def _together(self, packet: RtpPacket, units: Iterable[bytes]) -> Iterator[bytes]:
        """NAL units that come whole, behind a fragmented one that nobody ended."""
        if self._fragment:
            if packet.time != self._fragment_time:
                raise _MakesNoSense
            yield self._whole()
        yield from units

    def _whole(self) -> bytes:
        unit = bytes(self._fragment)
        self._fragment.clear()
        return unit


_H264_UNKNOWN = {25: "STAP-B", 26: "MTAP16", 27: "MTAP24", 29: "FU-B"}


class _MakesNoSense(Exception):
    """A packet that is cut off, larger than a picture, or a piece without a beginning."""


def _aggregated(payload: memoryview) -> Iterator[bytes]:
    """Several NAL units, each behind its length."""
    at = 0
    while at + 2 <= len(payload):
        size = payload[at] << 8 | payload[at + 1]
        at += 2
        if at + size > len(payload):
            raise _MakesNoSense
        if size:
            yield bytes(payload[at : at + size])
        at += size
