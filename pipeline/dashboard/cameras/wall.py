"""The wall: every camera of one's lines, live."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.cameras.changes import MAY, Changes
from pipeline.dashboard.cameras.form import NewCameraForm
from pipeline.dashboard.cameras.tile import Tile
from pipeline.dashboard.pickers import keep_in_address
from pipeline.dashboard.states import empty, loading
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.dashboard.cameras.roll import Roll, Roster
    from pipeline.dashboard.frame import Page

PERIOD_S = 1.0
_PICTURES = "pictures"


class Wall:
    """One page's. Tiles come and go with the cameras; those that stay are not made anew."""

    def __init__(self, page: Page, roster: Roster) -> None:
        self._page, self._roster = page, roster
        self._changes = Changes(page, roster)
        self._tiles: dict[str, Tile] = {}
        with ui.element("div").classes("bar"):
            with ui.element("h1"):
                ui.label(t("cameras.title"))
            self._summary = ui.label().classes("figure-name")
            self._pictures_only = ui.switch(t("cameras.pictures_only"), value=_chosen(page), on_change=self._choose)
            if page.may(MAY["add"]):
                ui.button(t("cameras.add"), on_click=page.does(MAY["add"], self._add)).props("no-caps data-action=add")
        self._place = ui.element("div").classes("cam-wall")
        self._show_only_pictures()
        self._empty = ui.element("div")
        with self._empty:
            loading()
        page.every(PERIOD_S, self.look)

    async def look(self) -> None:
        """Show what there is now."""
        roll = await self._roster.call()
        cameras = {camera.view.name: camera for camera in roll.of(self._page.principal)}
        if list(cameras) != list(self._tiles):
            self._rebuild(roll, list(cameras))
        for name, camera in cameras.items():
            self._tiles[name].show(camera)
        well = sum(camera.standing.is_well for camera in cameras.values())
        self._summary.set_text(t("cameras.summary", well=well, all=len(cameras)) if cameras else "")

    def _rebuild(self, roll: Roll, names: list[str]) -> None:
        for name in self._tiles.keys() - set(names):
            self._tiles.pop(name).delete()
        is_shown = roll.desired.config.previews is not None
        for name in names:
            if name not in self._tiles:
                with self._place:
                    camera = roll.cameras[name]
                    self._tiles[name] = Tile(self._page, self._changes, camera, self.look, is_shown=is_shown)
        self._tiles = {name: self._tiles[name] for name in names}
        for number, tile in enumerate(self._tiles.values()):
            tile.move(self._place, number)
        self._show_only_pictures()
        self._empty.clear()
        if not names:
            with self._empty:
                empty("cameras.none_yours")

    def _choose(self) -> None:
        keep_in_address(view=_PICTURES if self._pictures_only.value else "")
        self._show_only_pictures()

    def _show_only_pictures(self) -> None:
        columns = max(1, math.ceil(math.sqrt(len(self._tiles))))
        rows = max(1, math.ceil(len(self._tiles) / columns))
        self._place.style(f"--columns: {columns}; --rows: {rows}")
        chosen = bool(self._pictures_only.value)
        self._place.classes(add="is-pictures" if chosen else None, remove=None if chosen else "is-pictures")

    async def _add(self) -> None:
        desired = (await self._roster.call()).desired
        with self._page.client.layout:
            NewCameraForm(self._page, self._changes, desired, self.look).open()


def _chosen(page: Page) -> bool:
    return page.request.query_params.get("view") == _PICTURES
