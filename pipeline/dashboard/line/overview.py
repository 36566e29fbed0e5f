"""All lines at a glance: a tile each, the worst first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from math import ceil, sqrt
from urllib.parse import quote, urlencode

from nicegui import ui

from pipeline.control.access.roles import Role
from pipeline.dashboard.frame import Page, page_frame
from pipeline.dashboard.line.changeover_note import ChangeoverNote
from pipeline.dashboard.line.condition import WORST_FIRST
from pipeline.dashboard.line.glance_view import GlanceFigures, StateLine, span_words
from pipeline.dashboard.line.looked_at import LookedAt
from pipeline.dashboard.line.reading import LOOK_S, Glance, LineReader
from pipeline.dashboard.line.wall import put_up_style, wall_link
from pipeline.dashboard.pickers import RangePicker
from pipeline.dashboard.states import empty, loading
from pipeline.dashboard.texts import t


def overview(reader: LineReader) -> None:
    """The page /lines."""
    with page_frame("lines.title") as page:
        plant = page.services.plant
        looked_at = LookedAt.of(page.request, plant, round(time.time() * 1e3))
        put_up_style(looked_at.is_wall)
        lines = _Overview(page, reader, looked_at)
        with ui.element("div").classes("wall line-page" if looked_at.is_wall else "line-page"):
            with ui.element("div").classes("bar page-bar"):
                with ui.element("h1"):
                    ui.label(t("lines.title"))
                lines.span = ui.label().classes("page-span")
                if not looked_at.is_wall:
                    RangePicker(plant, looked_at.range_text, page.does(Role.VIEWER, lines.choose))
                    wall_link()
            lines.begin()
        page.every(LOOK_S, lines.refresh)


class _Overview:
    """Tiles, made as lines come and put in order as their states change."""

    def __init__(self, page: Page, reader: LineReader, looked_at: LookedAt) -> None:
        self._page, self._reader, self._looked_at = page, reader, looked_at
        self._tiles: dict[str, _Tile] = {}
        self.span: ui.label

    def begin(self) -> None:
        """Where the tiles will stand."""
        self._loading = loading()
        self._empty = empty("lines.empty")
        self._grid = ui.element("div").classes("tiles")
        self._empty.set_visibility(False)

    async def choose(self, range_text: str) -> None:
        """Another range."""
        self._looked_at.range_text = range_text
        await self.refresh()

    async def refresh(self) -> None:
        """Every line as it is now. Raises what kept it from being read, once the rest is shown."""
        desired, _ = await self._page.services.system()
        names = self._page.principal.visible(desired.config.line_ids())
        range_text = self._looked_at.range_text
        glances = await asyncio.gather(*(self._reader.glance(name, range_text) for name in names))
        if range_text != self._looked_at.range_text:
            return
        self._show(sorted(glances, key=_worst_first))
        if problem := next((each for glance in glances for each in glance.problems), None):
            raise problem

    def _show(self, glances: Sequence[Glance]) -> None:
        self._loading.set_visibility(False)
        self._empty.set_visibility(not glances)
        if found := next((glance.figures for glance in glances if glance.figures is not None), None):
            self.span.set_text(span_words(found, self._page.services.plant.zone))
        for name in self._tiles.keys() - {glance.line for glance in glances}:
            self._tiles.pop(name).delete()
        for glance in glances:
            if glance.line not in self._tiles:
                with self._grid:
                    self._tiles[glance.line] = _Tile(glance.line)
            self._tiles[glance.line].show(glance, self._looked_at)
        self._grid.style(f"--columns: {ceil(sqrt(len(glances)))}")
        self._put_in_order([glance.line for glance in glances])

    def _put_in_order(self, names: Sequence[str]) -> None:
        tiles = [self._tiles[name] for name in names]
        if list(self._grid.default_slot.children) == tiles:
            return
        for place, tile in enumerate(tiles):
            tile.move(target_index=place)


class _Tile(ui.element):
    """One line; the whole tile is the way to its page."""

    def __init__(self, line: str) -> None:
        super().__init__("a")
        self._line = line
        self._range = ""
        self._glance: Glance | None = None  # as shown
        self.classes("panel tile").props(f'data-line="{line}" aria-label="{t("line.open", line=line)}"')
        with self:
            with ui.element("h2"):
                ui.label(line)
            self._state = StateLine(all_of_it=False)
            self._figures = GlanceFigures()
            self._changeover = ChangeoverNote()

    def show(self, glance: Glance, looked_at: LookedAt) -> None:
        """How the line does now."""
        if looked_at.range_text != self._range:
            self._range = looked_at.range_text
            told = urlencode({"range": self._range} | ({"wall": "1"} if looked_at.is_wall else {}))
            self.props["href"] = f"/lines/{quote(self._line, safe='')}?{told}"
            self.update()
        if glance is self._glance:
            return
        self._state.show(glance)
        self._figures.show(glance)
        self._changeover.show(glance)
        self._glance = glance


def _worst_first(glance: Glance) -> tuple[int, str]:
    return WORST_FIRST.index(glance.conditions[0].state), glance.line
