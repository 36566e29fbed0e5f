"""A conversation with an RTSP server: asks for the video track, and keeps the session alive while packets come."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from pipeline.ingest.rtsp.auth import Authenticator, Login
from pipeline.ingest.rtsp.errors import SourceDoubtful, SourceUnsupported
from pipeline.ingest.rtsp.messages import Malformed, Message, refusal_of, request
from pipeline.ingest.rtsp.sdp import Track, video_track
from pipeline.ingest.rtsp.wire import HungUp, Interleaved, Wire
from pipeline.ingest.source import SourceError, SourceInvalid, SourceLost, SourceRefused

_DEFAULT_PORT = 554
_DEFAULT_SESSION_S = 60
_REPORT_EVERY_S = 5.0
_MOST_EARLY_BYTES = 4 * 1024 * 1024  # packets that overtook the answer to PLAY
_PACKET_COSTS_BYTES = 100  # even an empty one
_REDIRECTS = (301, 302, 303, 305, 307, 308)
_LOGIN = (401, 403)
_OTHER_WAYS = (400, 405, 406, 451, 455, 456, 457, 459, 460, 461, 462, 501, 505, 551)  # FFmpeg may ask differently


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds."""

    open_s: float
    silence_s: float


class RtspConnection:
    """One session with one server. Its errors name the camera by `name`, and hold nothing a server said."""

    def __init__(
        self,
        url: str,
        login: Login | None,
        name: str,
        patience: Patience,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url` is without the login."""
        self._url, self._login, self._name, self._patience = url, login, name, patience
        self._monotonic = monotonic
        self._wire = Wire(monotonic)
        self._cancelled = threading.Event()
        self._authenticator = Authenticator(login)
        self._cseq = 0
        self._deadline = 0.0
        self._answered = False
        self._session, self._session_url, self._can_get_parameter = "", "", False
        self._channels = (0, 1)
        self._early: deque[tuple[int, bytes]] = deque()
        self._early_bytes = 0
        self._keep_alive_every_s = _DEFAULT_SESSION_S / 2
        self._next_keep_alive = self._next_report = float("inf")
        self._keep_alive_cseqs: set[int] = set()

    def open(self) -> Track:
        """Has the server play its video track. Raises SourceError."""
        self._deadline = self._monotonic() + self._patience.open_s
        try:
            track = self._described()
            self._set_up(track)
            self._play()
        except (OSError, Malformed) as exc:
            error = self._open_error(exc)
        else:
            now = self._monotonic()
            self._next_keep_alive, self._next_report = now + self._keep_alive_every_s, now + 1.0
            return track
        raise error

    def packets(self, report: Callable[[float], bytes]) -> Iterator[tuple[bool, memoryview]]:
        """Packets as they come, True for RTCP, until `cancel`; each is good until the next is asked for.

        `report` makes the receiver reports. Raises SourceLost.
        """
        while self._early:
            channel, data = self._early.popleft()
            if channel in self._channels:
                yield channel == self._channels[1], memoryview(data)
        heard_at = self._monotonic()
        while not self._cancelled.is_set():
            try:
                if self._wire.receive():
                    for channel, packet in self._received():
                        yield channel == self._channels[1], packet
                        heard_at = self._monotonic() if channel == self._channels[0] else heard_at
                self._keep_up(report)
            except (OSError, Malformed) as exc:
                error = self._read_error(exc)
            else:
                if self._monotonic() - heard_at <= self._patience.silence_s:
                    continue
                error = SourceLost(f"{self._name} sent nothing for {self._patience.silence_s:g} s")
            if not self._cancelled.is_set():
                raise error

    def cancel(self) -> None:
        """Ends `open` and `packets` at once; from any thread, never blocks."""
        self._cancelled.set()
        self._wire.interrupt()

    def close(self) -> None:
        """Takes leave of the server, and lets go of the connection."""
        if self._session:
            with suppress(OSError, Malformed):
                self._send("TEARDOWN", self._session_url, {})
            self._session = ""
        self._wire.close()

    # Opening

    def _described(self) -> Track:
        """Asks what there is, at the address or, once, where it sends us on to."""
        self._connect(self._url)
        methods = self._ask("OPTIONS", self._url)
        if methods.status == HTTPStatus.UNAUTHORIZED:
            self._check(methods)  # asking on would count as another wrong password
        self._can_get_parameter = "GET_PARAMETER" in methods.header("public").upper()
        answer = self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
        if answer.status in _REDIRECTS and (target := answer.header("location")):
            self._follow(target)
            answer = self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
        self._check(answer)
        base = answer.header("content-base") or answer.header("content-location") or self._url
        return video_track(answer.body.decode("utf-8", "replace"), base, self._name)

    def _connect(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _DEFAULT_PORT
        except ValueError:
            host, port = None, 0
        if not host:
            raise SourceInvalid(f"{self._name} names no host")
        self._answered = False
        self._wire.connect(host, port, self._deadline)

    def _follow(self, target: str) -> None:
        """Another place for the same. The login goes along only to the same host."""
        try:
            here, there = urlsplit(self._url), urlsplit(target)
            elsewhere, _ = here.hostname != there.hostname, there.port  # a port that is none is no address
        except ValueError:
            raise SourceDoubtful(f"{self._name} sends us on to an address that is none") from None
        if there.scheme.lower() != "rtsp" or there.username is not None:
            raise SourceDoubtful(f"{self._name} sends us on to another kind of address")
        self._authenticator = Authenticator(None if elsewhere else self._login)
        self._url = target
        self._connect(target)

    def _set_up(self, track: Track) -> None:
        wanted = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        answer = self._ask("SETUP", track.url, wanted)
        self._check(answer, asked_alike=False)
        session, *parameters = (part.strip() for part in answer.header("session").split(";"))
        self._session, self._session_url = session, track.session_url
        self._keep_alive_every_s = max(1.0, _timeout_of(parameters) / 2)
        self._channels = self._granted(answer.header("transport"))

    def _granted(self, transport: str) -> tuple[int, int]:
        """The channels the server chose."""
        options = dict(part.strip().partition("=")[::2] for part in transport.split(";"))
        if "RTP/AVP/TCP" not in options and "interleaved" not in options:
            raise SourceUnsupported(f"{self._name} does not send over the connection it is asked by")
        first, _, second = options.get("interleaved", "0-1").partition("-")
        rtp = _channel(first, 0)
        return rtp, _channel(second, (rtp + 1) % 256)

    def _play(self) -> None:
        self._check(self._ask("PLAY", self._session_url, {"Range": "npt=0.000-"}), asked_alike=False)

    # Asking

    def _ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> Message:
        """The server's answer; asked a second time where it wants a login first."""
        answer = self._answer_to(self._send(method, url, headers or {}))
        if answer.status == HTTPStatus.UNAUTHORIZED and self._authenticator.challenged(answer.all("www-authenticate")):
            answer = self._answer_to(self._send(method, url, headers or {}))
        return answer

    def _send(self, method: str, url: str, headers: dict[str, str]) -> int:
        self._cseq += 1
        own = {"Authorization": self._authenticator.answer(method, url), "User-Agent": "Rayline"}
        self._wire.send(request(method, url, self._cseq, headers | {"Session": self._session} | own))
        return self._cseq

    def _answer_to(self, cseq: int) -> Message:
        while True:
            while (item := self._wire.next_item()) is None:
                if self._cancelled.is_set() or self._monotonic() > self._deadline:
                    raise TimeoutError
                self._wire.receive()
            if isinstance(item, Interleaved):
                self._keep_early(item)
            elif item.method:
                self._wire.send(refusal_of(item))
            elif item.cseq in (cseq, None):
                self._answered = True
                return item

    def _keep_early(self, item: Interleaved) -> None:
        self._early_bytes += len(item.data) + _PACKET_COSTS_BYTES
        if self._early_bytes > _MOST_EARLY_BYTES:
            raise Malformed("packets and no answer")
        self._early.append((item.channel, bytes(item.data)))

    def _check(self, answer: Message, asked_alike: bool = True) -> None:
        """Raises SourceRefused; where FFmpeg might be answered better, SourceDoubtful."""
        status = answer.status
        if 200 <= status < 300:
            return
        told = f"Server returned {status} {_phrase(status)}".rstrip()
        if status in _LOGIN:
            raise SourceRefused(f"{self._name} refused the login ({told}); check user name and password")
        if status in _REDIRECTS or (status in _OTHER_WAYS and not asked_alike):
            raise SourceDoubtful(f"{self._name} refused: {told}")
        raise SourceRefused(f"{self._name} refused: {told}")

    # While packets come

    def _received(self) -> Iterator[Interleaved]:
        while (item := self._wire.next_item()) is not None:
            if isinstance(item, Interleaved):
                if item.channel in self._channels:
                    yield item
            elif item.method:
                self._wire.send(refusal_of(item))
            else:
                self._answered_while_playing(item)

    def _answered_while_playing(self, answer: Message) -> None:
        """Of keep-alives."""
        if answer.cseq not in self._keep_alive_cseqs:
            return
        self._keep_alive_cseqs.clear()
        if answer.status == HTTPStatus.UNAUTHORIZED:  # its nonce has grown old
            if self._authenticator.challenged(answer.all("www-authenticate")):
                self._send(*self._keep_alive())
        elif answer.status == 454:
            raise HungUp("the session is over")
        elif answer.status >= 400:
            self._can_get_parameter = False

    def _keep_up(self, report: Callable[[float], bytes]) -> None:
        """What must be said now and then."""
        now = self._monotonic()
        if now >= self._next_keep_alive:
            self._next_keep_alive = now + self._keep_alive_every_s
            self._keep_alive_cseqs = {self._send(*self._keep_alive())}
        if now >= self._next_report:
            self._next_report = now + _REPORT_EVERY_S
            data = report(now)
            self._wire.send(b"$" + bytes([self._channels[1]]) + len(data).to_bytes(2, "big") + data)

    def _keep_alive(self) -> tuple[str, str, dict[str, str]]:
        return "GET_PARAMETER" if self._can_get_parameter else "OPTIONS", self._session_url, {}

    # Errors in our words

    def _open_error(self, exc: OSError | Malformed) -> SourceError:
        if self._cancelled.is_set():
            return SourceLost(f"{self._name}: not wanted any more")
        if isinstance(exc, Malformed):
            return SourceDoubtful(f"{self._name} does not speak RTSP as we know it: {exc}")
        if isinstance(exc, TimeoutError) or self._monotonic() >= self._deadline:
            return SourceLost(f"{self._name} did not answer within {self._patience.open_s:g} s")
        kind = SourceDoubtful if self._answered else SourceLost
        return kind(f"{self._name} cannot be reached: {_reason(exc)}")

    def _read_error(self, exc: OSError | Malformed) -> SourceError:
        if isinstance(exc, HungUp):
            return SourceLost(f"{self._name}: the stream ended")
        return SourceLost(f"{self._name} was lost: {_reason(exc)}")


def _reason(exc: OSError | Malformed) -> str:
    if isinstance(exc, BlockingIOError):
        return "it takes nothing any more"
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc) or type(exc).__name__


def _phrase(status: int) -> str:
    try:
        return _PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return ""


_PHRASES = {
    451: "Parameter Not Understood", 453: "Not Enough Bandwidth", 454: "Session Not Found",
    455: "Method Not Valid in This State", 459: "Aggregate Operation Not Allowed", 461: "Unsupported Transport",
}  # fmt: skip


def _channel(text: str, otherwise: int) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else otherwise
    return number if number < 256 else otherwise


def _timeout_of(parameters: list[str]) -> int:
    """Of a Session header."""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "timeout" and value.isascii() and value.isdigit() and int(value[:6]) > 0:
            return int(value[:6])
    return _DEFAULT_SESSION_S
