"""Logging in and out: plain forms, each bound to its sender's cookie."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.control.problems import ApiError
from pipeline.control.rates.address import address_of
from pipeline.dashboard.access import Access, Visitor
from pipeline.dashboard.cookies import FORM, SESSION, drop, form_of, put
from pipeline.dashboard.plain_pages import login_page
from pipeline.dashboard.session import Forms, new_cookie
from pipeline.dashboard.settings import DashboardSettings
from pipeline.dashboard.texts import t
from pipeline.sinks.errors import SinkUnavailable

logger = logging.getLogger(__name__)

HOME = "/lines"
_LONGEST_BODY = 20_000
_LONGEST_NEXT = 2000


class Login:
    """The routes `/login`, `/logout` and `/session`."""

    def __init__(self, settings: DashboardSettings, access: Access, forms: Forms) -> None:
        self._settings = settings
        self._access = access
        self._forms = forms

    def routes(self) -> list[Route]:
        """To be put before the pages."""
        return [
            Route("/login", self.show, methods=["GET"]),
            Route("/login", self.take, methods=["POST"]),
            Route("/logout", self.leave, methods=["POST"]),
            Route("/session", self.tell, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form; who is let in without one goes on."""
        following = place_of(request.query_params.get("next"))
        if request.state.visitor is not None:
            return RedirectResponse(following, 303)
        return self._form(request, following)

    async def take(self, request: Request) -> Response:
        """A filled form: a session, or the form again with what was wrong."""
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _LONGEST_BODY:
            return Response("too long\n", 413)
        async with request.form(max_files=0, max_fields=10) as given:
            credential, following = str(given.get("credential", "")).strip(), place_of(str(given.get("next", "")))
            is_ours = self._forms.is_ours(form_of(request), str(given.get("form", "")))
        if not is_ours:
            return self._form(request, following, t("login.stale"), 403)
        try:
            session_id, _ = await self._access.log_in(credential, address_of(request))
        except ApiError as exc:
            return self._form(request, following, t("login.refused", why=exc), exc.status, exc.headers)
        except SinkUnavailable as exc:
            logger.warning("nobody can log in: %s", exc)
            return self._form(request, following, t("login.away"), 503)
        response = RedirectResponse(following, 303)
        put(response, request, SESSION, session_id, int(self._settings.session_hours * 3600))
        drop(response, request, FORM)
        return response

    async def leave(self, request: Request) -> Response:
        """End the session."""
        visitor: Visitor = request.state.visitor
        if visitor.session_id is not None:
            async with request.form(max_files=0, max_fields=10) as given:
                if not self._forms.is_ours(visitor.session_id, str(given.get("form", ""))):
                    return Response(t("login.elsewhere") + "\n", 403)
            self._access.sessions.end(visitor.session_id)
            logger.info("%s logged out", visitor.principal.name)
        response = RedirectResponse("/login", 303)
        drop(response, request, SESSION)
        return response

    async def tell(self, request: Request) -> Response:
        """204: there is a session. 200: there is none, which is no error and shall not stand in a console as one."""
        return Response(status_code=200 if request.state.visitor is None else 204)

    def _form(
        self, request: Request, following: str, told: str = "", status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        cookie = form_of(request) or new_cookie()
        response = login_page(request, self._forms.token(cookie), following, told, status)
        if headers and "Retry-After" in headers:
            response.headers["Retry-After"] = headers["Retry-After"]
        put(response, request, FORM, cookie)
        return response


def place_of(following: str | None) -> str:
    """A page of ours to go on to; home for anything else, which somebody may have put into a link."""
    if not following or len(following) > _LONGEST_NEXT or not following.isprintable() or "\\" in following:
        return HOME
    try:
        parts = urlsplit(following)
    except ValueError:
        return HOME
    is_ours = following.startswith("/") and not following.startswith("//") and not parts.netloc and not parts.scheme
    return following if is_ours and parts.path not in ("/login", "/logout", "/session") else HOME
