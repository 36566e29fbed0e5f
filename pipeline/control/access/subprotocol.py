"""A token in a WebSocket's handshake: a browser's page cannot set headers there, but may name subprotocols."""

from __future__ import annotations

from starlette.requests import HTTPConnection

BEARER_PROTOCOL = "rayline.bearer"  # new WebSocket(url, ["rayline.bearer", token])


def chosen_subprotocol(connection: HTTPConnection) -> str | None:
    """What `accept` must answer: a browser hangs up on a server that chose none of those it offered."""
    return BEARER_PROTOCOL if BEARER_PROTOCOL in _offered(connection) else None


def token_among_subprotocols(connection: HTTPConnection) -> str | None:
    """The one named behind `rayline.bearer`; None where there is none."""
    offered = _offered(connection)
    if BEARER_PROTOCOL not in offered:
        return None
    behind = offered[offered.index(BEARER_PROTOCOL) + 1 :]
    return behind[0] if behind else None


def _offered(connection: HTTPConnection) -> list[str]:
    return list(connection.scope.get("subprotocols") or ())
