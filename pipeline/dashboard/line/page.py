"""One line in figures and charts."""

from __future__ import annotations

import asyncio
import time

from nicegui import ui

from pipeline.control.access.roles import Role
from pipeline.dashboard.frame import Page, page_frame
from pipeline.dashboard.line.changeover_note import ChangeoverNote
from pipeline.dashboard.line.chart_panel import ChartPanel
from pipeline.dashboard.line.control_panel import ControlPanel
from pipeline.dashboard.line.glance_view import GlanceFigures, StateLine, span_words
from pipeline.dashboard.line.looked_at import LookedAt
from pipeline.dashboard.line.pareto_chart import pareto_chart
from pipeline.dashboard.line.reading import LOOK_S, Details, Glance, LineReader
from pipeline.dashboard.line.rejects_panel import RejectsPanel
from pipeline.dashboard.line.reviews_panel import ReviewsPanel
from pipeline.dashboard.line.throughput_chart import throughput_chart
from pipeline.dashboard.line.wall import put_up_style, wall_link
from pipeline.dashboard.pickers import RangePicker
from pipeline.dashboard.texts import t


def line_page(reader: LineReader, line: str) -> None:
    """The page /lines/{line}."""
    with page_frame("lines.title", line=line) as page:
        plant = page.services.plant
        looked_at = LookedAt.of(page.request, plant, round(time.time() * 1e3), line)
        put_up_style(looked_at.is_wall)
        with ui.element("div").classes("wall line-page" if looked_at.is_wall else "line-page"):
            view = _LineView(page, reader, looked_at)
        page.every(LOOK_S, view.look)
        page.every(LOOK_S, view.look_closer)


class _LineView:
    """Everything on the page, made once and changed in place."""

    def __init__(self, page: Page, reader: LineReader, looked_at: LookedAt) -> None:
        self._page, self._reader, self._looked_at = page, reader, looked_at
        self._glance: Glance | None = None  # as shown: the same again is not worked out again
        self._details: Details | None = None
        zone = page.services.plant.zone
        self._zone = zone
        with ui.element("div").classes("bar page-bar"):
            with ui.element("h1"):
                ui.label(looked_at.line)
            self._span = ui.label().classes("page-span")
            if not looked_at.is_wall:
                RangePicker(page.services.plant, looked_at.range_text, page.does(Role.VIEWER, self._choose))
                wall_link()
        self._state = StateLine(all_of_it=True)
        self._changeover = ChangeoverNote()
        self._figures = GlanceFigures()
        with ui.element("div").classes("charts"):
            self._throughput = ChartPanel("throughput", t("line.throughput.title"), "line.throughput.empty")
            self._pareto = ChartPanel("pareto", t("line.pareto.title"), "line.pareto.empty")
            self._control = ControlPanel(page, reader, looked_at)
            self._rejects = RejectsPanel(looked_at.line, zone)
            self._reviews = ReviewsPanel()

    async def look(self) -> None:
        """State and figures as they are now. Raises what kept one of them from being read, once the rest is shown."""
        range_text = self._looked_at.range_text
        glance = await self._reader.glance(self._looked_at.line, range_text)
        if range_text == self._looked_at.range_text and glance is not self._glance:
            self._show(glance)
            self._glance = glance
        for problem in glance.problems:
            raise problem

    async def look_closer(self) -> None:
        """Charts, reviews and parts as they are now. Raises HistoryUnavailable."""
        range_text = self._looked_at.range_text
        details, _ = await asyncio.gather(
            self._reader.details(self._looked_at.line, range_text), self._control.refresh()
        )
        if range_text == self._looked_at.range_text and details is not self._details:
            self._show_details(details)
            self._details = details

    async def _choose(self, range_text: str) -> None:
        self._looked_at.range_text = range_text
        await asyncio.gather(self.look(), self.look_closer())

    def _show(self, glance: Glance) -> None:
        self._state.show(glance)
        self._changeover.show(glance)
        self._figures.show(glance)
        if glance.figures is not None:
            self._span.set_text(span_words(glance.figures, self._zone))
            options = throughput_chart(glance.figures.throughput, glance.target_per_hour, self._zone)
            self._throughput.show(options, is_empty=not glance.figures.counts.parts)

    def _show_details(self, details: Details) -> None:
        self._pareto.show(pareto_chart(details.defects), is_empty=not details.defects)
        self._reviews.show(details.reviews)
        self._rejects.show(details.rejects)
