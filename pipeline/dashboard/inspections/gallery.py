"""The gallery: parts that were rejected or could not be judged, and the sample of passes, the newest first."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.durations import moment
from pipeline.dashboard.inspections.cards import PartCard
from pipeline.dashboard.texts import t
from pipeline.history.gallery import BadCursor, PartRow, page
from pipeline.history.gallery import Page as PartPage

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pipeline.control.access.roles import Principal
    from pipeline.dashboard.frame import Page
    from pipeline.dashboard.inspections.query import GalleryQuery
    from pipeline.dashboard.services import Services

PARTS = 48  # of one page
LOOKS_EVERY_S = 1.5
_FRESH_S = 1.0  # asked once in so long for all who look at the same
_AT_TOP_PX = 60  # scrolled no further, somebody looks at the newest
_ASKED_S = 2.0


class Gallery:
    """One page of parts on somebody's screen. New ones come to its top, but never under the eyes of who looks below."""

    def __init__(self, page: Page, query: GalleryQuery) -> None:
        self._page = page
        self._query = query
        self._cards: dict[str, PartCard] = {}
        self._end: tuple[str | None, str | None] | None = None  # as it is told now
        self._new = ui.element("button").props("type=button").classes("part-new")
        with self._new:
            self._new_text = ui.label()
        self._new.on("click", self._show_new)
        self._new.set_visibility(False)
        self._grid = ui.element("div").classes("part-grid").props("id=parts")
        self._nothing = ui.element("div")
        with ui.element("nav").classes("part-pages"):
            self._newest, self._older = _link("inspections.newest"), _link("inspections.older")
        self._newest.props["href"] = query.without_page().address
        self._newest.set_visibility(not query.is_newest)
        self._older.set_visibility(False)

    async def look(self) -> None:
        """Bring it up to date. Raises HistoryUnavailable."""
        found = await self._find()
        fresh = sum(part.id not in self._cards for part in found.parts)
        if fresh and self._cards and not await self._is_at_top():
            self._new_text.set_text(t("inspections.new", count=fresh))
            self._new.set_visibility(True)
            self._tell_reviews(found)
            return
        self.show(found)

    async def _find(self) -> PartPage:
        return await find(self._page.services, self._page.principal, self._query)

    async def _is_at_top(self) -> bool:
        try:
            scrolled = await self._page.client.run_javascript("window.scrollY", timeout=_ASKED_S)
        except TimeoutError:  # a browser that does not answer shows nobody anything
            return False
        return isinstance(scrolled, int | float) and scrolled <= _AT_TOP_PX

    async def _show_new(self) -> None:
        self._page.client.run_javascript("window.scrollTo({top: 0})")
        self.show(await self._find())

    def show(self, found: PartPage) -> None:
        """The page as it was found: what is new in its place, what it no longer holds gone."""
        self._new.set_visibility(False)
        ids = {part.id for part in found.parts}
        for gone in [key for key in self._cards if key not in ids]:
            self._cards.pop(gone).element.delete()
        for place, part in enumerate(found.parts):
            if part.id not in self._cards:
                self._cards[part.id] = self._card(part)
                self._cards[part.id].element.move(target_index=place)
        self._tell_reviews(found)
        self._tell_end(found)

    def _card(self, part: PartRow) -> PartCard:
        with self._grid:
            return PartCard(part, self._query, self._page.services.plant.zone)

    def _tell_reviews(self, found: PartPage) -> None:
        for part in found.parts:
            if part.id in self._cards:
                self._cards[part.id].update(part)

    def _tell_end(self, found: PartPage) -> None:
        older = None if found.next is None else self._query.changed(before=found.next).address
        why = None if found.parts else self._why_nothing(found)
        if self._end == (older, why):
            return
        self._end = older, why
        if older is not None:
            self._older.props["href"] = older
        self._older.set_visibility(older is not None)
        self._nothing.clear()
        if why is not None:
            with self._nothing, ui.element("div").classes("state state-empty"):
                ui.label("○").classes("state-symbol").props("aria-hidden=true")
                ui.label(why).classes("state-words")

    def _why_nothing(self, found: PartPage) -> str:
        if found.next is not None and found.reached_ms is not None:
            return t("inspections.none_so_far", at=moment(found.reached_ms, self._page.services.plant.zone))
        return t("inspections.none_filtered" if self._query.is_filtered else "inspections.none")


async def find(services: Services, principal: Principal, query: GalleryQuery) -> PartPage:
    """The page of parts that the address asks for, a second old at most. Raises HistoryUnavailable."""
    lines, before = principal.limited_to, query.before or None

    def ask(connection: Connection) -> PartPage:
        return page(connection, query.wanted(lines, services.plant, int(time.time() * 1000)), before, PARTS)

    key = f"inspections.parts {(lines and sorted(lines), query)}"
    try:
        return await services.shared(key, _FRESH_S, lambda: services.query(ask))
    except BadCursor:  # out of an address that somebody wrote
        return await find(services, principal, query.without_page())


def _link(text: str) -> ui.element:
    link = ui.element("a").classes("part-page-link")
    with link:
        ui.label(t(text))
    return link
