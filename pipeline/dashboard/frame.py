"""The frame of every page: header, pages to go to, theme, keys; and how a page keeps itself up to date."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from nicegui import Client, ui
from starlette.requests import Request

from pipeline.control.access.roles import Principal, Role
from pipeline.control.problems import request_id_of
from pipeline.control.rates.address import address_of
from pipeline.dashboard.access import Visitor
from pipeline.dashboard.alarm_badge import LOOK_S as ALARMS_S
from pipeline.dashboard.alarm_badge import AlarmBadge
from pipeline.dashboard.cookies import is_dark
from pipeline.dashboard.services import Services
from pipeline.dashboard.session import Forms
from pipeline.dashboard.states import failed, words_of
from pipeline.dashboard.texts import t
from pipeline.dashboard.trouble import Trouble, log_failure
from pipeline.orchestrate.audit import Author

PAGES = (  # (key after `g`, address, text)
    ("l", "/lines", "nav.lines"),
    ("c", "/cameras", "nav.cameras"),
    ("i", "/inspections", "nav.inspections"),
    ("s", "/system", "nav.system"),
    ("a", "/alarms", "nav.alarms"),
)


class PageRefused(Exception):
    """Not this page, for this visitor; becomes a page that says so. To be raised where the page is made."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(text)
        self.status, self.title, self.text = status, title, text
        self._client = ui.context.client

    def let_go(self) -> None:
        """Of what was made of the page; may be said more than once. Nobody opens it, so it must not count as open."""
        if self._client.id in Client.instances:
            self._client.delete()


class Page:
    """One open page and who looks at it."""

    def __init__(self, client: Client, request: Request) -> None:
        self.client = client
        self.request = request
        self.services: Services = request.state.services
        self._visitor: Visitor = request.state.visitor
        self._is_hidden = False
        self._timers: list[ui.timer] = []
        self._trouble = Trouble()
        self.banner: ui.element

    @property
    def principal(self) -> Principal:
        """Who looks, as last looked up: ask it at every action, not once."""
        return self._visitor.principal

    @property
    def author(self) -> Author:
        """Who looks, as the audit log tells it."""
        who = self.principal
        return Author(who.name, who.kind, who.role.value, address_of(self.request), request_id_of(self.request.scope))

    def may(self, needed: Role) -> bool:
        """Whether their role reaches so far, and their session lasts: what they may not do is not offered."""
        return not self._visitor.is_over and self.principal.role.covers(needed)

    def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> ui.timer:
        """Runs `work` when the browser is there, then every so many seconds while somebody sees the page.

        What it raises stands above the page until it works again.
        """
        key = len(self._timers)

        async def run() -> None:
            if self._is_hidden or not self.client.has_socket_connection:
                return
            try:
                await work()
            except Exception as exc:  # the top of a page's session: told to its reader, and to the log
                self._tell(key, exc)
            else:
                self._tell(key, None)

        timer = ui.timer(seconds, run)
        self._timers.append(timer)
        return timer

    def does(self, needed: Role, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[None]]:
        """A handler for buttons and the like that does `work` where the role reaches, and tells where it fails."""

        async def handle(*args: Any) -> None:
            if not self.may(needed):
                ui.notify(t("state.forbidden", needed=needed.value), type="warning")
                return
            try:
                await work(*args)
            except Exception as exc:
                log_failure(exc)
                ui.notify(words_of(exc), type="negative", multi_line=True, close_button=True)

        return handle

    def see(self, is_hidden: bool) -> None:
        """The browser says whether anybody can see the page; what was due meanwhile is done at once."""
        was_hidden, self._is_hidden = self._is_hidden, is_hidden
        if was_hidden and not is_hidden:
            for timer in self._timers:
                if timer.active and timer.callback is not None and not timer.is_deleted:
                    ui.timer(0, timer.callback, once=True)

    def _tell(self, key: int, exc: Exception | None) -> None:
        """The banner is made anew only where it says something else: a reader of screens reads it out each time."""
        if not self._trouble.note(key, exc):
            return
        self.banner.clear()
        with self.banner:
            for one in self._trouble.told().values():
                failed(one)


