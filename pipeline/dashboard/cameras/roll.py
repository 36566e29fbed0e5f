"""All cameras and how they do, looked up once a second for everybody who looks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.control.access.roles import Principal
from pipeline.control.cameras.answers import CameraView, views
from pipeline.dashboard.cameras.standing import ReportTimes, Standing, standing_of
from pipeline.dashboard.services import SYSTEM_S, Services
from stages.values import CameraId

if TYPE_CHECKING:
    from pipeline.config import RecipeSettings
    from pipeline.orchestrate.desired import DesiredState


_USUAL_SIZE = (1600, 900)


@dataclass(frozen=True, slots=True)
class CameraNow:
    """One camera: what is desired of it and how it does."""

    view: CameraView
    standing: Standing
    recipe: RecipeSettings  # with its own trigger and zones
    tag: str  # of what is desired: a change says which one it has seen

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its picture, pixels; of a usual one where nobody knows it yet."""
        return self.view.size or _USUAL_SIZE


@dataclass(frozen=True, slots=True)
class Roll:
    """Every camera that is to run, by name, in that order."""

    desired: DesiredState
    cameras: dict[str, CameraNow]

    def of(self, principal: Principal) -> list[CameraNow]:
        """Those on their lines."""
        return [camera for camera in self.cameras.values() if principal.may_see(camera.view.line)]

    def one(self, principal: Principal, name: str) -> CameraNow | None:
        """This one, where it is on one of their lines."""
        camera = self.cameras.get(name)
        return camera if camera is not None and principal.may_see(camera.view.line) else None


class Roster:
    """Calls the roll."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._written_at: float | None = None  # the newest report
        self._came_at = 0.0  # by our own clock

    async def call(self) -> Roll:
        """As it stands now, at most a second old. Raises SinkUnavailable, NothingDesired."""
        return await self._services.shared("cameras", SYSTEM_S, self._call)

    def forget(self) -> None:
        """Somebody changed something: who looks next sees it."""
        self._services.forget("cameras", "system")

    async def _call(self) -> Roll:
        desired, report = await self._services.system()
        written_at = None if report is None else report.at
        if written_at != self._written_at:
            self._written_at, self._came_at = written_at, time.monotonic()
        times = ReportTimes(written_at, time.monotonic() - self._came_at)
        names = list(desired.config.camera_ids())
        cameras = {
            view.name: _now(desired, name, view, times)
            for name, view in zip(names, views(desired, report, names), strict=True)
        }
        return Roll(desired, cameras)


def _now(desired: DesiredState, name: CameraId, view: CameraView, times: ReportTimes) -> CameraNow:
    resolved = desired.cameras[name]
    standing = standing_of(view, times, resolved.settings.is_live)
    return CameraNow(view, standing, resolved.recipe, desired.tag(name))
