"""One RTSP connection: requests in, answers out (RFC 2326)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from pipeline.demo.rtp import session_description
from pipeline.demo.rtsp_auth import Login, new_nonce
from pipeline.demo.rtsp_viewer import Datagrams, Interleaved, Mount, Road, Viewer

logger = logging.getLogger(__name__)

_SILENCE_TIMEOUT_S = 150.0  # longer than the keep-alive a session asks for
_REST_TIMEOUT_S = 10.0  # what has begun must soon be whole
_SESSION_TIMEOUT_S = 60
_LARGEST_HEAD_BYTES = 16 * 1024
_LARGEST_BODY_BYTES = 64 * 1024
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    454: "Session Not Found",
    455: "Method Not Valid In This State",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case."""

    method: str
    url: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The camera's path, without the track a client asks for."""
        return urlsplit(self.url).path.removesuffix("/").removesuffix("/track1").strip("/")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; CSeq and the first line are added when it is sent."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self, cseq: str) -> bytes:
        """The bytes on the wire."""
        reason = _REASONS.get(self.status, "Refused")
        lines = [f"RTSP/1.0 {self.status} {reason}", f"CSeq: {cseq}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


class House(Protocol):
    """What a connection needs of its server."""

    login: Login | None

    def mount(self, path: str) -> Mount | None:
        """The camera under a path, if there is one."""

    def viewers_changed(self, mount: Mount) -> None:
        """Called when somebody began or ceased to watch."""

    @property
    def is_mute(self) -> bool:
        """Whether requests are read and never answered."""


class Refused(Exception):
    """A request that gets an answer other than 200."""

    def __init__(self, status: int, *headers: tuple[str, str]) -> None:
        super().__init__(status)
        self.answer = Answer(status, headers)


class Connection:
    """Serves one client until it goes, and lets go of all that was its own."""

    def __init__(self, house: House, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._house, self._reader, self._writer = house, reader, writer
        self._nonce = new_nonce()
        self._session = secrets.token_hex(8)
        self._viewer: Viewer | None = None
        self._mount: Mount | None = None

    async def serve(self) -> None:
        """Answer requests until the client goes, says TEARDOWN, or breaks the protocol."""
        gone = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError)
        try:
            while request := await self._next_request():
                if self._house.is_mute:
                    continue
                answer = self._answer(request)
                self._writer.write(answer.encode(request.headers.get("cseq", "0")))
                if request.method == "TEARDOWN":
                    break
        except gone as exc:
            logger.debug("connection ends: %s", type(exc).__name__)
        finally:
            self._leave()
            self._writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._writer.wait_closed()

    def abort(self) -> None:
        """Close at once, whatever is still unsent."""
        self._writer.transport.abort()

    async def _next_request(self) -> Request:
        """The next request; interleaved packets of the client's are read over. Raises when there can be none."""
        while (first := await self._first_byte()) == b"$":  # its receiver reports count as a sign of life
            async with asyncio.timeout(_REST_TIMEOUT_S):
                header = await self._reader.readexactly(3)
                await self._reader.readexactly(int.from_bytes(header[1:], "big"))
        async with asyncio.timeout(_REST_TIMEOUT_S):
            head = first + await self._reader.readuntil(b"\r\n\r\n")
            request = _parse(head)
            length = int(request.headers.get("content-length", "0"))
            if not 0 <= length <= _LARGEST_BODY_BYTES:
                raise ValueError("body too large")
            await self._reader.readexactly(length)
            return request

    async def _first_byte(self) -> bytes:
        async with asyncio.timeout(_SILENCE_TIMEOUT_S):
            return await self._reader.readexactly(1)

    def _answer(self, request: Request) -> Answer:
        try:
            match request.method:
                case "OPTIONS":
                    return Answer(200, (("Public", _METHODS),))
                case "DESCRIBE":
                    return self._describe(request)
                case "SETUP":
                    return self._setup(request)
                case "PLAY":
                    return self._play(request)
                case "PAUSE":
                    return self._pause(request)
                case "GET_PARAMETER" | "SET_PARAMETER" | "TEARDOWN":
                    self._admit(request)
                    return Answer(200, (("Session", self._session),))
                case _:
                    return Answer(501, (("Public", _METHODS),))
        except Refused as refused:
            return refused.answer

    def _describe(self, request: Request) -> Answer:
        mount = self._find(request)
        stream, host = mount.stream, self._writer.get_extra_info("sockname")[0]
        body = session_description(stream.codec, stream.parameters, stream.settings.fps, host)
        base = request.url.rstrip("/") + "/"
        return Answer(200, (("Content-Base", base), ("Content-Type", "application/sdp")), body)

    def _setup(self, request: Request) -> Answer:
        mount = self._find(request)
        if self._viewer is not None:
            raise Refused(455)
        road, transport = self._open_road(request.headers.get("transport", ""))
        self._mount, self._viewer = mount, Viewer(road, self.abort)
        mount.viewers.add(self._viewer)
        ssrc = f"{mount.stream.stamper.ssrc:08X}"
        session = f"{self._session};timeout={_SESSION_TIMEOUT_S}"
        return Answer(200, (("Transport", f"{transport};ssrc={ssrc}"), ("Session", session)))

    def _play(self, request: Request) -> Answer:
        mount, viewer = self._playable(request)
        if not viewer.playing:
            viewer.play()
            mount.stream.want_keyframe()
            self._house.viewers_changed(mount)
        return Answer(200, (("Session", self._session), ("Range", "npt=now-")))

    def _pause(self, request: Request) -> Answer:
        mount, viewer = self._playable(request)
        viewer.playing = False
        self._house.viewers_changed(mount)
        return Answer(200, (("Session", self._session),))

    def _playable(self, request: Request) -> tuple[Mount, Viewer]:
        self._find(request)
        given = request.headers.get("session", "").partition(";")[0].strip()
        if self._mount is None or self._viewer is None or given != self._session:
            raise Refused(454)
        return self._mount, self._viewer

    def _find(self, request: Request) -> Mount:
        """The camera asked for. Raises Refused: not admitted, not there, or told to refuse."""
        self._admit(request)
        mount = self._house.mount(request.path)
        if mount is None:
            raise Refused(404)
        if mount.refusal == 401:
            raise self._challenge(Login("nobody", ""))
        if mount.refusal is not None:
            raise Refused(mount.refusal)
        if mount.stream.error is not None:
            raise Refused(500)
        return mount

    def _admit(self, request: Request) -> None:
        login = self._house.login
        authorization = request.headers.get("authorization", "")
        if login is not None and not login.accepts(authorization, request.method, self._nonce):
            raise self._challenge(login)

    def _challenge(self, login: Login) -> Refused:
        return Refused(401, ("WWW-Authenticate", login.challenge(self._nonce)))

    def _open_road(self, wanted: str) -> tuple[Road, str]:
        """A road by the first transport in the client's list that can be had, and the header that says so."""
        for offer in wanted.split(","):
            protocol, *rest = [part.strip() for part in offer.split(";")]
            options = dict(part.partition("=")[::2] for part in rest)
            if protocol == "RTP/AVP/TCP":
                rtp, rtcp = _pair(options.get("interleaved", "0-1"), largest=255)
                return Interleaved(self._writer.transport, rtp, rtcp), f"{protocol};unicast;interleaved={rtp}-{rtcp}"
            if protocol in ("RTP/AVP", "RTP/AVP/UDP") and "client_port" in options and "multicast" not in options:
                return self._open_datagrams(*_pair(options["client_port"], largest=65535))
        raise Refused(461)

    def _open_datagrams(self, rtp_port: int, rtcp_port: int) -> tuple[Road, str]:
        """Sockets to the address the client connects from: never to one it names, which could be another's."""
        here, there = self._writer.get_extra_info("sockname")[0], self._writer.get_extra_info("peername")[0]
        road = Datagrams(here, (there, rtp_port), (there, rtcp_port))
        ports = f"client_port={rtp_port}-{rtcp_port};server_port={road.rtp_port}-{road.rtcp_port}"
        return road, f"RTP/AVP;unicast;{ports}"

    def _leave(self) -> None:
        if self._viewer is not None and self._mount is not None:
            self._viewer.close()
            self._mount.viewers.discard(self._viewer)
            self._house.viewers_changed(self._mount)
            self._viewer = None


def _parse(head: bytes) -> Request:
    """Raises ValueError if it is no RTSP request."""
    first, *rest = head.decode("utf-8").strip().split("\r\n")
    method, url, version = first.split(" ")
    if not version.startswith("RTSP/"):
        raise ValueError("not RTSP")
    fields = (line.partition(":") for line in rest)
    return Request(method, url, {name.strip().lower(): value.strip() for name, _, value in fields})


def _pair(text: str, largest: int) -> tuple[int, int]:
    """`5000-5001`, or `5000` for both it and the next. Raises Refused."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text)
    if match is None:
        raise Refused(461)
    first = int(match[1])
    second = int(match[2]) if match[2] else first + 1
    if max(first, second) > largest:
        raise Refused(461)
    return first, second
