"""What comes over a socket counts for the page that the socket is bound to, and for no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import core

_OF_A_PAGE = ("event", "javascript_response", "ack", "log")


def bind_sockets() -> None:
    """Once a process. NiceGUI itself takes an event for any page whose id the sender knows."""
    handlers = core.sio.handlers["/"]
    for name in _OF_A_PAGE:
        handlers[name] = _bound(handlers[name])


def _bound(handler: Callable[[str, dict[str, Any]], Any]) -> Callable[[str, Any], Any]:
    def handle(sid: str, message: Any) -> Any:
        if isinstance(message, dict) and message.get("client_id") in core.sio.rooms(sid):
            return handler(sid, message)
        return None

    return handle
