"""An RTSP server that says what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

SDP = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
Answer = Callable[[str, str], bytes | None]  # method and whole request in, bytes out; None: hang up


def ok(request: str, *headers: str, body: str = "", status: str = "200 OK") -> bytes:
    """An answer as a server that works gives it."""
    cseq = re.search(r"CSeq: (\d+)", request)
    assert cseq
    lines = [f"RTSP/1.0 {status}", f"CSeq: {cseq[1]}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()


def usual(method: str, request: str) -> bytes | None:
    """What any camera answers."""
    match method:
        case "OPTIONS":
            return ok(request, "Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
        case "DESCRIBE":
            return ok(request, "Content-Type: application/sdp", body=SDP)
        case "SETUP":
            return ok(request, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: abc;timeout=2")
        case _:
            return ok(request, "Session: abc")


class ScriptedServer:
    """Answers one client after another by `answer`. A context manager."""

    def __init__(self, answer: Answer = usual) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"  # host and port
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.asked: list[str] = []  # whole requests
        self.packets: list[bytes] = []  # interleaved ones of the client's
        self.connections = 0

    @property
    def methods(self) -> list[str]:
        """What it was asked for."""
        return [request.split(" ", 1)[0] for request in self.asked]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if (client := self._client) is not None:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._client, _ = self._listener.accept()
                self.connections += 1
                with self._client as client, suppress(OSError):
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        data = b""
        while received := client.recv(4096):
            data += received
            while (cut := self._cut(data)) > 0:
                piece, data = data[:cut], data[cut:]
                if piece[0] == 0x24:
                    self.packets.append(piece)
                    continue
                request = piece.decode()
                self.asked.append(request)
                answer = self._answer(request.split(" ", 1)[0], request)
                if answer is None:
                    return
                client.sendall(answer)

    @staticmethod
    def _cut(data: bytes) -> int:
        """Length of the packet or request it begins with; 0: not whole."""
        if data[:1] == b"$":
            length = 4 + int.from_bytes(data[2:4], "big")
            return length if len(data) >= max(4, length) else 0
        return data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else 0