@contextmanager
def page_frame(title_key: str, *, needs: Role = Role.VIEWER, line: str | None = None) -> Iterator[Page]:
    """What is made inside stands in the page's middle. Raises PageRefused, which becomes a page of its own.

    `line`: the page is about it, so it must be one of theirs.
    """
    client = ui.context.client
    request = client.request
    page = Page(client, request)
    who = page.principal
    if len(Client.instances) > page.services.settings.max_pages:
        raise PageRefused(503, t("full.title"), t("full.text"))
    if not who.role.covers(needs):
        told = t("refused.role", needed=needs.value, name=who.name, role=who.role.value)
        raise PageRefused(403, t("refused.title"), told)
    if line is not None and not who.may_see(line):
        raise PageRefused(404, t("missing.title"), t("missing.line", line=line))
    title = t(title_key)
    ui.page_title(f"{title if line is None else line} - {t('app.name')}")
    ui.dark_mode(is_dark(request))
    with client.layout, ui.element("div").classes("top") as top:  # before its middle, which is a <main> already
        with ui.element("a").props("href=#main").classes("skip"):
            ui.label(t("skip"))
        _header(page, request)
        top.move(target_index=0)
    _keys()
    ui.on("rayline_hidden", lambda event: page.see(bool(event.args)))
    with ui.element("div").props("id=main tabindex=-1").classes("page"):
        page.banner = ui.element("div").classes("banner").props("aria-live=assertive")
        yield page


def _header(page: Page, request: Request) -> None:
    forms: Forms = request.state.forms
    with ui.element("header").classes("head"):
        with ui.element("a").props("href=/lines").classes("head-name"):
            ui.label(t("app.name"))
        with ui.element("nav").props(f'aria-label="{t("nav.label")}"').classes("head-nav"):
            for _, address, text in PAGES:
                link = ui.element("a").props(f'href="{address}"').classes("head-link")
                if request.url.path == address or request.url.path.startswith(f"{address}/"):
                    link.props("aria-current=page")
                with link:
                    ui.label(t(text))
                    if text == "nav.alarms":
                        badge = AlarmBadge()
                        page.every(ALARMS_S, partial(badge.look, page))
        with ui.element("div").classes("head-tools"):
            theme = ui.element("button").props("type=button id=theme").classes("head-button")
            with theme:
                ui.label(t("theme.to_light")).classes("if-dark")
                ui.label(t("theme.to_dark")).classes("if-light")
            theme.on("click", js_handler="() => rayline.switchTheme()")
            keys = ui.element("button").props(f'type=button aria-label="{t("shortcuts.open")}"').classes("head-button")
            with keys:
                ui.label("?")
            keys.on("click", js_handler="() => rayline.showKeys()")
            ui.label(t("you", name=page.principal.name, role=page.principal.role.value)).classes("head-you")
            _logout(page, forms)


def _logout(page: Page, forms: Forms) -> None:
    session_id = page._visitor.session_id
    if session_id is None:
        return
    with ui.element("form").props("method=post action=/logout"):
        ui.element("input").props(f'type=hidden name=form value="{forms.token(session_id)}"')
        with ui.element("button").props("type=submit").classes("head-button"):
            ui.label(t("logout"))


def _keys() -> None:
    """The keys there are; assets/rayline.js does what they do."""
    with ui.element("dialog").props(f'id=keys aria-label="{t("shortcuts.title")}"').classes("keys"):
        with ui.element("h2"):
            ui.label(t("shortcuts.title"))
        with ui.element("ul"):
            for key, _, text in PAGES:
                with ui.element("li"):
                    ui.label(t("shortcuts.go", key=key, page=t(text)))
            for text in ("shortcuts.theme", "shortcuts.help"):
                with ui.element("li"):
                    ui.label(t(text))
        with ui.element("form").props("method=dialog"), ui.element("button").classes("head-button"):
            ui.label(t("shortcuts.close"))
