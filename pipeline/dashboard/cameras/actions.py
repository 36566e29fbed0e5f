"""The buttons that change a camera, for those who may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.cameras.changes import MAY
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.dashboard.cameras.changes import Changes
    from pipeline.dashboard.cameras.roll import CameraNow
    from pipeline.dashboard.frame import Page

Done = Callable[[], Awaitable[None]]


class Actions(ui.element):
    """Of one camera. A change says which state of it was seen; `done` is called behind each."""

    def __init__(self, page: Page, changes: Changes, camera: CameraNow, done: Done, *, all_of_them: bool) -> None:
        """`all_of_them`: those of an engineer too."""
        super().__init__("div")
        self.classes("cam-actions")
        self._page, self._changes, self._camera, self._done = page, changes, camera, done
        name = camera.view.name
        with self:
            self._pause = self._button("pause", self._pause_it)
            self._resume = self._button("resume", self._resume_it)
            self._restart = self._button("restart", self._restart_it)
            if all_of_them and page.may(MAY["draw"]):
                with ui.element("a").props(f'href="/cameras/{name}/draw"').classes("head-button"):
                    ui.label(t("cameras.draw"))
            self._reset = self._button("reset", self._ask_reset) if all_of_them else None
            if all_of_them:
                self._button("remove", self._ask_remove)
        self.show(camera)

    def show(self, camera: CameraNow) -> None:
        """As it stands now."""
        self._camera = camera
        paused, is_topic = camera.view.paused, camera.view.url.startswith("kafka:")
        _set_visible(self._pause, not paused)
        _set_visible(self._resume, paused)
        _set_visible(self._restart, not paused and not is_topic)
        _set_visible(self._reset, camera.view.override is not None)

    def _button(self, what: str, work: Done) -> ui.button | None:
        if not self._page.may(MAY[what]):
            return None
        button = ui.button(t(f"cameras.{what}"), on_click=self._page.does(MAY[what], work))
        return button.props(f"outline no-caps data-action={what}")

    async def _pause_it(self) -> None:
        await self._do(self._changes.pause, "cameras.paused")

    async def _resume_it(self) -> None:
        await self._do(self._changes.resume, "cameras.resumed")

    async def _restart_it(self) -> None:
        await self._do(self._changes.restart, "cameras.restarted")

    async def _ask_remove(self) -> None:
        if await self._is_sure("remove"):
            await self._do(self._changes.remove, "cameras.removed")
            ui.navigate.to("/cameras")

    async def _ask_reset(self) -> None:
        if await self._is_sure("reset"):
            await self._do(self._changes.reset, "cameras.reset_done")

    async def _is_sure(self, what: str) -> bool:
        with self, ui.dialog() as dialog, ui.card().classes("cam-form"):
            ui.label(t(f"cameras.{what}_ask", camera=self._camera.view.name))
            with ui.element("div").classes("cam-actions"):
                ui.button(t(f"cameras.{what}"), on_click=lambda: dialog.submit(True)).props("no-caps data-sure")
                ui.button(t("cameras.cancel"), on_click=lambda: dialog.submit(False)).props("outline no-caps")
        sure = await dialog
        dialog.delete()
        return bool(sure)

    async def _do(self, change: Callable[[str, str], Awaitable[None]], done: str) -> None:
        name = self._camera.view.name
        try:
            await change(name, self._camera.tag)
        finally:
            await self._done()  # what others did in between is seen then
        ui.notify(t(done, camera=name), type="positive")


def _set_visible(button: ui.button | None, visible: bool) -> None:
    if button is not None:
        button.set_visibility(visible)
