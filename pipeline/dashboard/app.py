"""The page's web app, put together in one function; reading `make_app` is reading what stands before a page."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

os.environ.setdefault("NICEGUI_STORAGE_PATH", str(Path(tempfile.gettempdir()) / "rayline-no-such-folder"))

from fastapi import FastAPI
from nicegui import Client, core, ui
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from pipeline.control.access.addresses import ClientAddress
from pipeline.control.limits.bodies import BodyLimit
from pipeline.control.limits.heads import HeadLimit
from pipeline.control.problems import request_id_of
from pipeline.control.request_ids import RequestIds
from pipeline.dashboard import alarms, cameras, inspections, line, system
from pipeline.dashboard.access import Access
from pipeline.dashboard.frame import PageRefused
from pipeline.dashboard.gate import ASSETS, Gate
from pipeline.dashboard.login import HOME, Login
from pipeline.dashboard.plain_pages import message_page
from pipeline.dashboard.services import Services
from pipeline.dashboard.session import Forms
from pipeline.dashboard.sockets import bind_sockets
from pipeline.dashboard.states import NoHistory, NotNow
from pipeline.dashboard.texts import t
from pipeline.dashboard.watch import watch_sessions
from pipeline.history.database import HistoryUnavailable

logger = logging.getLogger(__name__)

ROOMS = (line, cameras, inspections, system, alarms)
RECONNECT_S = 10.0  # so long a page is kept for a browser that lost its connection
_COME_AGAIN_S = 10
_MOST_BODY_BYTES, _BODY_TIMEOUT_S = 1_000_000, 20.0
_HEAD = f'<link rel="stylesheet" href="{ASSETS}rayline.css">\n<script src="{ASSETS}rayline.js"></script>'


def make_app(services: Services, access: Access) -> ASGIApp:
    """The whole page as an ASGI app. NiceGUI has one app a process, so this can be done once."""
    settings = services.settings
    forms = Forms()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan_of(services, access))
    app.router.routes.extend((*Login(settings, access, forms).routes(), Route("/", _home), Route("/healthz", _healthy)))
    app.mount(ASSETS, StaticFiles(directory=Path(__file__).parent / "assets"))
    for room in ROOMS:
        room.register(services)
    _tell_refusals()
    core.app.config.socket_io_js_transports = ["websocket"]
    ui.run_with(
        app,
        title=t("app.name"),
        favicon=Path(__file__).parent / "assets" / "favicon.svg",
        dark=None,
        language="en-US",
        binding_refresh_interval=None,
        reconnect_timeout=RECONNECT_S,
        message_history_length=200,
        tailwind=False,
        gzip_middleware_factory=None,
        show_welcome_message=False,
    )
    Client.shared_head_html = _HEAD
    bind_sockets()
    # From the inside out: a request meets the last one first.
    gated = Gate(_WithForms(app, forms), access, services)
    bounded = HeadLimit(BodyLimit(gated, _MOST_BODY_BYTES, _BODY_TIMEOUT_S))
    return RequestIds(ClientAddress(bounded, settings.trusted_proxies))


class _WithForms:
    """Hands the forms' tokens to the pages."""

    def __init__(self, app: ASGIApp, forms: Forms) -> None:
        self._app, self._forms = app, forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["state"]["forms"] = self._forms
        await self._app(scope, receive, send)


def _lifespan_of(services: Services, access: Access) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(watch_sessions(access))
        try:
            yield
        finally:
            watching.cancel()
            await services.close()

    return lifespan


def _tell_refusals() -> None:
    @core.app.exception_handler(PageRefused)
    async def _refused(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, PageRefused)  # noqa: S101 - by the line above
        exc.let_go()
        return message_page(request, exc.status, exc.title, exc.text)

    @core.app.exception_handler(HistoryUnavailable)
    @core.app.exception_handler(NotNow)
    async def _not_now(request: Request, exc: Exception) -> Response:
        text = str(exc) if isinstance(exc, NotNow | NoHistory) else t("not_now.history")
        answer = message_page(request, 503, t("not_now.title"), text)
        answer.headers["Retry-After"] = str(_COME_AGAIN_S)
        return answer

    @core.app.exception_handler(404)
    async def _missing(request: Request, _: Exception) -> Response:
        return message_page(request, 404, t("missing.title"), t("missing.page"))

    @core.app.exception_handler(Exception)
    async def _unforeseen(request: Request, exc: Exception) -> Response:
        request_id = request_id_of(request.scope)
        logger.error("request %s failed in a way nobody foresaw", request_id, exc_info=exc)
        return message_page(request, 500, t("fault.title"), t("fault.text", request_id=request_id))


async def _home(_: Request) -> Response:
    return RedirectResponse(HOME, 303)


async def _healthy(_: Request) -> Response:
    return Response("ok\n", media_type="text/plain")
