"""Somebody with a browser's manners and no browser: cookies, the login form, a socket."""

from __future__ import annotations

import re
import ssl
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.dashboard_server import DashboardServer

HTML = {"Accept": "text/html"}
_CLIENT = re.compile(r"'client_id': '([0-9a-f-]{36})'")
_FORM = re.compile(r'name="form" value="([0-9a-f]{64})"')

_PAGE_FORM = re.compile(r'"name":"form","value":"([0-9a-f]{64})"')


class Visitor:
    """One cookie jar."""

    def __init__(
        self, server: DashboardServer | str, headers: dict[str, str] | None = None, trust: ssl.SSLContext | None = None
    ) -> None:
        """Of a server, or of the proxy before it that is at this address, whose certificate `trust` has."""
        self.url = server if isinstance(server, str) else server.url
        self._headers = headers or {}
        self._trust = trust
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        jar = aiohttp.CookieJar(unsafe=True)  # which takes cookies of 127.0.0.1
        connector = aiohttp.TCPConnector(ssl=self._trust if self._trust is not None else True)
        self._session = aiohttp.ClientSession(self.url, cookie_jar=jar, headers=self._headers, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        """Answered and read, no redirect followed."""
        return await self._asked("GET", path, headers=HTML | headers)

    async def post(self, path: str, fields: dict[str, str], origin: str | None = "") -> aiohttp.ClientResponse:
        """As a form of a page at `origin` sends it; the empty one is ours, None sends none."""
        headers = HTML if origin is None else HTML | {"Origin": origin or self.url}
        return await self._asked("POST", path, data=fields, headers=headers)

    async def form(self, path: str = "/login") -> str:
        """The token of the form on that page."""
        found = _FORM.search(await (await self.get(path)).text())
        assert found is not None
        return found[1]

    async def form_of_page(self, path: str) -> str:
        """The token of the form with which its page logs out."""
        found = _PAGE_FORM.search(await (await self.get(path)).text())
        assert found is not None
        return found[1]

    async def log_in(self, credential: str, following: str = "/lines") -> aiohttp.ClientResponse:
        """By the form."""
        fields = {"form": await self.form(), "next": following, "credential": credential}
        return await self.post("/login", fields)

    async def open_page(self, path: str = "/lines") -> str:
        """The id that its socket is to name."""
        found = _CLIENT.search(await (await self.get(path)).text())
        assert found is not None
        return found[1]

    def socket(self, client_id: str, origin: str | None = "") -> AbstractAsyncContextManager[Any]:
        """A page's socket, from a page at `origin`."""
        asked = f"client_id={client_id}&EIO=4&transport=websocket&implicit_handshake=false"
        headers = {} if origin is None else {"Origin": origin or self.url}
        return self._session.ws_connect(f"/_nicegui_ws/socket.io/?{asked}", headers=headers)

    async def _asked(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        async with self._session.request(method, path, allow_redirects=False, **more) as answer:
            await answer.read()
            return answer
