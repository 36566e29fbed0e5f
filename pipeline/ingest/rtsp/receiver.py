"""One RTP stream as it comes in: coded pictures with the camera's times, and reports on what came."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.ingest.rtsp.depacketizer import AccessUnit, Depacketizer, Hole
from pipeline.ingest.rtsp.rtp import Reception, SenderReport, Unwrapper, read_packet, says_goodbye, sender_reports
from pipeline.ingest.rtsp.sdp import Track
from pipeline.ingest.video_codec import VideoCodec

_LONGEST_STEP_S = 10.0  # a longer one is a jump of the camera's time stamps: what its clock said is over


@dataclass(frozen=True, slots=True)
class Coded:
    """One coded picture. `ticks` counts its RTP time from the stream's beginning."""

    data: bytes
    ticks: int
    media_s: float
    camera_wall_s: float | None  # when it was taken by the camera's clock, Unix seconds; None: not told
    entry: bool  # decoding may begin here
    sets: bool  # parameter sets are with it


class Receiver:
    """Makes coded pictures of a track's packets."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._own_ssrc = secrets.randbits(32)
        self._reception: Reception | None = None
        self._report: tuple[SenderReport, int] | None = None  # and the count of its RTP time
        self._last_ticks: int | None = None
        self._begin()

    @property
    def codec(self) -> VideoCodec:
        """What the pictures are coded with."""
        return self._track.codec

    def rtp(self, data: memoryview) -> Iterator[Coded | Hole]:
        """Takes one RTP packet. Raises UnknownPacking."""
        packet = read_packet(data)
        if packet is None:
            return
        if packet.payload_type != self._track.payload_type:
            if self._reception is not None and packet.ssrc == self._reception.ssrc:
                self._depacketizer.pass_over(packet.sequence)
            return
        if self._reception is None or packet.ssrc != self._reception.ssrc:
            yield from self._another_sender(packet.ssrc)
        if self._reception is not None:
            self._reception.packet(packet.sequence)
        for unit in self._depacketizer.push(packet):
            yield unit if isinstance(unit, Hole) else self._coded(unit)

    def rtcp(self, data: bytes, now_s: float) -> bool:
        """Takes one RTCP packet; `now_s` is monotonic. False where it says that the stream is over."""
        for report in sender_reports(data):
            if self._reception is not None and report.ssrc == self._reception.ssrc:
                self._reception.reported(report, now_s)
            if self._reception is None or report.ssrc == self._reception.ssrc:
                self._keep(report)
        return self._reception is None or not says_goodbye(data, self._reception.ssrc)

    def report(self, now_s: float) -> bytes:
        """An RTCP packet that says what came."""
        return (self._reception or Reception(0)).report(self._own_ssrc, now_s)

    def _begin(self) -> None:
        self._depacketizer = Depacketizer(self._track.codec)
        self._times = Unwrapper()

    def _another_sender(self, ssrc: int) -> Iterator[Hole]:
        """The first, or one in its place: its numbers and times are its own."""
        if self._reception is not None:
            self._begin()
            self._report = self._last_ticks = None
            yield Hole()
        elif self._report is not None and self._report[0].ssrc != ssrc:
            self._report = None
        self._reception = Reception(ssrc)

    def _keep(self, report: SenderReport) -> None:
        if report.wall_s is not None:
            count = self._times.take if self._last_ticks is None else self._times.near
            self._report = (report, count(report.rtp_time))

    def _coded(self, unit: AccessUnit) -> Coded:
        ticks, clock_hz = self._times.take(unit.rtp_time), self._track.clock_hz
        if self._last_ticks is not None and abs(ticks - self._last_ticks) > _LONGEST_STEP_S * clock_hz:
            self._report = None
        self._last_ticks = ticks
        wall_s = None
        if self._report is not None and self._report[0].wall_s is not None:
            wall_s = self._report[0].wall_s + (ticks - self._report[1]) / clock_hz
        return Coded(unit.data, ticks, ticks / clock_hz, wall_s, unit.entry, unit.sets)
