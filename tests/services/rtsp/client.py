"""Two clients for RTSP tests: PyAV as the pipeline uses it, and a bare socket that sees the protocol."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from pipeline.demo.rtsp_server import StreamSettings
from tests.numbered import numbered_picture, read_number

READ_TIMEOUT_S = 30.0
_OPTIONS = {"fflags": "nobuffer", "analyzeduration": "300000", "probesize": "32768"}


def soon(fps: float = 15, keyframe_s: float = 0.2, **others: Any) -> StreamSettings:
    """Settings with keyframes so close that a client, which lets go of what it probed, need not wait for one."""
    return StreamSettings(fps=fps, keyframe_s=keyframe_s, **others)


def numbered(width: int = 640, height: int = 360) -> Callable[[int], npt.NDArray[np.uint8]]:
    """A `picture_at` whose pictures carry their number."""
    return lambda n: numbered_picture(n, width, height)


@contextmanager
def open_camera(url: str, transport: str = "tcp", read_timeout_s: float = READ_TIMEOUT_S) -> Iterator[InputContainer]:
    """The stream at `url`, opened fast."""
    options = _OPTIONS | {"rtsp_transport": transport}
    with av.open(url, options=options, timeout=(READ_TIMEOUT_S, read_timeout_s)) as container:
        yield container


@dataclass(frozen=True)
class Seen:
    """One decoded frame: the number in its pixels, its size, and when the sender says it was captured."""

    number: int | None
    size: tuple[int, int]
    captured_at: float | None  # Unix seconds, by the sender's reports


def frames(container: InputContainer) -> Iterator[Seen]:
    """Every frame, until the stream ends."""
    for packet in container.demux(container.streams.video[0]):
        captured_at = _captured_at(packet)
        for frame in packet.decode():
            luma = frame.reformat(format="gray").to_ndarray()
            yield Seen(read_number(luma), (frame.width, frame.height), captured_at)


def take(container: InputContainer, count: int) -> list[Seen]:
    """The next `count` frames."""
    seen: list[Seen] = []
    for frame in frames(container):
        seen.append(frame)
        if len(seen) == count:
            break
    return seen


def numbers(seen: list[Seen]) -> list[int]:
    """Their numbers; fails if a frame's cannot be read."""
    found = [frame.number for frame in seen]
    assert None not in found, f"unreadable frames among {found}"
    return [number for number in found if number is not None]


def _captured_at(packet: av.Packet[Any]) -> float | None:
    if not packet.has_sidedata("prft"):
        return None
    (microseconds,) = struct.unpack("<q", bytes(packet.get_sidedata("prft"))[:8])
    return float(microseconds) / 1e6


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: str


class BareClient:
    """Speaks RTSP over one socket, a request at a time. A context manager."""

    def __init__(self, url: str, receive_buffer_bytes: int | None = None) -> None:
        self.url = url
        address = re.match(r"rtsp://([\d.]+):(\d+)/", url)
        assert address is not None
        self._socket = socket.socket()
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(READ_TIMEOUT_S)
        self._socket.connect((address[1], int(address[2])))
        self._file = self._socket.makefile("rb")
        self._sequence = 0
        self.session = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, method: str, url: str | None = None, **headers: str) -> Reply:
        """Send one request and read its answer, passing over packets that come before it."""
        self.send(method, url, **headers)
        while self._file.peek(1)[:1] == b"$":
            self.packet()
        status = int(self._file.readline().split()[1])
        found = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            found[name.lower()] = value.strip()
        body = self._file.read(int(found.get("content-length", 0))).decode()
        self.session = found.get("session", self.session).partition(";")[0]
        return Reply(status, found, body)

    def send(self, method: str, url: str | None = None, **headers: str) -> None:
        """Send one request."""
        self._sequence += 1
        lines = [f"{method} {url or self.url} RTSP/1.0", f"CSeq: {self._sequence}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self.session:
            lines.append(f"Session: {self.session}")
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def play(self) -> None:
        """SETUP and PLAY inside this connection."""
        setup = self.ask("SETUP", self.url + "/track1", Transport="RTP/AVP/TCP;unicast;interleaved=0-1")
        assert setup.status == 200
        assert self.ask("PLAY").status == 200

    def packet(self) -> tuple[int, bytes]:
        """The next interleaved packet: channel and bytes. Raises EOFError when the server closed."""
        header = self._file.read(4)
        if len(header) < 4:
            raise EOFError("the server closed the connection")
        assert header[:1] == b"$", header
        channel, length = struct.unpack(">BH", header[1:])
        return channel, self._file.read(length)
