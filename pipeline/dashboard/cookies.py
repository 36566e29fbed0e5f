"""The page's cookies: which session it is, which form it was, dark or light."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION, FORM, THEME = "rayline_session", "rayline_form", "rayline_theme"
DARK, LIGHT = "dark", "light"
_HOST = "__Host-"  # a browser takes such only by https, for this host and every path


def session_id_of(connection: HTTPConnection) -> str | None:
    """As the browser sent it; nobody vouches for it."""
    return _read(connection, SESSION)


def form_of(connection: HTTPConnection) -> str | None:
    """What the browser was given with a form."""
    return _read(connection, FORM)


def is_dark(connection: HTTPConnection) -> bool | None:
    """As chosen; None: as the browser's own."""
    return {DARK: True, LIGHT: False}.get(connection.cookies.get(THEME, ""))


def put(response: Response, connection: HTTPConnection, name: str, value: str, max_age_s: int | None = None) -> None:
    """A cookie that no script reads and no other site's request carries; Secure where it came by https."""
    secure = _is_https(connection)
    response.set_cookie(
        _HOST + name if secure else name,
        value,
        max_age=max_age_s,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def drop(response: Response, connection: HTTPConnection, name: str) -> None:
    """Take it back."""
    secure = _is_https(connection)
    response.delete_cookie(_HOST + name if secure else name, path="/", secure=secure, httponly=True, samesite="strict")


def _read(connection: HTTPConnection, name: str) -> str | None:
    return connection.cookies.get(_HOST + name if _is_https(connection) else name)


def _is_https(connection: HTTPConnection) -> bool:
    return connection.scope["scheme"] in ("https", "wss")
