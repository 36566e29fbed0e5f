"""How long a request's target and headers may be."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.control.limits.refusing import refuse

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 * 1024  # a token and a Last-Event-ID of 8 kB each, with room to spare
MOST_TARGET_BYTES = 8 * 1024


class HeadLimit:
    """Refuses what no client of ours sends, before anybody looks into it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        target = len(scope.get("raw_path") or scope["path"]) + len(scope.get("query_string", b""))
        if target > MOST_TARGET_BYTES:
            await refuse(scope, send, 414, f"an address is at most {MOST_TARGET_BYTES} bytes long")
            return
        headers = scope["headers"]
        if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > MOST_HEADER_BYTES:
            most = f"{MOST_HEADERS} headers of {MOST_HEADER_BYTES} bytes in all"
            await refuse(scope, send, 431, f"a request has at most {most}")
            return
        await self._app(scope, receive, send)
