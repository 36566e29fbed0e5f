"""Refusals before anything was understood: a problem without the framework behind it, for floods to cost little."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Scope, Send

TRY_AGAIN = {"Retry-After": "2"}
_TOO_MUCH = 1009  # the WebSocket code for more than is taken


async def refuse(scope: Scope, send: Send, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
    """Answer with a problem as `pipeline.control.problems` tells them; a WebSocket is closed before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _TOO_MUCH, "reason": detail[:120]})
        return
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": scope.get("state", {}).get("request_id", ""),
        "errors": [],
    }
    body = json.dumps(problem, separators=(",", ":")).encode()
    told = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    told += [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
