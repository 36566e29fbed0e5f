"""What stands before Serve's proxies: they take whatever a client sends into memory, and send it on."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from functools import partial

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from pipeline.control.access.addresses import TrustedProxies
from pipeline.control.limits.bodies import BodyBudget, BodyLimit
from pipeline.control.limits.heads import HeadLimit
from pipeline.control.limits.refusing import refuse
from pipeline.control.live.flow import TellWhatLeft
from pipeline.control.request_ids import is_usable
from pipeline.control.settings import ApiSettings
from pipeline.deployments.http_protocol import GuardedHttp, Places
from pipeline.local_ray import HTTP_LIMITS
from pipeline.manners import let_the_line_go_first

BODIES_AT_ONCE = 10  # of the longest, in a proxy's memory
_CONNECTIONS_A_REQUEST = 4  # browsers keep more open than they use
_HEALTH = "/-/healthz"


def guard() -> list[Middleware]:
    """Called by Serve in the process of each proxy, before it makes its server: the innermost comes first."""
    let_the_line_go_first()
    settings = _settings()
    # uvicorn believes X-Forwarded-For of whoever is on this machine; whom to believe is ClientAddress's affair.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    places = Places(_most_connections(settings.max_requests), TrustedProxies(settings.trusted_proxies))
    HTTP_PROTOCOLS["auto"] = partial(GuardedHttp, places)  # type: ignore[assignment]  # it may be the class itself
    budget = BodyBudget(BODIES_AT_ONCE * settings.max_body_bytes)
    return [
        Middleware(TellWhatLeft),
        Middleware(BodyLimit, settings.max_body_bytes, settings.body_timeout_s, budget),
        Middleware(HeadLimit),
        Middleware(FrontDoor),
    ]


def _settings() -> ApiSettings:
    """Those that `rayline up` left. A proxy of a cluster that was there before lets in what any settings may let in."""
    left = os.environ.get(HTTP_LIMITS)
    if left is not None:
        return ApiSettings.model_validate_json(left)
    return ApiSettings(max_body_bytes=1_000_000_000, body_timeout_s=3600, max_requests=10_000)


def _most_connections(max_requests: int) -> int:
    """Files are needed for other things too."""
    most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(_CONNECTIONS_A_REQUEST * max_requests, most_files // 2)


class FrontDoor:
    """Shuts what Serve itself would do for whoever asks.

    Its list of applications; the headers that switch its own time limits and its notice of a client's leaving off, or
    choose a replica; and a WebSocket's messages without number, which it would keep all.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith("/-/") and scope["path"] != _HEALTH:
            await refuse(scope, send, 404, "Not Found")
            return
        scope["headers"] = [header for header in scope["headers"] if not _steers_serve(*header)]
        if scope["type"] == "websocket":
            await self._app(scope, Messages(receive).receive, send)
            return

        async def once(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_one_id(message.get("headers", ()))
            await send(message)

        await self._app(scope, receive, once)


class Messages:
    """A WebSocket's messages from its client: ever so many a second; who sends more is taken for gone."""

    def __init__(self, receive: Receive, a_second: float = 20.0, at_once: int = 100) -> None:
        self._receive = receive
        self._a_second, self._at_once = a_second, float(at_once)
        self._left, self._counted_at = self._at_once, time.monotonic()

    async def receive(self) -> Message:
        """The next."""
        message: Message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        now = time.monotonic()
        self._left = min(self._at_once, self._left + (now - self._counted_at) * self._a_second) - 1
        self._counted_at = now
        return message if self._left >= 0 else {"type": "websocket.disconnect", "code": 1008}


_STEERING = frozenset(
    {
        b"serve-multiplexed-model-id",
        b"x-session-id",
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"traceparent",
    }
)
_ID = b"x-request-id"


def _steers_serve(name: bytes, value: bytes) -> bool:
    """Serve takes - and _ for the same."""
    if name == _ID:  # it goes into Serve's log as it is
        return not is_usable(value.decode("latin-1"))
    return name.replace(b"_", b"-") in _STEERING


def _with_one_id(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Serve adds the request's id to ours, which is the same."""
    told: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name.lower() != _ID or all(other.lower() != _ID for other, _ in told):
            told.append((name, value))
    return told
