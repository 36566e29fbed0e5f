"""A camera on the wall: picture, sign, numbers, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.cameras.actions import Actions, Done
from pipeline.dashboard.cameras.figures import short
from pipeline.dashboard.cameras.picture import LivePicture
from pipeline.dashboard.signs import SignBadge, sign_of
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.dashboard.cameras.changes import Changes
    from pipeline.dashboard.cameras.roll import CameraNow
    from pipeline.dashboard.frame import Page


class SignedFrame(ui.element):
    """What is shown of one camera, in the colour of its sign."""

    def __init__(self, camera: CameraNow) -> None:
        super().__init__("section")
        self.classes("cam-tile").props(f'data-camera="{camera.view.name}"')
        self._css = ""

    def colour(self, camera: CameraNow) -> None:
        """As it stands now."""
        css = sign_of(camera.standing.sign).css
        if css != self._css:
            self.classes(add=f"cam-{css}", remove=f"cam-{self._css}" if self._css else None)
            self._css = css


class Tile(SignedFrame):
    """One camera's place on the wall."""

    def __init__(self, page: Page, changes: Changes, camera: CameraNow, done: Done, *, is_shown: bool) -> None:
        super().__init__(camera)
        name = camera.view.name
        self.props(f'aria-label="{name}"')
        with self:
            self._picture = LivePicture(camera, f"/cameras/{name}", is_shown=is_shown)
            with ui.element("div").classes("cam-body"):
                self._head = Head(camera)
                self._figures = Figures(short(camera.view))
                self._error = ui.label().classes("cam-error")
                self._actions = Actions(page, changes, camera, done, all_of_them=False)
        self.show(camera)

    def show(self, camera: CameraNow) -> None:
        """As it stands now."""
        self.colour(camera)
        self._picture.show(camera)
        self._head.show(camera)
        self._figures.show(short(camera.view))
        self._error.set_text(error_of(camera))
        self._actions.show(camera)


class Head(ui.element):
    """Who it is, and how it does."""

    def __init__(self, camera: CameraNow) -> None:
        super().__init__("div")
        view = camera.view
        with self:
            with ui.element("div").classes("cam-head"):
                ui.label(view.name).classes("cam-name")
                self._place = ui.label().classes("cam-place")
                self._sign = SignBadge(camera.standing.sign)
            self._why = ui.label().classes("cam-why")

    def show(self, camera: CameraNow) -> None:
        """As it stands now."""
        view = camera.view
        self._place.set_text(t("cameras.place", line=view.line, station=view.station))
        self._sign.show(camera.standing.sign)
        self._why.set_text(camera.standing.why)


class Figures(ui.element):
    """Names and values."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__("div")
        self.classes("cam-figures")
        self._labels: dict[str, ui.label] = {}
        with self:
            for key in values:
                with ui.element("div"):
                    ui.label(t(key)).classes("cam-figure-name")
                    self._labels[key] = ui.label().classes("cam-figure-value")
        self.show(values)

    def show(self, values: Mapping[str, str]) -> None:
        """Of the same names."""
        for key, value in values.items():
            self._labels[key].set_text(value)


def error_of(camera: CameraNow) -> str:
    """What else there is to know of its troubles; its addresses are masked where they come from."""
    view = camera.view
    if view.problem:
        return t("cameras.problem", why=view.problem)
    if not view.in_force and camera.standing.is_well:
        return t("cameras.pending")
    if view.last_error and view.last_error != camera.standing.why:
        return t("cameras.last_error", error=view.last_error)
    return ""
