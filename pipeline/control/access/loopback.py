"""Everybody on this machine, where the API is open to it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from pipeline.control.access.addresses import parse, was_forwarded
from pipeline.control.access.roles import Principal, Role
from pipeline.control.problems import ApiError

_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class OpenToLoopback:
    """Lets in who is on this machine and means this machine.

    A page from elsewhere that the user has open is on this machine too: its requests tell by Host (a name that was
    rebound to 127.0.0.1), Origin and Sec-Fetch-Site where they come from, and are refused. So is what came through a
    proxy, wherever that runs and whatever it says.
    """

    async def principal(self, connection: HTTPConnection) -> Principal:
        """See Authenticator."""
        client = connection.client
        if client is None or was_forwarded(connection.scope) or not _is_loopback(client.host):
            raise ApiError(401, "only this machine is let in without a token", {"WWW-Authenticate": "Bearer"})
        if _host(connection.headers.get("host", "")) not in _NAMES:
            raise ApiError(403, "ask for it by the name localhost or 127.0.0.1")
        origin = connection.headers.get("origin")
        if origin is not None and _place(origin) != connection.headers.get("host"):
            raise ApiError(403, "a page from elsewhere may not use this")
        if connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise ApiError(403, "a page from elsewhere may not use this")
        return Principal("loopback", Role.ADMIN, kind="loopback")


def _is_loopback(host: str) -> bool:
    address = parse(host)
    return address is not None and address.is_loopback


def _place(origin: str) -> str:
    """Host and port; nothing for what is no origin."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
