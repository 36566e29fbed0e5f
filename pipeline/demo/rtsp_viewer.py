"""Who watches a path: each viewer starts at a keyframe, and a slow one loses frames without holding up the rest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from typing import Protocol

from pipeline.demo.live import LiveStream
from pipeline.demo.rtp import EncodedFrame, interleave, sender_report

logger = logging.getLogger(__name__)

REPORT_EVERY_S = 2.0
BACKLOG_LIMIT_BYTES = 512 * 1024  # about three seconds at the default bitrate: beyond, frames are dropped
SLOW_LIMIT_S = 10.0  # a viewer that takes nothing for so long is let go


class Road(Protocol):
    """How packets reach one viewer; never blocks."""

    def send(self, frame: EncodedFrame) -> None:
        """Send the packets of one frame."""

    def report(self, packet: bytes) -> None:
        """Send one sender report."""

    def backlog_bytes(self) -> int:
        """Bytes taken but not yet on their way."""

    def close(self) -> None:
        """Let go of what is the road's own."""


class Interleaved:
    """Packets inside the RTSP connection itself."""

    def __init__(self, transport: asyncio.WriteTransport, rtp_channel: int, rtcp_channel: int) -> None:
        self._transport = transport
        self._rtp_channel, self._rtcp_channel = rtp_channel, rtcp_channel

    def send(self, frame: EncodedFrame) -> None:
        if not self._transport.is_closing():
            self._transport.write(frame.interleaved(self._rtp_channel))

    def report(self, packet: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(interleave(packet, self._rtcp_channel))

    def backlog_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        """The connection is its owner's to close."""


class Datagrams:
    """Packets over UDP, to the viewer's own address only; what the kernel does not take at once is lost, as UDP is."""

    def __init__(self, here: str, rtp_to: tuple[str, int], rtcp_to: tuple[str, int]) -> None:
        family = socket.AF_INET6 if ":" in here else socket.AF_INET
        with contextlib.ExitStack() as opened:
            self._rtp = opened.enter_context(_datagram_socket(family, here, rtp_to))
            self._rtcp = opened.enter_context(_datagram_socket(family, here, rtcp_to))
            opened.pop_all()

    @property
    def rtp_port(self) -> int:
        """The port RTP comes from."""
        return int(self._rtp.getsockname()[1])

    @property
    def rtcp_port(self) -> int:
        """The port sender reports come from."""
        return int(self._rtcp.getsockname()[1])

    def send(self, frame: EncodedFrame) -> None:
        with contextlib.suppress(OSError):  # full, or the viewer's port is closed: its TCP connection tells us more
            for packet in frame.packets:
                self._rtp.send(packet)

    def report(self, packet: bytes) -> None:
        with contextlib.suppress(OSError):
            self._rtcp.send(packet)

    def backlog_bytes(self) -> int:
        return 0

    def close(self) -> None:
        self._rtp.close()
        self._rtcp.close()


def _datagram_socket(family: socket.AddressFamily, here: str, there: tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind((here, 0))
        sock.connect(there)
    except OSError:
        sock.close()
        raise
    return sock


class Viewer:
    """One playing client of one path."""

    def __init__(self, road: Road, drop_connection: Callable[[], None]) -> None:
        self.drop_connection = drop_connection
        self.playing = False
        self.frames_dropped = 0
        self._road = road
        self._needs_keyframe = True
        self._next_report = 0.0
        self._slow_since: float | None = None

    def play(self) -> None:
        """Begin, or begin again, at the next keyframe."""
        self.playing, self._needs_keyframe, self._next_report = True, True, 0.0

    def take(self, frame: EncodedFrame, report: bytes | None, now: float) -> None:
        """Send the frame on, after the report where one is due; `now` is monotonic seconds."""
        if not self.playing or self._held_up(now) or (self._needs_keyframe and not frame.keyframe):
            return
        if report is not None and now >= self._next_report:
            self._road.report(report)
            self._next_report = now + REPORT_EVERY_S
        self._needs_keyframe = False
        self._road.send(frame)

    def _held_up(self, now: float) -> bool:
        """True while what was sent before is not gone; then the viewer restarts at a keyframe, or is let go."""
        if self._road.backlog_bytes() <= BACKLOG_LIMIT_BYTES:
            self._slow_since = None
            return False
        self._needs_keyframe = True
        self.frames_dropped += 1
        self._slow_since = now if self._slow_since is None else self._slow_since
        if now - self._slow_since > SLOW_LIMIT_S:
            logger.warning("a viewer took nothing for %.0f s and is let go", SLOW_LIMIT_S)
            self.drop_connection()
        return True

    def close(self) -> None:
        """Stop sending."""
        self.playing = False
        self._road.close()


class Mount:
    """One path of the server: a stream under a camera's name, its viewers, and what was told to go wrong."""

    def __init__(self, path: str, stream: LiveStream) -> None:
        self.path, self.stream = path, stream
        self.viewers: set[Viewer] = set()
        self.frozen = False
        self.refusal: int | None = None  # RTSP status answered to newcomers
        self.reports = True
        self.clock_offset_s = 0.0  # what the sender reports' clock is ahead of ours

    def take(self, frame: EncodedFrame) -> None:
        """Pass one frame to every viewer."""
        if self.frozen:
            return
        now, report = time.monotonic(), self._report(frame)
        for viewer in tuple(self.viewers):
            viewer.take(frame, report, now)

    def restart_viewers(self) -> None:
        """Let every viewer begin again at a keyframe."""
        for viewer in self.viewers:
            if viewer.playing:
                viewer.play()
        self.stream.want_keyframe()

    def drop_connections(self) -> None:
        """Close the connection of every viewer."""
        for viewer in tuple(self.viewers):
            viewer.drop_connection()

    @property
    def watched(self) -> bool:
        """Whether anybody is playing."""
        return any(viewer.playing for viewer in self.viewers)

    def _report(self, frame: EncodedFrame) -> bytes | None:
        if not self.reports:
            return None
        sent = self.stream.stamper
        wall_s = frame.captured_at + self.clock_offset_s
        return sender_report(sent.ssrc, wall_s, frame.rtp_time, sent.packets_sent, sent.bytes_sent)
