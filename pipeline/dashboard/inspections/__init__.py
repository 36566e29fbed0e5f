"""The gallery of parts, a page for each of them, their pictures and what can be downloaded of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import Response

from pipeline.dashboard.frame import Page, PageRefused, page_frame
from pipeline.dashboard.inspections import texts as texts  # they are added to the page's by being there
from pipeline.dashboard.inspections.downloads import Downloads, downloads
from pipeline.dashboard.inspections.filters import filter_form
from pipeline.dashboard.inspections.gallery import LOOKS_EVERY_S as GALLERY_S
from pipeline.dashboard.inspections.gallery import Gallery, find
from pipeline.dashboard.inspections.part import Looked, PartView, look_at
from pipeline.dashboard.inspections.pictures import Pictures
from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.dashboard.inspections.rates import LOOKS_EVERY_S as RATES_S
from pipeline.dashboard.inspections.rates import MOST_LINES, RatesStrip, find_rates
from pipeline.dashboard.services import Services
from pipeline.dashboard.states import failed
from pipeline.dashboard.texts import t
from pipeline.history.choices import Choices, choices
from pipeline.history.database import HistoryUnavailable
from pipeline.history.gallery import Page as PartPage
from pipeline.history.lines import lines_in

if TYPE_CHECKING:
    from pipeline.control.access.roles import Principal
    from pipeline.dashboard.access import Visitor
    from pipeline.history.reviews import ReviewRates

T = TypeVar("T")

_CHOICES_S = 30.0  # new labels and recipes stand in the filter after so long
_RETRY_S = 2.0
ANSWERS_WITHIN_S = 20.0  # pages that are late are sent half made: the history and the pictures have limits of their own
_STYLE = '<link rel="stylesheet" href="/assets/inspections.css">'


def register(services: Services) -> None:
    """Its pages, and the routes beside them.

    What a page shows is asked before its frame is made: with that NiceGUI sends it, whatever it holds by then.
    """
    pictures, files = Pictures(services), Downloads(services)
    app.on_shutdown(pictures.close)

    @ui.page("/inspections", response_timeout=ANSWERS_WITHIN_S)
    async def _gallery(request: Request) -> None:
        query, who = GalleryQuery.of(request.query_params), _who(request)
        found = await _or_away(_opened(services, who, query))
        with page_frame("inspections.title") as page:
            ui.add_head_html(_STYLE)
            _show_gallery(page, query, found)

    @ui.page("/inspections/{inspection_id:path}", response_timeout=ANSWERS_WITHIN_S)
    async def _part(request: Request, inspection_id: str) -> None:
        query, who = GalleryQuery.of(request.query_params), _who(request)
        found = await _or_away(_looked(services, who, pictures, inspection_id))
        if found is None:
            raise PageRefused(404, t("missing.title"), t("inspections.part.missing"))
        with page_frame("inspections.part.title") as page:
            ui.add_head_html(_STYLE)
            if isinstance(found, HistoryUnavailable):
                _away(page, found)
            else:
                PartView(page, found, query)

    @app.get("/pictures/{inspection_id:path}", include_in_schema=False)
    async def _picture(request: Request, inspection_id: str) -> Response:
        return await pictures.answer(request, inspection_id)

    @app.get("/downloads/{kind}", include_in_schema=False)
    async def _download(request: Request, kind: str) -> Response:
        return await files.answer(request, kind)


@dataclass(frozen=True, slots=True)
class _Opened:
    """All that the gallery shows at first."""

    lines: Sequence[str]  # theirs
    choices: Choices
    parts: PartPage
    rated: Sequence[str]  # lines
    rates: Mapping[str, ReviewRates]


async def _opened(services: Services, who: Principal, query: GalleryQuery) -> _Opened:
    lines = who.visible(await services.query(lines_in))
    rated = [line for line in lines if query.line in ("", line)]
    return _Opened(
        lines,
        await _choices(services, who),
        await find(services, who, query),
        rated,
        await find_rates(services, rated[:MOST_LINES], query),
    )


def _show_gallery(page: Page, query: GalleryQuery, found: _Opened | HistoryUnavailable) -> None:
    with ui.element("h1"):
        ui.label(t("inspections.title"))
    if isinstance(found, HistoryUnavailable):
        _away(page, found)
        return
    plant = page.services.plant
    filter_form(query, found.lines, found.choices, plant)
    rates = RatesStrip(page, found.rated, query, compact=True)
    rates.show(found.rates)
    gallery = Gallery(page, query)
    gallery.show(found.parts)
    downloads(query)
    page.every(GALLERY_S, gallery.look if found.lines else _until_there_are_lines(page))
    page.every(RATES_S, rates.look)


def _until_there_are_lines(page: Page) -> Callable[[], Awaitable[None]]:
    """The first part of all brings its line with it, for the filter and the rates: then the page begins anew."""

    async def look() -> None:
        if page.principal.visible(await page.services.query(lines_in)):
            ui.navigate.reload()

    return look


async def _looked(services: Services, who: Principal, pictures: Pictures, inspection_id: str) -> Looked | None:
    labels = (await _choices(services, who)).labels
    return await look_at(services, who, pictures, inspection_id, labels)


async def _choices(services: Services, who: Principal) -> Choices:
    lines = who.limited_to
    key = f"inspections.choices {lines and sorted(lines)}"
    return await services.shared(
        key, _CHOICES_S, lambda: services.query(lambda connection: choices(connection, lines, now_ms()))
    )


async def _or_away(asked: Awaitable[T]) -> T | HistoryUnavailable:
    try:
        return await asked
    except HistoryUnavailable as exc:
        return exc


def _away(page: Page, exc: HistoryUnavailable) -> None:
    """The history is away: the page comes by itself when it answers again."""
    failed(exc)

    async def try_again() -> None:
        await page.services.query(lines_in)
        ui.navigate.reload()

    page.every(_RETRY_S, try_again)


def _who(request: Request) -> Principal:
    visitor: Visitor = request.state.visitor
    return visitor.principal


def now_ms() -> int:
    """Unix milliseconds."""
    return int(time.time() * 1000)
