"""What people change of cameras here: by the same store, checks and words as the API, in their name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from pipeline.config import CameraConfig
from pipeline.control.access.own import (
    Require,
    require_addable,
    require_line,
    require_resettable,
    require_running,
)
from pipeline.control.access.roles import Role
from pipeline.control.cameras.admission import require_admissible
from pipeline.control.cameras.given import named
from pipeline.control.problems import ApiError
from pipeline.control.settings import ApiSettings
from pipeline.dashboard.cameras.roll import Roster
from pipeline.dashboard.frame import Page
from pipeline.dashboard.texts import t
from pipeline.orchestrate.desired import DesiredState, camera_of_data
from pipeline.orchestrate.desired_store import DesiredConflict, DesiredStore, Expect
from stages.values import CameraId

Change = Callable[[DesiredStore, Expect], Awaitable[DesiredState]]

PLACING = ("trigger", "zones")
MAY = {
    "pause": Role.OPERATOR,
    "resume": Role.OPERATOR,
    "restart": Role.OPERATOR,
    "reset": Role.ENGINEER,
    "remove": Role.ENGINEER,
    "add": Role.ENGINEER,
    "draw": Role.ENGINEER,
}


class Admitted(NamedTuple):
    """A new camera that may be."""

    name: str
    settings: dict[str, Any]  # as given, without the name
    camera: CameraConfig


class Changes:
    """One visitor's. Each raises what the store raises, and DesiredConflict where others were faster."""

    def __init__(self, page: Page, roster: Roster) -> None:
        self._page = page
        self._roster = roster

    async def pause(self, camera: str, tag: str) -> None:
        """Stop reading it and keep its place."""
        await self._change("pause", camera, tag, lambda store, look: store.pause(camera, look, self._page.author))

    async def resume(self, camera: str, tag: str) -> None:
        """Read it again."""
        await self._change("resume", camera, tag, lambda store, look: store.resume(camera, look, self._page.author))

    async def restart(self, camera: str, tag: str) -> None:
        """Open its source anew."""
        await self._change("restart", camera, tag, lambda store, look: store.restart(camera, look, self._page.author))

    async def remove(self, camera: str, tag: str) -> None:
        """Take it away."""
        await self._change("remove", camera, tag, lambda store, look: store.remove(camera, look, self._page.author))

    async def reset(self, camera: str, tag: str) -> None:
        """Drop what was changed of it."""
        author = self._page.author
        await self._change(
            "reset", camera, tag, lambda store, look: store.reset(camera, look, author), require_resettable
        )

    async def place(self, camera: str, tag: str, drawn: Mapping[str, Any]) -> None:
        """Its own trigger and zones, those that are drawn."""
        author = self._page.author
        await self._change("draw", camera, tag, lambda store, look: store.set(camera, drawn, look, author))

    async def unplace(self, camera: str, tag: str) -> None:
        """The trigger and zones of its recipe, or of the config file, hold again."""
        author = self._page.author
        await self._change("draw", camera, tag, lambda store, look: store.set(camera, {}, look, author, PLACING))

    def admitted(self, given: Mapping[str, Any]) -> Admitted:
        """A new camera, for a look at it. Raises ConfigError, or ApiError where it is none of theirs."""
        name, settings = named(given)
        self._require("add")
        require_admissible(name, settings, self._schemes())
        require_line(self._page.principal, settings.get("line") or name)
        return Admitted(name, settings, camera_of_data(settings, name))

    async def add(self, given: Mapping[str, Any]) -> None:
        """A new camera. Raises ConfigError where its settings do not fit."""
        name, settings, _ = self.admitted(given)

        def expect(desired: DesiredState) -> None:
            self._require("add")
            require_addable(desired, self._page.principal, name, settings)

        async with self._page.services.desired() as store:
            await store.add(name, settings, expect, self._page.author)
        self._roster.forget()

    async def _change(
        self, what: str, camera: str, tag: str, change: Change, require: Require = require_running
    ) -> None:
        """`tag` is of what they saw. It is looked at in the change's own transaction."""

        def expect(desired: DesiredState) -> None:
            self._require(what)
            require(desired, self._page.principal, camera)
            if desired.tag(CameraId(camera)) != tag:
                raise DesiredConflict(t("cameras.changed_since", camera=camera))

        try:
            async with self._page.services.desired() as store:
                await change(store, expect)
        finally:
            self._roster.forget()

    def _require(self, what: str) -> None:
        if not self._page.may(MAY[what]):
            raise ApiError(403, t("state.forbidden", needed=MAY[what].value))

    def _schemes(self) -> frozenset[str]:
        api = self._page.services.config.api or ApiSettings()
        return frozenset(api.camera_schemes)
