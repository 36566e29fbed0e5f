"""The gate before every page, picture and socket: who asks is looked up, and pages from elsewhere are refused."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, quote, urlsplit

from nicegui import Client
from nicegui.version import __version__ as nicegui_version
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.dashboard.access import Access, Visitor
from pipeline.dashboard.cookies import session_id_of
from pipeline.dashboard.services import Services

SOCKET = "/_nicegui_ws/"
_STATIC = f"/_nicegui/{nicegui_version}/"
_DYNAMIC = f"{_STATIC}dynamic_resources/"
_PUBLIC = frozenset({"/login", "/session", "/healthz", "/favicon.ico"})
ASSETS = "/assets/"
POLICY_VIOLATION = 1008
_SAFE = frozenset({"GET", "HEAD"})


class Gate:
    """Puts who it is into the scope; nobody gets further without a session, nor from another site."""

    def __init__(self, app: ASGIApp, access: Access, services: Services) -> None:
        self._app = app
        self._access = access
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        connection = HTTPConnection(scope)
        if scope["method"] not in _SAFE and not is_same_origin(connection):
            await Response("sent by another page\n", 403)(scope, receive, send)
            return
        if path.startswith(SOCKET):  # by WebSocket alone: one way in to look after
            await Response("a WebSocket is expected here\n", 426)(scope, receive, send)
            return
        visitor = await self._access.visitor(session_id_of(connection), connection)
        if visitor is None and not is_public(path):
            await _to_login(connection)(scope, receive, send)
            return
        scope["state"] |= {"visitor": visitor, "services": self._services, "nonce": secrets.token_urlsafe(16)}
        await self._app(scope, receive, with_policy(send, scope))

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        visitor = None
        if scope["path"].startswith(SOCKET) and is_same_origin(connection):
            visitor = await self._access.visitor(session_id_of(connection), connection)
        if visitor is None or not _is_their_page(connection, visitor):
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "not logged in"})
            return
        scope["state"] |= {"visitor": visitor, "services": self._services}
        session, session_id = visitor.session, visitor.session_id
        if session is None or session_id is None:
            await self._app(scope, receive, send)
            return
        with self._access.sessions.page_open(session_id, session):
            async with _until(session.over, receive) as receive_until:
                await self._app(scope, receive_until, send)


@asynccontextmanager
async def _until(over: asyncio.Event, receive: Receive) -> AsyncIterator[Receive]:
    """A `receive` that hangs up once it is over, whatever the other side does."""
    waiting = asyncio.ensure_future(over.wait())

    async def receive_until() -> Message:
        getting = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({getting, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                return await getting
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
        finally:
            getting.cancel()

    try:
        yield receive_until
    finally:
        waiting.cancel()


def is_public(path: str) -> bool:
    """True for what is the same for everybody: the login, and the scripts and styles that come with the package."""
    if path in _PUBLIC or path.startswith(ASSETS):
        return True
    return path.startswith(_STATIC) and not path.startswith(_DYNAMIC)


def is_same_origin(connection: HTTPConnection) -> bool:
    """True where a page of ours sent it. A browser tells the origin of every POST and WebSocket; none is refused."""
    origin = connection.headers.get("origin", "")
    host = connection.headers.get("host", "")
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    scheme = {"ws": "http", "wss": "https"}.get(connection.scope["scheme"], connection.scope["scheme"])
    return bool(host) and parts.netloc.lower() == host.lower() and parts.scheme == scheme


def _is_their_page(connection: HTTPConnection, visitor: Visitor) -> bool:
    """A socket is bound to one page, and that to who loaded it. One that is gone is the page's to hear: it reloads."""
    found = parse_qs(connection.scope["query_string"].decode("latin1")).get("client_id", [])
    if len(found) != 1:
        return False
    client = Client.instances.get(found[0])
    return client is None or owner_of(client) == visitor.owner


def owner_of(client: Client) -> str:
    """Whose page it is; of one that is not of this gate, nobody's."""
    visitor: Visitor | None = client.request.scope.get("state", {}).get("visitor")
    return "" if visitor is None else visitor.owner


def _to_login(connection: HTTPConnection) -> Response:
    if connection.scope["method"] in _SAFE and "text/html" in connection.headers.get("accept", ""):
        query = connection.scope["query_string"].decode("latin1")
        path = connection.scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(path, safe='/')}", 303)
    return Response("log in first\n", 401)


def with_policy(send: Send, scope: Scope) -> Send:
    """A `send` that tells browsers what our pages may load, and lets only our own scripts of a page run.

    NiceGUI builds its pages by evaluating templates, hence 'unsafe-eval'; scripts written into a page need the nonce.
    """
    nonce: str = scope["state"]["nonce"]
    is_page = False

    async def tell(message: Message) -> None:
        nonlocal is_page
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            is_page = headers.get("content-type", "").startswith("text/html")
            for name, value in _policy(nonce).items():
                headers.setdefault(name, value)
            if is_page and "content-length" in headers:
                del headers["content-length"]  # the nonces are to be put in
        elif message["type"] == "http.response.body" and is_page:
            body = message.get("body", b"").replace(b"<script", f'<script nonce="{nonce}"'.encode())
            message = {**message, "body": body}
        await send(message)

    return tell


def _policy(nonce: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": "; ".join(
            (
                "default-src 'self'",
                f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval'",
                "style-src 'self' 'unsafe-inline'",
                "img-src 'self' data: blob:",
                "font-src 'self'",
                "connect-src 'self'",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            )
        ),
        # With no-referrer a browser would send `Origin: null` with our own forms.
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
