"""A part's own page: its picture, its verdict and all its message says, and what people say of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nicegui import ui
from nicegui.events import KeyEventArguments

from pipeline.control.access.roles import Role
from pipeline.dashboard.durations import moment
from pipeline.dashboard.inspections.addresses import part_address
from pipeline.dashboard.inspections.cards import why_of
from pipeline.dashboard.inspections.details import raw, sections
from pipeline.dashboard.inspections.figure import part_figure, size_or_why
from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.dashboard.inspections.rates import RatesStrip, find_rates, reviewed
from pipeline.dashboard.inspections.review import ReviewPanel
from pipeline.dashboard.signs import SignBadge
from pipeline.dashboard.texts import t
from pipeline.history.around import Unseen, unseen_around
from pipeline.history.gallery import PartRow, neighbour, part

if TYPE_CHECKING:
    from pipeline.control.access.roles import Principal
    from pipeline.dashboard.frame import Page
    from pipeline.dashboard.inspections.geometry import SizeWh
    from pipeline.dashboard.inspections.pictures import Pictures
    from pipeline.dashboard.services import Services
    from pipeline.history.reviews import ReviewRates

AROUND_MIN = 10
LOOKS_EVERY_S = 3.0
_GOES_S = 1.5  # `g` and then another letter leads to another page, as the frame's script has it


@dataclass(frozen=True, slots=True)
class Looked:
    """All that a part's page shows at first."""

    part: PartRow
    size: SizeWh | str  # of its picture, or why there is none
    rates: Mapping[str, ReviewRates]
    unseen: Sequence[Unseen]
    labels: Sequence[str]  # of defects, to choose from


async def look_at(
    services: Services, principal: Principal, pictures: Pictures, inspection_id: str, labels: Sequence[str]
) -> Looked | None:
    """The part of this id on one of their lines; None where there is none. Raises HistoryUnavailable."""
    lines = principal.limited_to
    found = await services.query(lambda connection: part(connection, inspection_id, lines))
    if found is None:
        return None
    unseen = await services.query(
        lambda connection: unseen_around(connection, found.line, found.captured_ms, AROUND_MIN * 60_000)
    )
    rates = await find_rates(services, [found.line])
    return Looked(found, await size_or_why(pictures, found), rates, unseen, labels)


class PartView:
    """The page of one part; `query` is the filter along which one goes on to the next."""

    def __init__(self, page: Page, looked: Looked, query: GalleryQuery) -> None:
        self._page = page
        self._part = looked.part
        self._query = query
        self._zone = page.services.plant.zone
        self._went_at = 0.0
        self._top()
        with ui.element("div").classes("part-page"):
            with ui.element("div").classes("part-left"):
                part_figure(self._part, looked.size)
                self._rates = RatesStrip(page, [self._part.line])
                self._rates.show(looked.rates)
            with ui.element("div").classes("part-right"):
                self._verdict()
                self._review = ReviewPanel(page, self._part, looked.labels, self._saved)
        _facts(self._part, page)
        self._unseen(looked.unseen)
        with ui.element("details").classes("panel part-raw"):
            with ui.element("summary"):
                ui.label(t("inspections.part.raw"))
            with ui.element("pre"):
                ui.label(raw(self._part.document)).classes("part-json")
        ui.keyboard(self._pressed, repeating=False, ignore=["input", "select", "textarea"])
        page.every(LOOKS_EVERY_S, self._look)

    async def _saved(self) -> None:
        reviewed(self._page.services, self._part.line)
        await self._look()

    async def _look(self) -> None:
        await self._review.look()
        await self._rates.look()

    def _top(self) -> None:
        with ui.element("nav").classes("bar part-nav"):
            with ui.element("a").classes("part-page-link") as back:
                ui.label(t("inspections.part.back"))
            back.props["href"] = self._query.without_page().address
            for key, newer in (("newer", True), ("older", False)):
                button = ui.element("button").props("type=button").classes(f"head-button part-{key}")
                button.props["title"] = t(f"inspections.part.{key}.help")
                with button:
                    ui.label(t(f"inspections.part.{key}"))
                button.on("click", self._going(newer))

    def _verdict(self) -> None:
        its = self._part
        with ui.element("section").classes("panel part-verdict"):
            SignBadge(its.verdict.value, large=True)
            if why := why_of(its):
                ui.label(why).classes("part-why")
            ui.label(f"{its.line} · {its.station}").classes("part-where")
            ui.label(moment(its.captured_ms, self._zone)).classes("part-time")
            ui.label(" · ".join(filter(None, (its.model, its.recipe, its.external_id)))).classes("part-soft")

    def _unseen(self, unseen: Sequence[Unseen]) -> None:
        with ui.element("section").classes("panel"):
            with ui.element("h2"):
                ui.label(t("inspections.part.around", minutes=AROUND_MIN))
            if not unseen:
                ui.label(t("inspections.part.around.none")).classes("part-soft")
            for one in unseen:
                until = t("inspections.part.lasts") if one.until_ms is None else moment(one.until_ms, self._zone)
                with ui.element("div").classes("bar"):
                    SignBadge("blind").show("blind", one.reason)
                    ui.label(f"{moment(one.since_ms, self._zone)} – {until}").classes("part-time")  # noqa: RUF001
                    ui.label(f"{one.station} · {one.camera}").classes("part-soft")

    def _going(self, newer: bool) -> Any:
        return self._page.does(Role.VIEWER, lambda *_: self._go(newer))

    async def _go(self, newer: bool) -> None:
        """To the next part along the filter that nobody has reviewed."""
        services, lines = self._page.services, self._page.principal.limited_to
        along = self._query.changed(reviewed="no").wanted(lines, services.plant, int(time.time() * 1000))
        found = await services.query(lambda connection: neighbour(connection, along, self._part, newer=newer))
        if found is None:
            ui.notify(t("inspections.part.no_newer" if newer else "inspections.part.no_older"))
        else:
            ui.navigate.to(part_address(found.id, self._query))

    async def _pressed(self, event: KeyEventArguments) -> None:
        held = event.modifiers
        if not event.action.keydown or held.ctrl or held.meta or held.alt:
            return
        key, now = event.key.name, time.monotonic()
        went, self._went_at = now - self._went_at < _GOES_S, now if key == "g" else 0.0
        if went:
            return
        if key in ("j", "k"):
            await self._going(newer=key == "k")()
        elif key == "a":
            await self._page.does(Role.OPERATOR, self._review.agree)()
        elif key == "o":
            self._review.open_form()


def _facts(its: PartRow, page: Page) -> None:
    """The table of everything the message says."""
    with ui.element("div").classes("grid part-facts"):
        for section in sections(its.message, page.services.plant.zone):
            with ui.element("section").classes("panel"):
                with ui.element("h2"):
                    ui.label(t(f"inspections.section.{section.key}"))
                with ui.element("dl"):
                    for fact in section.facts:
                        with ui.element("dt"):
                            ui.label(t(f"inspections.fact.{fact.key}"))
                        with ui.element("dd"):
                            ui.label(fact.value)
