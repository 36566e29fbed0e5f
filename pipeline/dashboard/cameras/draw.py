"""Drawing a camera's trigger and zones on its picture: what is saved is its own, and wins over its recipe's."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from nicegui import events, ui

from pipeline.dashboard.cameras.changes import MAY, PLACING, Changes
from pipeline.dashboard.cameras.drawing import Drawing, NotDrawn, Point, Tool
from pipeline.dashboard.cameras.overlay import overlay
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.dashboard.cameras.pictures import Pictures
    from pipeline.dashboard.cameras.roll import CameraNow, Roster
    from pipeline.dashboard.frame import Page


class DrawPage:
    """One page's."""

    def __init__(self, page: Page, roster: Roster, pictures: Pictures, camera: CameraNow) -> None:
        self._page, self._roster, self._pictures = page, roster, pictures
        self._changes = Changes(page, roster)
        self._begin(camera)
        name = self._name
        with ui.element("div").classes("bar"):
            with ui.element("a").props(f'href="/cameras/{name}"'):
                ui.label(name)
            with ui.element("h1"):
                ui.label(t("cameras.draw_title"))
            self._unsaved = ui.label(t("cameras.draw.unsaved")).classes("cam-told").props("role=status")
        with ui.element("div").classes("cam-detail"):
            with ui.element("section").classes("panel cam-body"):
                self._tools(camera)
                self._size = camera.size
                self._image = ui.interactive_image(size=self._size, on_mouse=self._clicked, sanitize=False)
                self._image.classes("draw-picture").props(f'aria-label="{t("cameras.draw.picture", camera=name)}"')
                ui.timer(0.1, page.does(MAY["draw"], self._new_picture), once=True)
            with ui.element("section").classes("panel cam-body"):
                self._zones = ui.element("div").classes("cam-body")
                with ui.element("h2"):
                    ui.label(t("cameras.draw.points"))
                ui.label(t("cameras.draw.points_help")).classes("cam-place")
                self._numbers = ui.element("div").classes("draw-numbers")
                with ui.element("h2"):
                    ui.label(t("cameras.draw.yaml"))
                with ui.element("pre").classes("draw-yaml"):
                    self._yaml = ui.label()
        self._show()

    def _begin(self, camera: CameraNow) -> None:
        self._name, self._tag = camera.view.name, camera.tag
        self._drawing = Drawing.of(camera.recipe)
        self._saved = self._drawing.settings()
        inspection = camera.recipe.inspection
        self._direction = None if inspection is None else inspection.vector
        self._is_own = any(camera.view.settings.get(name) is not None for name in PLACING)

    def _tools(self, camera: CameraNow) -> None:
        does, engineer = self._page.does, MAY["draw"]
        tools = {Tool.TRIGGER: t("cameras.draw.trigger")} if self._drawing.has_trigger else {}
        tools |= {Tool.ZONE: t("cameras.draw.zone")}
        with ui.element("div").classes("bar"):
            self._tool = ui.toggle(tools, value=next(iter(tools)), on_change=self._show).props("no-caps")
            self._zone_name = ui.input(t("cameras.draw.name"), value=self._drawing.free_name())
            self._zone_name.props("outlined dense data-field=zone")
            self._close = ui.button(t("cameras.draw.close"), on_click=does(engineer, self._close_zone))
            self._close.props("outline no-caps data-action=close")
            ui.button(t("cameras.draw.undo"), on_click=self._undo).props("outline no-caps data-action=undo")
            new = ui.button(t("cameras.draw.new_picture"), on_click=does(engineer, self._new_picture))
            new.props("outline no-caps")
        self._help = ui.label().classes("cam-place")
        if not self._drawing.has_trigger:
            ui.label(t("cameras.draw.no_trigger", recipe=camera.view.recipe)).classes("cam-place")
        with ui.element("div").classes("bar"):
            ui.button(t("cameras.draw.save"), on_click=does(engineer, self._save)).props("no-caps data-action=save")
            self._reset = ui.button(t("cameras.draw.reset"), on_click=does(engineer, self._unplace))
            self._reset.props("outline no-caps data-action=unplace")
            ui.label(t("cameras.draw.effect")).classes("cam-place")

    async def _new_picture(self) -> None:
        """Where there is none, it is drawn on an empty one of the camera's shape."""
        camera = (await self._roster.call()).one(self._page.principal, self._name)
        picture = None if camera is None else await self._pictures.first(camera)
        if picture is None:
            ui.notify(t("cameras.no_picture"), type="warning")
            return
        self._size = picture.width, picture.height  # what clicks are told in from then on
        self._image.set_source(f"/live/{self._name}?at={time.time():.1f}")
        self._show()

    def _clicked(self, event: events.MouseEventArguments) -> None:
        point = event.image_x / self._size[0], event.image_y / self._size[1]
        self._do(lambda: self._drawing.click(self._tool.value, point, self._named()))

    def _named(self) -> str:
        return str(self._zone_name.value or "")

    async def _close_zone(self) -> None:
        self._do(lambda: self._drawing.close(self._named()))

    def _undo(self) -> None:
        self._drawing.undo(self._tool.value)
        self._show()

    async def _save(self) -> None:
        if self._drawing.has_trigger and len(self._drawing.trigger) != 2:
            ui.notify(t("cameras.draw.trigger_help"), type="warning")
            return
        changes = self._drawing.changes(self._saved)
        if changes:
            await self._changes.place(self._name, self._tag, changes)
        await self._again("cameras.draw.saved")

    async def _unplace(self) -> None:
        await self._changes.unplace(self._name, self._tag)
        await self._again("cameras.draw.reset_done")

    async def _again(self, done: str) -> None:
        camera = (await self._roster.call()).one(self._page.principal, self._name)
        if camera is not None:
            self._begin(camera)
            self._show()
        ui.notify(t(done), type="positive")

    def _do(self, work: Callable[[], None]) -> None:
        zones = len(self._drawing.zones)
        try:
            work()
        except NotDrawn as exc:
            ui.notify(t(exc.key, **exc.values), type="warning")
        if len(self._drawing.zones) > zones:
            self._zone_name.set_value(self._drawing.free_name())
        self._show()

    def _show(self) -> None:
        drawing = self._drawing
        is_zone = self._tool.value == Tool.ZONE
        self._image.set_content(overlay(drawing, self._size, self._direction, corners=True))
        self._help.set_text(t("cameras.draw.zone_help" if is_zone else "cameras.draw.trigger_help"))
        self._zone_name.set_visibility(is_zone)
        self._close.set_visibility(is_zone)
        self._reset.set_visibility(self._is_own)
        self._unsaved.set_visibility(bool(drawing.begun) or bool(drawing.changes(self._saved)))
        self._yaml.set_text(drawing.as_yaml(self._name))
        self._show_zones()
        self._show_numbers()

    def _show_zones(self) -> None:
        self._zones.clear()
        with self._zones:
            for zone in self._drawing.zones:
                with ui.element("div").classes("draw-zone-row"):
                    ui.label(zone.name).classes("cam-name")
                    told = t("cameras.draw.delete", name=zone.name)
                    ui.button(told, on_click=partial(self._delete, zone.name)).props("outline no-caps dense")

    def _delete(self, name: str) -> None:
        self._drawing.delete(name)
        self._show()

    def _show_numbers(self) -> None:
        """The same for the keyboard."""
        self._numbers.clear()
        shapes = [(t("cameras.draw.trigger"), self._drawing.trigger)]
        shapes += [(zone.name, zone.corners) for zone in self._drawing.zones]
        with self._numbers:
            for name, corners in shapes:
                for number, corner in enumerate(corners):
                    for axis, value in enumerate(corner):
                        told = t("cameras.draw.corner", name=name, number=number + 1, axis="xy"[axis])
                        box = ui.number(told, value=value, min=0, max=1, step=0.01, format="%.4g")
                        box.props("outlined dense")
                        box.on("change", partial(self._move, corners, number, axis, box))

    def _move(self, corners: list[Point], number: int, axis: int, box: ui.number) -> None:
        if box.value is not None:
            self._do(lambda: self._drawing.move(corners, number, axis, float(box.value)))
