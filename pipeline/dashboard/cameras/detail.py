"""One camera's page: its picture large, all its numbers, and all that may be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.cameras.actions import Actions
from pipeline.dashboard.cameras.changes import Changes
from pipeline.dashboard.cameras.figures import long, short
from pipeline.dashboard.cameras.picture import LivePicture
from pipeline.dashboard.cameras.tile import Figures, Head, SignedFrame, error_of
from pipeline.dashboard.signs import SIGNS
from pipeline.dashboard.states import failed
from pipeline.dashboard.texts import t
from pipeline.orchestrate.desired_errors import DesiredError

if TYPE_CHECKING:
    from pipeline.dashboard.cameras.roll import CameraNow, Roll, Roster
    from pipeline.dashboard.frame import Page

PERIOD_S = 1.0


class Detail:
    """One page's."""

    def __init__(self, page: Page, roster: Roster, roll: Roll, camera: CameraNow) -> None:
        self._page, self._roster, self._name = page, roster, camera.view.name
        is_shown = roll.desired.config.previews is not None
        with ui.element("div").classes("bar"):
            with ui.element("a").props("href=/cameras"):
                ui.label(t("cameras.back"))
            with ui.element("h1"):
                ui.label(self._name)
        with ui.element("div") as self._gone:
            failed(DesiredError(t("cameras.gone", camera=self._name)))
        self._gone.set_visibility(False)
        with ui.element("div").classes("cam-detail") as self._all:
            with SignedFrame(camera) as self._frame:
                self._picture = LivePicture(camera, None, is_shown=is_shown)
            with ui.element("section").classes("panel cam-body"):
                self._head = Head(camera)
                self._error = ui.label().classes("cam-error")
                self._figures = Figures(_figures_of(camera))
                self._parts = ui.label().classes("cam-place")
                self._actions = Actions(page, Changes(page, roster), camera, self.look, all_of_them=True)
        self._show(camera)
        page.every(PERIOD_S, self.look)

    async def look(self) -> None:
        """Show what there is now."""
        camera = (await self._roster.call()).one(self._page.principal, self._name)
        self._all.set_visibility(camera is not None)
        self._gone.set_visibility(camera is None)
        if camera is not None:
            self._show(camera)

    def _show(self, camera: CameraNow) -> None:
        self._frame.colour(camera)
        self._picture.show(camera)
        self._head.show(camera)
        self._error.set_text(error_of(camera))
        self._figures.show(_figures_of(camera))
        self._parts.set_text(_parts_of(camera))
        self._actions.show(camera)


def _figures_of(camera: CameraNow) -> dict[str, str]:
    return short(camera.view) | long(camera.view)


def _parts_of(camera: CameraNow) -> str:
    parts = camera.view.parts
    told = [f"{SIGNS[v].symbol} {SIGNS[v].word} {parts[v]}" for v in ("pass", "reject", "indeterminate") if v in parts]
    return "   ".join(told)
