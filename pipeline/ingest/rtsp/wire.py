"""A socket that carries RTSP messages and interleaved packets, with an end to every wait."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline.ingest.rtsp.messages import LONGEST_BODY_BYTES, LONGEST_HEAD_BYTES, Malformed, Message, read_message

TICK_S = 0.25  # after which a silent socket is looked up from
_SEND_TIMEOUT_S = 2.0
_LARGEST_ITEM_BYTES = LONGEST_HEAD_BYTES + LONGEST_BODY_BYTES  # an interleaved packet has 64 KiB at most
_BUFFER_BYTES = 256 * 1024
_DOLLAR = 0x24


class Interleaved(NamedTuple):
    """A packet on one of the connection's channels; `data` lies in memory that the next `receive` uses again."""

    channel: int
    data: memoryview


class HungUp(ConnectionError):
    """The other side closed the connection."""


class Wire:
    """One connection. Used by one thread; only `interrupt` comes from another.

    `connect`, `send` and `receive` raise OSError.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()  # of the socket's life: none is shut down whose number another has by now
        self._socket: socket.socket | None = None
        self._interrupted = False
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0  # what is there and not read yet

    def connect(self, host: str, port: int, deadline: float) -> None:
        """To the first of the host's addresses that answers, until `deadline` (monotonic)."""
        self.close()
        self._start = self._end = 0
        error: OSError = TimeoutError()
        for family, kind, protocol, _, address in _addresses(host, port):
            try:
                self._adopt(socket.socket(family, kind, protocol))
                return self._connect(address, deadline)
            except OSError as exc:
                error = exc
                self.close()
        raise error

    def send(self, data: bytes) -> None:
        """All of it."""
        self._open_socket().sendall(data)

    def receive(self) -> bool:
        """What has come, or False after TICK_S without anything. Raises HungUp."""
        if self._end + _LARGEST_ITEM_BYTES > _BUFFER_BYTES:
            left = bytes(self._buffer[self._start : self._end])
            self._start, self._end = 0, len(left)
            self._buffer[: self._end] = left
        try:
            count = self._open_socket().recv_into(self._buffer[self._end :])
        except BlockingIOError:
            return False
        if not count:
            raise HungUp("the connection was closed")
        self._end += count
        return True

    def next_item(self) -> Interleaved | Message | None:
        """What was received next; None while it is not whole. Raises Malformed."""
        while self._start < self._end and self._buffer[self._start] in b"\r\n":
            self._start += 1
        if self._start == self._end:
            self._start = self._end = 0
            return None
        if self._buffer[self._start] == _DOLLAR:
            return self._packet()
        return self._message()

    def interrupt(self) -> None:
        """From any thread: a `receive` or `connect` under way ends now, as does each to come. Never blocks."""
        with self._lock:
            self._interrupted = True
            self._shut()

    def close(self) -> None:
        """Lets go of the socket."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _packet(self) -> Interleaved | None:
        at, there = self._start, self._end - self._start
        if there < 4:
            return None
        size = self._buffer[at + 2] << 8 | self._buffer[at + 3]
        if there < 4 + size:
            return None
        self._start += 4 + size
        return Interleaved(self._buffer[at + 1], self._buffer[at + 4 : at + 4 + size])

    def _message(self) -> Message | None:
        if not chr(self._buffer[self._start]).isalpha():
            raise Malformed("neither a message nor a packet")
        found = read_message(bytes(self._buffer[self._start : min(self._end, self._start + _LARGEST_ITEM_BYTES)]))
        if found is None:
            return None
        message, length = found
        self._start += length
        return message

    def _adopt(self, opened: socket.socket) -> None:
        with self._lock:
            self._socket = opened

    def _connect(self, address: tuple[Any, ...], deadline: float) -> None:
        opened = self._open_socket()
        opened.settimeout(max(0.01, deadline - self._monotonic()))
        opened.connect(address)
        opened.settimeout(None)
        # The kernel's own timeouts: Python's would ask whether there is something before each read.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(TICK_S))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_SEND_TIMEOUT_S))
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            if self._interrupted:
                self._shut()

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise HungUp("not connected")
        return self._socket

    def _shut(self) -> None:
        """Reading ends at once; what is to be said at parting can still be sent."""
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RD)
            except OSError:  # not connected, or gone by itself
                return


def _addresses(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError:  # a name that cannot be written in DNS
        raise OSError("no host can have this name") from None


def _timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
