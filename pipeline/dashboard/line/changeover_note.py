"""By which recipe the line works, and how far a change of it has come."""

from __future__ import annotations

from nicegui import ui

from pipeline.dashboard.line.reading import Glance
from pipeline.dashboard.texts import t
from pipeline.orchestrate.changeover import Changeover


class ChangeoverNote(ui.element):
    """A line of text; while a change is not done, what each camera waits for."""

    def __init__(self) -> None:
        super().__init__("div")
        self.classes("changeover").props("data-panel=changeover aria-live=polite")
        with self:
            self._words = ui.label().classes("changeover-words")
            self._cameras = ui.label().classes("changeover-cameras")

    def show(self, glance: Glance) -> None:
        """The recipe, or the change to it."""
        self._words.set_text(_words(glance))
        waiting = _waiting(glance.changeover)
        self._cameras.set_text(waiting)
        self._cameras.set_visibility(bool(waiting))
        is_open = glance.changeover is not None and glance.changeover.state != "done"
        self.classes(add="changeover-open" if is_open else "", remove="" if is_open else "changeover-open")


def _words(glance: Glance) -> str:
    change = glance.changeover
    if change is None:
        return "" if glance.recipe is None else t("line.recipe", recipe=glance.recipe)
    theirs = [camera for camera in change.cameras if camera.state != "own"]
    done = sum(1 for camera in theirs if camera.state == "in_force")
    return t(f"line.changeover.{change.state}", before=change.before, to=change.to, done=done, all=len(theirs))


def _waiting(change: Changeover | None) -> str:
    if change is None or change.state == "done":
        return ""
    waiting = [camera for camera in change.cameras if camera.reason is not None and camera.state != "own"]
    return "; ".join(t("line.changeover.camera", camera=camera.camera, reason=camera.reason) for camera in waiting)
