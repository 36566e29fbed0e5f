"""A camera's live picture on a page: fed by assets/live.js, with what is drawn on it, and a flash at each verdict."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nicegui import ui

from pipeline.dashboard.cameras.drawing import Drawing
from pipeline.dashboard.cameras.overlay import as_svg
from pipeline.dashboard.cameras.standing import new_verdict
from pipeline.dashboard.signs import SignBadge
from pipeline.dashboard.texts import t

if TYPE_CHECKING:
    from pipeline.config import RecipeSettings
    from pipeline.dashboard.cameras.roll import CameraNow

HEAD = '<link rel="stylesheet" href="/assets/cameras.css"><script src="/assets/live.js" defer></script>'


class LivePicture(ui.element):
    """One camera's. Its boxes and ids are in the picture itself; zones and trigger lie over it."""

    def __init__(self, camera: CameraNow, link: str | None, *, is_shown: bool) -> None:
        """`link`: where a click leads. `is_shown`: False where the configuration has no live pictures."""
        super().__init__("a" if link else "div")
        name = camera.view.name
        self.classes("cam-picture")
        if link:
            self.props(f'href="{link}"')
        self._drawn: tuple[RecipeSettings, tuple[int, int]] | None = None
        self._parts: dict[str, int] | None = None
        with self:
            if is_shown:
                alt = escape(t("cameras.picture_of", camera=name))
                ui.element("img").props(f'data-live="{name}" alt="{alt}"')
            self._over = ui.html("", sanitize=False)
            with ui.element("div").classes("cam-none"):
                self._none = ui.label(t("cameras.waits") if is_shown else t("cameras.not_watched"))
            with ui.element("div").classes("cam-flash").props("aria-hidden=true") as self._flash:
                self._verdict = SignBadge("pass")
        self._is_shown = is_shown

    def show(self, camera: CameraNow) -> None:
        """As it stands now."""
        size = camera.size
        if self._drawn is None or self._drawn[0] is not camera.recipe or self._drawn[1] != size:
            self._drawn = (camera.recipe, size)
            inspection = camera.recipe.inspection
            direction = None if inspection is None else inspection.vector
            self._over.set_content(as_svg(Drawing.of(camera.recipe), size, direction))
        if self._is_shown:
            well = camera.standing.is_well
            self._none.set_text(t("cameras.waits") if well else t("cameras.no_picture"))
        self._tell_verdict(camera.view.parts)

    def _tell_verdict(self, parts: dict[str, int]) -> None:
        verdict = new_verdict(self._parts, parts)
        self._parts = dict(parts)
        if verdict is not None:
            self._verdict.show(verdict)
        self._flash.classes(add="is-on" if verdict else None, remove=None if verdict else "is-on")
