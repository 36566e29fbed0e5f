"""The gallery of parts, a page for each of them, their pictures and what can be downloaded of them."""

from __future__ import annotations

import time

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import Response

from pipeline.dashboard.frame import Page, PageRefused, page_frame
from pipeline.dashboard.inspections import texts as texts  # they are added to the page's by being there
from pipeline.dashboard.inspections.downloads import Downloads, downloads
from pipeline.dashboard.inspections.filters import filter_form
from pipeline.dashboard.inspections.gallery import LOOKS_EVERY_S as GALLERY_S
from pipeline.dashboard.inspections.gallery import Gallery
from pipeline.dashboard.inspections.part import PartView, around
from pipeline.dashboard.inspections.pictures import Pictures
from pipeline.dashboard.inspections.query import GalleryQuery
from pipeline.dashboard.inspections.rates import LOOKS_EVERY_S as RATES_S
from pipeline.dashboard.inspections.rates import RatesStrip
from pipeline.dashboard.services import Services
from pipeline.dashboard.states import failed
from pipeline.dashboard.texts import t
from pipeline.history.choices import Choices, choices
from pipeline.history.database import HistoryUnavailable
from pipeline.history.gallery import lines_in, part

_CHOICES_S = 30.0  # new labels and recipes stand in the filter after so long
_RETRY_S = 2.0
_STYLE = '<link rel="stylesheet" href="/assets/inspections.css">'


def register(services: Services) -> None:
    """Its pages, and the routes beside them."""
    pictures, files = Pictures(services), Downloads(services)
    app.on_shutdown(pictures.close)

    @ui.page("/inspections")
    async def _gallery(request: Request) -> None:
        with page_frame("inspections.title") as page:
            ui.add_head_html(_STYLE)
            await _show_gallery(page, GalleryQuery.of(request.query_params))

    @ui.page("/inspections/{inspection_id:path}")
    async def _part(request: Request, inspection_id: str) -> None:
        with page_frame("inspections.part.title") as page:
            ui.add_head_html(_STYLE)
            await _show_part(page, pictures, inspection_id, GalleryQuery.of(request.query_params))

    @app.get("/pictures/{inspection_id:path}", include_in_schema=False)
    async def _picture(request: Request, inspection_id: str) -> Response:
        return await pictures.answer(request, inspection_id)

    @app.get("/downloads/{kind}", include_in_schema=False)
    async def _download(request: Request, kind: str) -> Response:
        return await files.answer(request, kind)


async def _show_gallery(page: Page, query: GalleryQuery) -> None:
    with ui.element("h1"):
        ui.label(t("inspections.title"))
    try:
        lines, found = await _lines(page), await _choices(page)
    except HistoryUnavailable as exc:
        _failed(page, exc)
        return
    shown = [query.line] if query.line else lines
    filter_form(query, lines, found, page.services.plant)
    times = query.times(page.services.plant, now_ms())
    rates = RatesStrip(page, [line for line in shown if line in lines], times, compact=True)
    gallery = Gallery(page, query)
    downloads(query)
    await gallery.look()
    await rates.look()
    page.every(GALLERY_S, gallery.look)
    page.every(RATES_S, rates.look)


async def _show_part(page: Page, pictures: Pictures, inspection_id: str, query: GalleryQuery) -> None:
    lines = page.principal.limited_to
    try:
        found = await page.services.query(lambda connection: part(connection, inspection_id, lines))
        if found is None:
            raise PageRefused(404, t("missing.title"), t("inspections.part.missing"))
        unseen, known = await around(page, found), await _choices(page)
    except HistoryUnavailable as exc:
        _failed(page, exc)
        return
    await PartView(page, pictures, found, query).show(known.labels, unseen)


async def _lines(page: Page) -> list[str]:
    """Theirs, of which parts are kept."""
    known = await page.services.shared("inspections.lines", _CHOICES_S, lambda: page.services.query(lines_in))
    return page.principal.visible(known)


async def _choices(page: Page) -> Choices:
    lines = page.principal.limited_to
    key = f"inspections.choices {lines and sorted(lines)}"
    return await page.services.shared(
        key, _CHOICES_S, lambda: page.services.query(lambda connection: choices(connection, lines, now_ms()))
    )


def _failed(page: Page, exc: HistoryUnavailable) -> None:
    """The history is away: the page comes by itself when it answers again."""
    failed(exc)

    async def try_again() -> None:
        await page.services.query(lines_in)
        ui.navigate.reload()

    page.every(_RETRY_S, try_again)


def now_ms() -> int:
    """Unix milliseconds."""
    return int(time.time() * 1000)
